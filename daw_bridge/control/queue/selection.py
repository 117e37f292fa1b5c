"""What the next job takes where its command does not say: template, model, DAW; chosen by a surface, kept on disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from daw_bridge.control.queue.jobs import JobStore
from daw_bridge.errors import InputError, did_you_mean

Choice = Literal["template", "model", "daw"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
_PLAIN_NAME = re.compile(r"[\w][\w ,-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Names that `list` and `select` know, asked for anew each time."""

    templates: Callable[[], list[str]]
    models: Callable[[], list[str]]
    daws: Callable[[], list[str]]

    def checked(self, choice: Choice, value: str) -> str:
        """A name that may go onto a command line: one of the catalog's, never a path. InputError otherwise."""
        if not value:
            return ""
        known = {"template": self.templates, "model": self.models, "daw": self.daws}[choice]()
        for part in value.split(",") if choice == "daw" else [value]:
            if not _PLAIN_NAME.fullmatch(part.strip()) or part.strip() not in known:
                hint = did_you_mean(part, known)
                raise InputError(f"no {choice} called {part[:100]!r}{hint}; known: {', '.join(known)}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What `serve` was started with: taken until a surface selects something else."""

    template: str = ""
    model: str = ""
    daw: str = ""


class Selections:
    """What is selected now. A surface's choice outlives the daemon, until `serve` is started with another option.

    Raises InputError at once for an option that names nothing; a kept choice whose template is gone since is forgotten.
    """

    def __init__(self, store: JobStore, catalog: Catalog, started_with: Selection) -> None:
        self._store, self._catalog, self._started_with = store, catalog, started_with
        self._chosen: dict[Choice, str] = {}
        for choice in CHOICES:
            given = catalog.checked(choice, getattr(started_with, choice))
            kept = store.selection(choice)
            still_good = kept is not None and kept.started_with == given and self._is_known(choice, kept.value)
            self._chosen[choice] = kept.value if kept is not None and still_good else given
            if kept is not None and not still_good:
                store.keep_selection(choice, given, given)

    def _is_known(self, choice: Choice, value: str) -> bool:
        try:
            self._catalog.checked(choice, value)
        except InputError:
            return False
        return True

    def __getitem__(self, choice: Choice) -> str:
        return self._chosen[choice]

    def select(self, choice: Choice, value: str) -> None:
        """Take it from now on; it is on disk when this returns. Raises InputError for an unknown name."""
        self._chosen[choice] = self._catalog.checked(choice, value)
        self._store.keep_selection(choice, value, getattr(self._started_with, choice))

    def all(self) -> tuple[str, ...]:
        """Template, model, DAW."""
        return tuple(self._chosen[choice] for choice in CHOICES)
