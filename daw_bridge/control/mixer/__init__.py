"""One vocabulary for a move of a mixer."""
