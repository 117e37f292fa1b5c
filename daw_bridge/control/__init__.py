"""The daemon: job queue, OSC in, MIDI in. Transports hold no logic."""

DEFAULT_PORT = 9129
"""UDP and TCP port of the daemon."""
