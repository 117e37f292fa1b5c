"""The command line on a system that refuses hard links, as exFAT does: the kernel answers link() with an error.

Usage: no_links.py ERRNO WORD...; x86_64 Linux.
"""

import ctypes
import struct
import sys

_LINK, _LINKAT = 86, 265
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def refuse_links(errno: int) -> None:
    """For this process and its children."""
    steps = (
        (0x20, 0, 0, 0),  # the number of the call
        (0x15, 2, 0, _LINK),
        (0x15, 1, 0, _LINKAT),
        (0x06, 0, 0, 0x7FFF0000),  # allowed
        (0x06, 0, 0, 0x00050000 | errno),  # answered with an error
    )
    data = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    system = ctypes.CDLL(None, use_errno=True)
    assert system.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert system.prctl(_SECCOMP, _FILTER, ctypes.byref(_Program(len(steps), ctypes.addressof(data)))) == 0


if __name__ == "__main__":
    refuse_links(int(sys.argv[1]))
    from daw_bridge.cli.main import main

    sys.exit(main(sys.argv[2:]))
