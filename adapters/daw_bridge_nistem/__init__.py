"""NI Stems: one `.stem.mp4` with the mix and four stems, for Traktor and Mixxx."""
