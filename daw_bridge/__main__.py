"""`python -m daw_bridge` and the `daw-bridge` command; a Ctrl-C while the program still loads is no traceback."""

import sys


def run() -> int:
    """Run the command line; the exit code."""
    try:
        from daw_bridge.cli import interrupt

        interrupt.leave_at_once()
        from daw_bridge.cli.main import main

        code = main()
    except KeyboardInterrupt:
        sys.stderr.write("daw-bridge: cancelled\n")
        return 130
    # A Ctrl-C that went through exec(), as in dataclasses, makes Python end itself by the signal, whatever we return.
    return interrupt.leave(code) if interrupt.seen() and code == interrupt.EXIT_CODE else code


if __name__ == "__main__":
    sys.exit(run())
