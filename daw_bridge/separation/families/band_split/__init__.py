"""The bundled band-split network: causal for real time, bidirectional for songs."""
