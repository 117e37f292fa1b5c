"""argparse with the errors that a person needs: the usage of the command that was meant, and the nearest name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from daw_bridge.cli.console import one_line
from daw_bridge.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """Its subcommands are Parsers, too; what a command does not know is that command's error, not the root's."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """See ArgumentParser.parse_known_args; nothing unknown is ever passed up to the parser above."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            hint = did_you_mean(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, []

    def error(self, message: str) -> NoReturn:
        """See ArgumentParser.error."""
        super().error(one_line(message))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        hint = did_you_mean(str(value), known)
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"no command called {str(value)!r}{hint}; there are: {', '.join(known)}")
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint} (choose from {', '.join(known)})")
