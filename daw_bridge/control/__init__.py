"""The daemon: job queue, OSC in, MIDI in. Transports hold no logic."""
