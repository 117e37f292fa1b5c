"""Ableton Live sets: groups, returns, EQ Eight, Compressor, locators, tempo and unwarped clips. Experimental."""
