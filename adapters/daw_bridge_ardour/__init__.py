"""Ardour: session folders made without Ardour, proved with it, and the open session driven over OSC."""
