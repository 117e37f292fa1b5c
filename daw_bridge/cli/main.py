"""The parser's root, the table of command groups, and the one place where errors become exit codes."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import sys
from collections.abc import Sequence

from daw_bridge.cli import interrupt
from daw_bridge.cli.console import one_line, print_error
from daw_bridge.cli.library_noise import kept_off_stderr
from daw_bridge.cli.parser import Parser
from daw_bridge.cli.streams import OutputLost
from daw_bridge.errors import DawBridgeError, DeviceError, OutputError
from daw_bridge.version import __version__

COMMAND_MODULES: tuple[str, ...] = (
    "build",
    "batch",
    "models",
    "render",
    "live",
    "catalog",
    "evaluate",
    "templates",
    "cache",
    "web",
    "serve",
    "jobs",
    "osc",
    "midi",
    "reaper",
    "probe",
    "doctor",
    "completion",
)
"""Modules of this package with `register(subparsers)`, in the order of `--help`."""

EXIT_CODES = """\
exit codes:
  0 done   1 unexpected   2 usage   3 input   4 output   5 template   6 model or weights
  7 refused by a rule of the field   8 device or memory   9 DAW   10 busy   130 cancelled
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole parser; cheap, for `--help` and completion."""
    parser = Parser(
        prog="daw-bridge",
        description="From a finished mix to a ready DAW session: stems that null against the mix, each on its own bus.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"daw-bridge {__version__}")
    add_output_options(parser)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMAND_MODULES:
        importlib.import_module(f"daw_bridge.cli.{name}").register(subparsers)
    return parser


def add_output_options(parser: argparse.ArgumentParser, *, default: object = None) -> None:
    """-v, -q, --json: on the root and on each command, so that they work in both places.

    Subcommands pass `default=argparse.SUPPRESS`, so that they do not reset what stood before the command.
    """
    options = parser.add_argument_group("output")
    options.add_argument("-v", "--verbose", action="store_true", default=default or False, help="say more")
    options.add_argument("-q", "--quiet", action="store_true", default=default or False, help="only errors")
    options.add_argument(
        "--json",
        action="store_true",
        default=default or False,
        help="one JSON object on stdout, for machines",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    args = build_parser().parse_args(argv)
    interrupt.loaded()
    with kept_off_stderr(verbose=args.verbose):
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    """The command, with whatever goes wrong as a line and an exit code."""
    _print_any_name()
    _log_to_stderr(verbose=args.verbose)
    try:
        code = _code_of(args)
        sys.stdout.flush()
    except OutputLost as exc:
        if exc.errno == errno.EPIPE:
            return 0  # `daw-bridge models list | head`: leave without a word, as other tools do
        print_error(f"standard output: cannot be written ({exc.strerror}); the work itself is done")
        return OutputError.exit_code
    return code


def _code_of(args: argparse.Namespace) -> int:
    """The exit code of a command, with what went wrong on standard error. Raises OutputLost."""
    try:
        return int(args.func(args) or 0)
    except OutputLost:
        raise
    except DawBridgeError as exc:
        print_error(str(exc))
        return exc.exit_code
    except KeyboardInterrupt:
        print("daw-bridge: cancelled", file=sys.stderr)
        return 130
    except Exception as exc:  # the last line of defence: only a developer wants a traceback
        if interrupt.seen():  # a library that was being loaded made something else of Ctrl-C
            print("daw-bridge: cancelled", file=sys.stderr)
            return interrupt.EXIT_CODE
        if args.verbose:
            raise
        known = _of_the_system(exc)
        if known is not None:
            print_error(str(known))
            return known.exit_code
        print_error(f"unexpected {type(exc).__name__}: {exc}; please report it with what 'daw-bridge -v ...' prints")
        return DawBridgeError.exit_code


def _of_the_system(exc: Exception) -> DawBridgeError | None:
    """What the system refused, in its words, where no step of ours was ready for it; None for our own mistakes."""
    text = str(exc).lower()
    if isinstance(exc, MemoryError) or (isinstance(exc, ImportError) and any(sign in text for sign in _NO_MEMORY)):
        return DeviceError(f"the memory does not suffice ({exc}); close other programs, or raise the limit (ulimit)")
    if isinstance(exc, OSError) and exc.strerror:
        where = f"{exc.filename}: " if exc.filename else ""
        return OutputError(f"{where}the system refuses it ({exc.strerror}); nothing else is known about it")
    return None


_NO_MEMORY = ("failed to map segment", "cannot allocate memory", "cannot apply additional memory protection")
"""How the loader of libraries says it."""


def _print_any_name() -> None:
    """What the terminal's encoding cannot show is printed escaped: a file name must never end a finished run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


class _ToStderr(logging.Handler):
    """To `sys.stderr` as it is when something is logged: a command has one of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            print(self.format(record), file=sys.stderr)


class _OneLine(logging.Formatter):
    """Names in a message cannot break its line; a traceback below it has its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # logging's name
        return one_line(super().formatMessage(record))


def _log_to_stderr(*, verbose: bool) -> None:
    """Warnings of all, and with -v what daw-bridge itself has to say; other libraries' details help nobody here."""
    handler = _ToStderr()
    handler.setFormatter(_OneLine("daw-bridge: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("daw_bridge").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    if verbose:
        from daw_bridge.registry import adapter_packages

        for name in adapter_packages():
            logging.getLogger(name).setLevel(logging.DEBUG)
