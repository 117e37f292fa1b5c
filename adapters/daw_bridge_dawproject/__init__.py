"""DAWproject: one file with project, audio and mixer for Bitwig, Studio One, Cubase and others."""
