"""`daw-bridge`: parse, call the workflow, print. Nothing heavy is imported before a command runs."""
