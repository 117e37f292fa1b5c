"""Any DAW with OSC: a YAML profile says which operation is which message, and one client drives them all."""
