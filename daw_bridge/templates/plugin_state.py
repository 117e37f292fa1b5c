"""The state of a plug-in in a template: in the YAML when it is short, in a file of its own beside it when it is long.

A state of a big plug-in has megabytes. Its file lies in the folder `states` beside the template and is called by the
sha256 of what is in it, so that it cannot be exchanged unnoticed and templates of one folder share it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daw_bridge.files import read_regular
from daw_bridge.templates.yaml_nodes import YamlNode
from daw_bridge.templates.yaml_table import JsonSchema, Text

FOLDER = "states"
INLINE_CHARACTERS = 4000
MAX_FILE_BYTES = 128 * 1024 * 1024
_FILE = re.compile(rf"{FOLDER}/([0-9a-f]{{64}})\.txt")


@dataclass(frozen=True, slots=True)
class PluginState:
    """A text, or `{file: states/<sha256>.txt}` with that text in it, as a text."""

    text: Text

    def read(self, node: YamlNode) -> str:
        if not node.has_keys():
            return self.text.read(node)
        items = node.items()
        if [key for _, key, _ in items] != ["file"]:
            raise node.error("a state is a text, or the one key 'file' with the name of the file that holds it")
        value = items[0][2]
        match = _FILE.fullmatch(value.text())
        if not match:
            raise value.error(f"{value.text()[:80]!r} is not the name of a state; it is {FOLDER}/<sha256>.txt")
        path = Path(node.file).parent / FOLDER / f"{match[1]}.txt"
        try:
            data = read_regular(path, most_bytes=MAX_FILE_BYTES)
        except OSError as exc:
            raise value.error(
                f"the plug-in's state {path} is not there; copy the folder {FOLDER!r} with the template"
            ) from exc
        if hashlib.sha256(data).hexdigest() != match[1]:
            raise value.error(f"the plug-in's state {path} was changed or cut off; copy it again from where it came")
        return data.decode("utf-8", "replace")

    def dump(self, value: Any) -> object:
        return str(value)

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        file = {"type": "string", "pattern": f"^{_FILE.pattern}(?![\\s\\S])"}
        in_file = {
            "type": "object",
            "properties": {"file": file},
            "required": ["file"],
            "additionalProperties": False,
        }
        return {"anyOf": [self.text.schema(definitions), in_file]}

    def describe(self) -> str:
        return f"{self.text.describe()}, or `{{file: {FOLDER}/<sha256>.txt}}`"


def state_file(state: str) -> str:
    """The file for a state, from the template's folder."""
    return f"{FOLDER}/{hashlib.sha256(state.encode('utf-8', 'replace')).hexdigest()}.txt"
