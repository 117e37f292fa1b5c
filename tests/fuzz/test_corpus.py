"""What fuzzing once found, and a good input of each kind with its neighbours: no surprise, in every test run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, seeds

CORPUS = Path(__file__).resolve().parent / "corpus"
NEIGHBOURS = 60


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_holds_no_surprise(name: str) -> None:
    known = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    rng, target = random.Random(name), TARGETS[name]
    for seed in (*known, *seeds()[name]):
        target(seed)
    for seed in seeds()[name]:
        for _ in range(NEIGHBOURS):
            changed = bytearray(seed)
            for _ in range(rng.randint(1, 6)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            target(bytes(changed[: rng.randint(1, len(changed))]))
