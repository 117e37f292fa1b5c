"""MIDI ports, maps and Mackie Control."""
