"""The session rendered to WAV without any DAW: a proof that the plan sounds right, and a preview of a template."""
