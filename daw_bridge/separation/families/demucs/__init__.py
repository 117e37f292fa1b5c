"""Demucs v3 and v4: bags of networks, their checkpoints, and the way they compute here."""
