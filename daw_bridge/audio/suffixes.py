"""The one list of what is called audio by its name: all that `open_audio` decodes, in the endings that people give it.

The content decides what a file is; the ending decides only what is looked at in a folder.
"""

from __future__ import annotations

AUDIO_SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
        *(".flac", ".alac", ".wv", ".tta", ".ape"),
        *(".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mp1", ".mpa", ".m2a", ".m4a", ".m4b", ".m4r", ".aac", ".wma"),
        *(".ac3", ".eac3", ".ec3", ".dts", ".mka"),
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".ogv", ".3gp", ".3g2", ".mpg"),
        *(".mpeg", ".ts", ".m2ts", ".mts"),
    )
)
