"""A mix of the page as a bus template of the user's own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from daw_bridge.errors import OutputError, UsageError
from daw_bridge.files import output_errors, write_atomic
from daw_bridge.templates.bus_template import parse_template, template_to_yaml
from daw_bridge.templates.store import list_templates, user_folder
from daw_bridge.web.library import Song
from daw_bridge.web.mix import Mix, template_of

_NAME = re.compile(r"\w[\w -]{0,62}\w|\w")


def keep_template(song: Song, mix: Mix, name: str, *, replace_own: bool = False) -> Path:
    """Write the mix as `NAME.yaml` into the user's folder of templates; its path.

    Raises UsageError for a name that cannot be one, OutputError when there is such a template (with `replace_own` only
    when it is a shipped one), and what the mix itself is refused for.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:70]!r} cannot name a template; use up to 64 letters, digits, blanks, '-' and '_'")
    known = {each.name.casefold(): each for each in list_templates()}
    there = known.get(name.casefold())
    if there is not None and there.origin == "shipped":
        raise OutputError(f"{name!r} is the name of a template that comes with daw-bridge; choose another one")
    if there is not None and not replace_own:
        raise OutputError(f"you have a template called {there.name!r} already; replace it, or choose another name")
    template = template_of(song, mix, name=name)
    description = f"Mixed in the page on {song.manifest.name}, from {mix.template}."
    text = template_to_yaml(replace(template, description=description))
    parse_template(text, name, name=name)
    path = there.path if there is not None else user_folder() / f"{name}.yaml"
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
    return path
