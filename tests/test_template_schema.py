"""The JSON Schema and the parser agree: what one refuses the other refuses, but for the rules between keys."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from daw_bridge.errors import TemplateError
from daw_bridge.templates.bus_template import parse_template
from daw_bridge.templates.schema import template_schema
from daw_bridge.templates.yaml_nodes import parse_yaml
from tests.test_bus_template import EVERYTHING

VALIDATOR = Draft202012Validator(template_schema())
WHOLE = parse_yaml(EVERYTHING, "t").plain()

BETWEEN_KEYS = (
    "the name ", "the stem ", "no return called", "is a bus; sends go", "already sends", "its own side-chain",
    "no bus called", "run in a circle", "above its ceiling",
)  # fmt: skip
"""What only the parser can know."""

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-200, 200),
    st.floats(-1e4, 1e5).map(lambda value: round(value, 3)),
    st.sampled_from(
        ["4:1", "0:1", "4/4", "#ff0000", "#ff00", "drums", "plate", "mix", "", " x", "a\nb", "bell", "x" * 70]
    ),
)
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from(["name", "gain_db", "to"]), scalars)
keys = st.sampled_from(["gain_db", "gian_db", "stems", "bell", "compressor", "reverb", "enabled", "ratio", "mute", " "])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys or indexes."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in inside] + [place for _, below in inside for place in places(below)]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_changed_in_a_template_parser_and_schema_agree(data: st.DataObject) -> None:
    changed = copy.deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(places(changed)))
        match data.draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[key] = data.draw(values)
            case "remove":
                del container[key]
            case _ if isinstance(container, dict):
                container[data.draw(keys)] = data.draw(values)
            case _:
                container.append(data.draw(values))
    text = json.dumps(changed, ensure_ascii=False)  # JSON is YAML
    try:
        parse_template(text, "t.yaml")
    except TemplateError as exc:
        if VALIDATOR.is_valid(changed):
            assert any(rule in str(exc) for rule in BETWEEN_KEYS), exc
        assert str(exc).startswith("t.yaml:1:")
    else:
        VALIDATOR.validate(changed)
