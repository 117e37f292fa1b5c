"""The bus template format for editors: its JSON Schema, from the table that the parser uses."""

from __future__ import annotations

from daw_bridge.templates.table import TEMPLATE
from daw_bridge.templates.yaml_table import JsonSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def template_schema() -> JsonSchema:
    """The JSON Schema (draft 2020-12) of a bus template.

    It knows every key, type and range. What holds between keys (a send's return exists, no stem is on two buses, no
    side-chain runs in a circle) only `daw-bridge templates check` can tell.
    """
    definitions: JsonSchema = {}
    root = TEMPLATE.schema(definitions)
    return {"$schema": DIALECT, "title": "daw-bridge bus template", **root, "$defs": definitions}
