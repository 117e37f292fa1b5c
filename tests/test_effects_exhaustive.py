"""No adapter drops an effect in silence: each dispatch over effects is exhaustive, and an unknown one is an error."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from daw_bridge.adapter import Feature, Reachable, feature_of
from daw_bridge.model import MIX_BUS, Bus, Delay, Effect, Equalizer, SessionPlan
from daw_bridge.plan_json import EFFECT_TYPES
from daw_bridge.registry import BUILT_IN, load_adapter
from daw_bridge.templates.table import RETURN_EFFECTS
from daw_bridge_osc.apply import plan_limits
from daw_bridge_osc.profile_file import load_profile

ROOT = Path(__file__).parents[1]
EFFECTS: tuple[type, ...] = get_args(Effect)
NAMES = {effect.__name__ for effect in EFFECTS}
# NI Stems hold sound and no effects, and want exactly four stems: tests/nistem says what they report.
FILE_ADAPTERS = [
    name for name in BUILT_IN if not name.startswith("nistem") and not isinstance(load_adapter(name), Reachable)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chorus:
    """An eighth effect, which nobody knows."""

    rate_hz: float = 1.0
    enabled: bool = True


def plan_with(effect: Effect) -> SessionPlan:
    bus = Bus(name="room", label="Room", effects=(effect,))
    plan = SessionPlan(
        name="x", sample_rate_hz=48_000, length_samples=0, tracks=(), buses=(), mix_bus=Bus(name=MIX_BUS, label="Mix")
    )
    return replace(plan, returns=(bus,))


def test_every_effect_has_a_row_of_its_own_a_template_record_and_a_name_in_plans() -> None:
    example: dict[type, dict[str, Any]] = {Equalizer: {"bands": ()}, Delay: {"time_ms": 1.0}}
    made = [kind(**(example.get(kind) or _required(kind))) for kind in EFFECTS]
    assert len({feature_of(effect) for effect in made}) == len(EFFECTS)
    assert {record.build for record in RETURN_EFFECTS.values()} == set(EFFECTS)
    assert set(EFFECT_TYPES.values()) == set(EFFECTS)


def _required(kind: type) -> dict[str, Any]:
    values = {"threshold_db": -20.0, "ratio": 2.0, "gain_db": 1.0, "daw": "nobody", "name": "X"}
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FILE_ADAPTERS)
def test_an_unknown_effect_ends_the_writing_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="unreachable, but got: Chorus"):
        load_adapter(name).write(plan_with(cast("Effect", Chorus())), tmp_path, "song")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_effect_is_an_error_over_osc_and_in_the_table_too() -> None:
    with pytest.raises(AssertionError, match="unreachable, but got: Chorus"):
        plan_limits(plan_with(cast("Effect", Chorus())), load_profile("reaper"))
    with pytest.raises(AssertionError, match="unreachable, but got: Chorus"):
        feature_of(cast("Effect", Chorus()))


@pytest.mark.parametrize("name", FILE_ADAPTERS)
@pytest.mark.parametrize("kind", EFFECTS)
def test_an_effect_is_written_or_reported_under_its_row(name: str, kind: type, tmp_path: Path) -> None:
    effect = kind(**({"bands": ()} if kind is Equalizer else {"time_ms": 1.0} if kind is Delay else _required(kind)))
    adapter = load_adapter(name)
    report = adapter.write(plan_with(effect), tmp_path, "song")
    if feature_of(effect) is Feature.PLUGIN or feature_of(effect) not in adapter.features:
        assert feature_of(effect) in {limit.feature for limit in report.limits}


def _dispatches(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements and tables that tell three or more kinds of effects apart."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Match):
            tested: list[ast.AST] = [case.pattern for case in node.cases]
        elif isinstance(node, ast.Dict):
            tested = [key for key in node.keys if key is not None]
        else:
            continue
        found = {name.id for part in tested for name in ast.walk(part) if isinstance(name, ast.Name)}
        if len(found & NAMES) >= 3:
            yield node


def _is_exhaustive(node: ast.AST) -> bool:
    """Whether it is a match whose last case is `case _: assert_never(...)`."""
    if not isinstance(node, ast.Match):
        return False
    last = node.cases[-1]
    is_default = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
    return is_default and "assert_never" in ast.unparse(last.body[0])


def test_each_dispatch_over_effects_ends_in_assert_never_so_that_the_type_checker_finds_a_forgotten_one() -> None:
    folders = {path.name: 0 for path in (ROOT / "adapters").iterdir() if path.is_dir()}
    for folder in folders:
        for path in (ROOT / "adapters" / folder).rglob("*.py"):
            for node in _dispatches(ast.parse(path.read_text("utf-8"))):
                assert _is_exhaustive(node), f"{path.name}:{getattr(node, 'lineno', 0)}"
                folders[folder] += 1
    for folder in ("ardour", "dawproject", "osc", "reaper", "render"):
        assert folders[f"daw_bridge_{folder}"] >= 1, folder
