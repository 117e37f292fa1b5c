"""`daw-bridge`: parse, call the workflow, print. Nothing heavy is imported before a command runs."""

from daw_bridge.cli.main import main

__all__ = ["main"]
