"""Bus templates: YAML nodes, the tables that read and explain them, where they are kept."""
