"""Audio files in and out, resampling, loudness. Audio is float32 of shape (channels, samples) everywhere inside."""
