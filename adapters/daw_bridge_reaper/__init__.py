"""REAPER: project files written and read without REAPER, and the open project driven live."""
