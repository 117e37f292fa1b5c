"""AAF: the stems with their gains and pans for Pro Tools, Logic, Nuendo, Resolve, and the tempo map as a MIDI file."""
