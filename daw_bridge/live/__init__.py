"""Listening live: the causal model between an audio input and an output, its inference off the audio thread."""
