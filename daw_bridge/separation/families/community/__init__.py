"""What the families of community models share: their checkpoints, their YAML configs, and the way their chunks run."""
