"""What a song's stems say about its music: tempo grid, sections, key, notes. Pure numpy and scipy."""
