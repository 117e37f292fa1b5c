"""`daw-bridge reaper setup`: what must stand in REAPER's own files, written as text, with a way back."""
