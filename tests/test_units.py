"""Conversions against known values and against their own inverse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge import units


def test_known_levels() -> None:
    assert units.db_to_linear(0.0) == 1.0
    assert units.db_to_linear(-6.0206) == pytest.approx(0.5, abs=1e-6)
    assert units.linear_to_db(0.0) == -math.inf
    assert units.db_to_linear(-math.inf) == 0.0


@given(st.floats(-140, 40))
def test_db_and_linear_are_inverse(level_db: float) -> None:
    assert units.linear_to_db(units.db_to_linear(level_db)) == pytest.approx(level_db, abs=1e-9)


@given(st.floats(0.05, 30))
def test_q_and_octaves_are_inverse(q: float) -> None:
    assert units.octaves_to_q(units.q_to_octaves(q)) == pytest.approx(q, rel=1e-9)


def test_butterworth_q_is_about_1_9_octaves() -> None:
    assert units.q_to_octaves(math.sqrt(0.5)) == pytest.approx(1.8999, abs=1e-3)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3661, "1:01:01"), (-1, "0:00")])
def test_clock(seconds: float, text: str) -> None:
    assert units.clock(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e12, "2.5 TB")])
def test_human_bytes(count: float, text: str) -> None:
    assert units.human_bytes(count) == text
