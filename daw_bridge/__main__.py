"""`python -m daw_bridge` and the `daw-bridge` command; a Ctrl-C while the program still loads is no traceback."""

import os
import sys
from typing import TextIO, cast


def _speak_utf8() -> None:
    """Start again in Python's UTF-8 mode where file names could only be ASCII (LC_ALL=C): a song keeps its name."""
    if sys.platform != "win32" and sys.getfilesystemencoding() == "ascii" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"  # our own processes read the same names
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  ourselves again


def run() -> int:
    """Run the command line; the exit code."""
    try:
        from daw_bridge.cli import interrupt, streams

        _speak_utf8()
        interrupt.leave_at_once()
        streams.open_closed()
        sys.stdout = cast("TextIO", streams.Telling(sys.stdout))
        sys.stderr = cast("TextIO", streams.Forgiving(sys.stderr))
        from daw_bridge.cli.main import main

        code = main()
    except KeyboardInterrupt:
        sys.stderr.write("daw-bridge: cancelled\n")
        return 130
    # A Ctrl-C that went through exec(), as in dataclasses, makes Python end itself by the signal, whatever we return.
    return interrupt.leave(code) if interrupt.seen() and code == interrupt.EXIT_CODE else code


if __name__ == "__main__":
    sys.exit(run())
