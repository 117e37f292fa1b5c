"""`python -m daw_bridge` and the `daw-bridge` command; a Ctrl-C while the program still loads is no traceback."""

import sys


def run() -> int:
    """Run the command line; the exit code."""
    try:
        from daw_bridge.cli.interrupt import leave_at_once

        leave_at_once()
        from daw_bridge.cli.main import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("daw-bridge: cancelled\n")
        return 130


if __name__ == "__main__":
    sys.exit(run())
