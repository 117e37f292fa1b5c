"""A simulator of REAPER's ReaScript API: a test instrument, no stand-in for REAPER.

It keeps a project in memory and checks what it is asked: argument types, pointer kinds, pointers to what was deleted,
undo blocks and refresh counts that do not match. It can be told to fail at any call.
"""
