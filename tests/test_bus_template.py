"""Bus templates: every key, every kind of error with its exact place, the schema, and writing back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from daw_bridge.errors import TemplateError
from daw_bridge.model import (
    BandKind,
    Colour,
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
    Send,
)
from daw_bridge.templates.bus_template import BusTemplate, TemplateBus, parse_template, template_to_yaml
from daw_bridge.templates.schema import template_schema
from daw_bridge.templates.store import list_templates
from daw_bridge.templates.table import BANDS, RETURN_EFFECTS
from daw_bridge.templates.yaml_nodes import parse_yaml, read_yaml
from tests.plan_strategies import templates

VALIDATOR = Draft202012Validator(template_schema())

EVERYTHING = """\
name: Everything
description: one of each
tempo_bpm: 98.5
time_signature: 6/8
buses:
  drums:
    label: Drums & Co
    stems: [drums, percussion]
    colour: "#FF8000"
    group: rhythm
    gain_db: -1.5
    pan: -.25
    mute: true
    solo: true
    effects:
      - equalizer:
          enabled: false
          bands:
            - highpass: {frequency_hz: 30}
            - lowpass: {frequency_hz: 18000, q: 1}
            - lowshelf: {frequency_hz: 100, gain_db: 2}
            - highshelf: {frequency_hz: 9e3, gain_db: -2, enabled: false}
            - bell: {frequency_hz: 400, gain_db: -3, q: 2}
            - notch: {frequency_hz: 50, q: 20}
      - gate: {threshold_db: -50, attack_ms: 2, hold_ms: 80, release_ms: 90}
      - gain: {gain_db: 3}
      - limiter: {ceiling_db: -2, threshold_db: -4, release_ms: 50}
      - plugin:
          daw: reaper
          name: "VST3: Pro-Q 3 (FabFilter)"
          parameters: {Output Level: 0.5, "1": 2}
          state: QUJD
    sends:
      - to: plate
      - {to: echo, gain_db: -12, pre_fader: true}
  bass:
    effects:
      - compressor: {threshold_db: -20, ratio: 4:1, attack_ms: 5, release_ms: 80, knee_db: 6, makeup_db: 2,
                     sidechain_bus: drums}
returns:
  plate:
    effects: [{reverb: {room_size: 0.7, damping: 0.2, width: 0.9, predelay_ms: 20}}]
  echo:
    effects: [{delay: {time_ms: 375, feedback: 0.3}}]
mix_bus:
  label: The Mix
  gain_db: -0.5
  effects:
    - compressor: {threshold_db: -10, ratio: 2}
reference:
  name: Original
  colour: "#112233"
markers:
  - {name: Start, position_s: 0}
  - {name: Chorus, position_bar: 17, length_bars: 8, colour: "#00ff00"}
"""


def test_every_key_is_read() -> None:
    template = parse_template(EVERYTHING, "t.yaml")
    drums, bass = template.buses
    assert (template.name, template.tempo_bpm, template.time_signature) == ("Everything", 98.5, (6, 8))
    assert drums == TemplateBus(
        name="drums",
        label="Drums & Co",
        stems=("drums", "percussion"),
        colour=Colour(red=255, green=128, blue=0),
        group="rhythm",
        gain_db=-1.5,
        pan=-0.25,
        mute=True,
        solo=True,
        effects=(
            Equalizer(
                enabled=False,
                bands=(
                    EqBand(kind=BandKind.HIGHPASS, frequency_hz=30.0),
                    EqBand(kind=BandKind.LOWPASS, frequency_hz=18000.0, q=1.0),
                    EqBand(kind=BandKind.LOWSHELF, frequency_hz=100.0, gain_db=2.0),
                    EqBand(kind=BandKind.HIGHSHELF, frequency_hz=9000.0, gain_db=-2.0, enabled=False),
                    EqBand(kind=BandKind.BELL, frequency_hz=400.0, gain_db=-3.0, q=2.0),
                    EqBand(kind=BandKind.NOTCH, frequency_hz=50.0, q=20.0),
                ),
            ),
            Gate(threshold_db=-50.0, attack_ms=2.0, hold_ms=80.0, release_ms=90.0),
            Gain(gain_db=3.0),
            Limiter(ceiling_db=-2.0, threshold_db=-4.0, release_ms=50.0),
            PluginRef(
                daw="reaper",
                name="VST3: Pro-Q 3 (FabFilter)",
                parameters=(("Output Level", 0.5), ("1", 2.0)),
                state="QUJD",
            ),
        ),
        sends=(Send(to="plate"), Send(to="echo", gain_db=-12.0, pre_fader=True)),
    )
    assert bass.effects == (
        Compressor(
            threshold_db=-20.0, ratio=4.0, attack_ms=5.0, release_ms=80.0, knee_db=6.0, makeup_db=2.0,
            sidechain_bus="drums",
        ),
    )  # fmt: skip
    assert template.returns[0].effects == (Reverb(room_size=0.7, damping=0.2, width=0.9, predelay_ms=20.0),)
    assert template.returns[1].effects == (Delay(time_ms=375.0, feedback=0.3),)
    assert (template.mix_bus.label, template.mix_bus.gain_db) == ("The Mix", -0.5)
    assert template.mix_bus.effects == (Compressor(threshold_db=-10.0, ratio=2.0),)
    assert (template.reference.name, template.reference.colour) == ("Original", Colour(red=17, green=34, blue=51))
    assert [marker.name for marker in template.markers] == ["Start", "Chorus"]
    assert (template.markers[1].position_bar, template.markers[1].length_bars) == (17.0, 8.0)


def test_the_file_name_names_a_template_without_name() -> None:
    assert parse_template("buses: {}\n", "/x/Rock Ballad.yaml").name == "Rock Ballad"


def test_every_effect_and_band_of_the_model_has_a_key() -> None:
    assert {record.build for record in RETURN_EFFECTS.values()} == set(get_args(Effect))
    assert set(BANDS) == {kind.value for kind in BandKind}


@pytest.mark.parametrize(
    ("written", "ratio"),
    [("4:1", 4.0), ("'4:1'", 4.0), ("1.5:1", 1.5), ("100:1", 100.0), ("4", 4.0), ("2.5", 2.5), ("1:1", 1.0)],
)
def test_a_ratio_is_a_number_or_r_to_1(written: str, ratio: float) -> None:
    text = f"buses: {{a: {{effects: [{{compressor: {{threshold_db: -9, ratio: {written}}}}}]}}}}"
    (effect,) = parse_template(text, "t").buses[0].effects
    assert isinstance(effect, Compressor)
    assert effect.ratio == ratio


@pytest.mark.parametrize(
    ("written", "levels"),
    [
        ("{}", (-1.0, -1.0)),
        ("{ceiling_db: -3}", (-3.0, -3.0)),
        ("{ceiling_db: -0.3}", (-0.3, -0.3)),
        ("{ceiling_db: -1, threshold_db: -6}", (-1.0, -6.0)),
        ("{threshold_db: -6}", (-1.0, -6.0)),
    ],
)
def test_a_limiter_without_threshold_is_a_brick_wall(written: str, levels: tuple[float, float]) -> None:
    template = parse_template(f"mix_bus: {{effects: [{{limiter: {written}}}]}}", "t", name="t")
    (limiter,) = template.mix_bus.effects
    assert isinstance(limiter, Limiter)
    assert (limiter.ceiling_db, limiter.threshold_db) == levels
    assert parse_template(template_to_yaml(template), "t") == template


def in_bus(line: str) -> str:
    """`line` (which is to stand in line 4, column 5) in a bus that has a neighbour and a return."""
    return f"buses:\n  drums: {{}}\n  bass:\n    {line}\nreturns:\n  plate: {{}}\n"


# What stands in the bus, the column of the mistake, the message, and whether the JSON Schema can know it too.
IN_A_BUS: list[tuple[str, int, str, bool]] = [
    ("gian_db: 1", 5, "unknown key 'gian_db' in bus (did you mean gain_db?)", True),
    ("gain_db: loud", 14, "expected a number, found the text 'loud'", True),
    ("gain_db: 25", 14, "25 is out of range; allowed: -150 to 24", True),
    ("gain_db: -inf", 14, "expected a number, found the text '-inf'", True),
    ("pan: -1.01", 10, "-1.01 is out of range; allowed: -1 to 1", True),
    ("mute: yes", 11, "expected true or false, found the text 'yes'", True),
    ("label: 808", 12, "expected a text, found 808; write it in quotes", True),
    ('label: ""', 12, "expected a name, found an empty text", True),
    ('label: " x"', 12, "' x' is not a name", True),
    ('label: "a\\nb"', 12, "'a\\nb' is not a name", True),
    (f"label: {'x' * 65}", 12, "65 characters are too many; allowed: 64", True),
    ("colour: red", 13, "'red' is not a colour; write it as \"#rrggbb\"", True),
    ("colour: #ff0000", 12, "in YAML a # starts a comment, so quotes are needed", True),
    ("colour: '#ff00'", 13, "'#ff00' is not a colour", True),
    ("stems: []", 12, "0 items; allowed: 1 to 32", True),
    ("stems: bass", 12, "expected a list, found the text 'bass'", True),
    ("stems: [bass, Bass]", 19, "the stem 'Bass' is already on the bus 'bass'", False),
    ("stems: [bass, drums]", 19, "the stem 'drums' is already on the bus 'drums'", False),
    ("effects: [{equaliser: {}}]", 16, "unknown effect 'equaliser' (did you mean equalizer?)", True),
    ("effects: [{reverb: {}}]", 16, "unknown effect 'reverb'; it is fully wet: put it on a return", True),
    ("effects: [{delay: {time_ms: 1}}]", 16, "unknown effect 'delay'; it is fully wet", True),
    ("effects: [{flanger: {}}]", 16, "unknown effect 'flanger'; known: equalizer, compressor", True),
    ("effects: [{gain: {gain_db: 1}, gate: {}}]", 15, "expected one effect, found gain, gate", True),
    ("effects: [{}]", 15, "expected one effect, found none", True),
    ("effects: [gate]", 15, "expected keys with values, found the text 'gate'", True),
    ("effects: [{equalizer: {bands: []}}]", 35, "0 items; allowed: 1 to 16", True),
    ("effects: [{equalizer: {bell: {}}}]", 28, "unknown key 'bell' in equalizer; it belongs in the list 'bands'", True),
    ("effects: [{equalizer: {bands: [{bel: {}}]}}]", 37, "unknown band 'bel' (did you mean bell?)", True),
    ("effects: [{equalizer: {bands: [{bell: {}}]}}]", 43, "bell band needs the key 'frequency_hz'", True),
    ("effects: [{equalizer: {bands: [{notch: {frequency_hz: 9, q: 1}}]}}]", 59, "9 is out of range; allowed: 10", True),
    (
        "effects: [{equalizer: {bands: [{highpass: {frequency_hz: 90, gain_db: 1}}]}}]",
        66,
        "unknown key 'gain_db'",
        True,
    ),
    ("effects: [{compressor: {threshold_db: -9}}]", 28, "compressor needs the key 'ratio'", True),
    ("effects: [{compressor: {treshold_db: -9}}]", 29, "did you mean threshold_db?", True),
    ("effects: [{compressor: {threshold_db: -9, ratio: 0.5}}]", 54, "0.5 is out of range; allowed: 1 to 100", True),
    ("effects: [{compressor: {threshold_db: -9, ratio: 4:2}}]", 54, "'4:2' is not a ratio; write 4 or 4:1", True),
    ("effects: [{compressor: {threshold_db: -9, ratio: 0:1}}]", 54, "'0:1' is not a ratio", True),
    ("effects: [{compressor: {threshold_db: -9, ratio: 101:1}}]", 54, "'101:1' is not a ratio", True),
    ("effects: [{compressor: {threshold_db: -9, ratio: 2, sidechain_bus: bass}}]", 72, "its own side-chain", False),
    (
        "effects: [{compressor: {threshold_db: -9, ratio: 2, sidechain_bus: drms}}]",
        72,
        "no bus called 'drms' (did you mean drums?)",
        False,
    ),
    (
        "effects: [{compressor: {threshold_db: -9, ratio: 2, sidechain_bus: plate}}]",
        72,
        "no bus called 'plate'; a side-chain comes from a bus, not from a return",
        False,
    ),
    (
        "effects: [{limiter: {ceiling_db: -3, threshold_db: -1}}]",
        25,
        "threshold (-1 dB) is above its ceiling (-3 dB)",
        False,
    ),
    ("effects: [{plugin: {daw: reaper}}]", 24, "plugin needs the key 'name'", True),
    (
        "effects: [{plugin: {daw: reaper, name: X, parameters: {a: b}}}]",
        63,
        "expected a number, found the text 'b'",
        True,
    ),
    ("sends: [{gain_db: 0}]", 13, "send needs the key 'to'", True),
    ("sends: [{to: plat}]", 18, "no return called 'plat' (did you mean plate?)", False),
    ("sends: [{to: hall}]", 18, "no return called 'hall'; known: plate", False),
    ("sends: [{to: drums}]", 18, "'drums' is a bus; sends go to returns only, so that no loop can arise", False),
    ("sends: [{to: plate}, {to: plate}]", 31, "the bus 'bass' already sends to 'plate'", False),
    ("gain_db: 1\n    gain_db: 2", 5, "key 'gain_db' is given twice, first in line 4", False),
]


@pytest.mark.parametrize(("line", "column", "message", "in_schema"), IN_A_BUS, ids=[row[0] for row in IN_A_BUS])
def test_a_mistake_in_a_bus_is_told_with_its_place(line: str, column: int, message: str, in_schema: bool) -> None:
    expected_line = 5 if "\n" in line else 4
    with pytest.raises(TemplateError) as caught:
        parse_template(in_bus(line), "song.yaml")
    assert str(caught.value).startswith(f"song.yaml:{expected_line}:{column}: ")
    assert message in str(caught.value)
    if in_schema:
        assert not VALIDATOR.is_valid(parse_yaml(in_bus(line), "t").plain())


# The whole file, the place of the mistake, the message, and whether the JSON Schema can know it too.
WHOLE_FILES: list[tuple[str, tuple[int, int], str, bool]] = [
    ("- drums\n", (1, 1), "expected keys with values, found a list", True),
    ("busses: {}\n", (1, 1), "unknown key 'busses' in template (did you mean buses?)", True),
    ("buses:\n", (1, 7), "expected keys with values, found nothing", True),
    ("buses:\n  drums:\n", (2, 9), "expected keys with values, found nothing", True),
    ("buses:\n  mix: {}\n", (2, 3), "the name 'mix' is kept for the session itself", False),
    ("buses:\n  Master: {}\n", (2, 3), "the name 'Master' is kept for the session itself", False),
    ("buses:\n  a: {}\n  A: {}\n", (3, 3), "the name 'A' is already that of a bus", False),
    ("buses:\n  a: {}\nreturns:\n  a: {}\n", (4, 3), "the name 'a' is already that of a bus", False),
    ("buses:\n  ' a': {}\n", (2, 3), "' a' is not a name", True),
    ("returns:\n  r:\n    sends: []\n", (3, 5), "unknown key 'sends' in return; a return feeds the mix bus only", True),
    ("returns:\n  r:\n    solo: true\n", (3, 5), "unknown key 'solo' in return", True),
    ("mix_bus:\n  sends: []\n", (2, 3), "unknown key 'sends' in mix bus; the mix bus feeds the master only", True),
    ("mix_bus:\n  stems: [a]\n", (2, 3), "stems belong to buses", True),
    ("reference:\n  mute: false\n", (2, 3), "the reference is always muted", True),
    ("reference:\n  gain_db: 1\n", (2, 3), "the reference keeps its level", True),
    ("tempo_bpm: 10\n", (1, 12), "10 is out of range; allowed: 20 to 400", True),
    ("time_signature: 4/3\n", (1, 17), "'4/3' is not a time signature", True),
    ("time_signature: 4\n", (1, 17), "expected a text, found 4", True),
    ("markers: [{name: A}]\n", (1, 11), "marker needs one of the keys position_s or position_bar", True),
    ("markers: [{name: A, position_s: 0, position_bar: 1}]\n", (1, 11), "takes only one of position_s and", True),
    (
        "markers: [{name: A, position_s: 0, length_s: 1, length_bars: 1}]\n",
        (1, 11),
        "marker takes only one of length_s and length_bars",
        True,
    ),
    ("markers: [{name: A, position_bar: 0}]\n", (1, 35), "0 is out of range; allowed: 1 to", True),
    ("markers: [{name: A, position_s: -1}]\n", (1, 33), "-1 is out of range", True),
]


@pytest.mark.parametrize(("text", "where", "message", "in_schema"), WHOLE_FILES, ids=[row[0] for row in WHOLE_FILES])
def test_a_mistake_elsewhere_is_told_with_its_place(
    text: str, where: tuple[int, int], message: str, in_schema: bool
) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template(text, "song.yaml")
    assert str(caught.value).startswith(f"song.yaml:{where[0]}:{where[1]}: ")
    assert message in str(caught.value)
    if in_schema:
        assert not VALIDATOR.is_valid(parse_yaml(text, "t").plain())


def keyed(**keys: str) -> str:
    """A template where each bus is compressed by another one."""
    buses = "".join(
        f"  {bus}:\n    effects:\n      - compressor: {{threshold_db: -9, ratio: 2, sidechain_bus: {key}}}\n"
        for bus, key in keys.items()
    )
    return f"buses:\n  free: {{}}\n{buses}"


def test_side_chains_in_a_circle_are_refused() -> None:
    with pytest.raises(TemplateError, match=r"t:11:\d+: the side-chains run in a circle: a <- b <- c <- a"):
        parse_template(keyed(a="b", b="c", c="a"), "t")


def test_a_circle_behind_other_buses_is_named_without_them() -> None:
    with pytest.raises(TemplateError, match=r"circle: b <- c <- b$"):
        parse_template(keyed(a="b", b="c", c="b"), "t")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("buses: {kick: {parent: drum}, drums: {}}", r"t:1:24: the bus 'kick' feeds 'drum'.*did you mean drums"),
        ("buses: {a: {parent: b}, b: {parent: c}, c: {parent: b}}", r"t:1:\d+: .*in a circle: (b > c > b|c > b > c)"),
        ("buses: {a: {parent: a}}", r"in a circle: a > a"),
        ("buses: {a: {parent: Mix}}", r"feeds the mix bus when it has no other 'parent'"),
        ("buses: {a: {}}\nreturns: {r: {parent: a}}", "parent"),
        ("mix_bus: {parent: a}", "parent"),
        (
            "buses: " + "{" + ", ".join(f"b{n}: {{{f'parent: b{n - 1}' if n else ''}}}" for n in range(10)) + "}",
            "the bus 'b9' lies inside more than 8 others",
        ),
        (
            "buses: {drums: {}, kick: {parent: drums, "
            "effects: [{compressor: {threshold_db: -9, ratio: 2, sidechain_bus: drums}}]}}",
            r"circle: .*; a bus is steered by the buses that feed it, too",
        ),
    ],
)
def test_buses_that_cannot_feed_each_other_so_are_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        parse_template(text, "t")


def test_buses_feed_buses_that_come_before_or_behind_them() -> None:
    template = parse_template("buses: {kick: {parent: drums}, drums: {}, snare: {parent: drums}}", "t")
    assert [bus.parent for bus in template.buses] == ["drums", None, "drums"]
    keyed_by_its_own = (
        "buses: {kick: {parent: drums}, "
        "drums: {effects: [{compressor: {threshold_db: -9, ratio: 2, sidechain_bus: kick}}]}}"
    )
    assert parse_template(keyed_by_its_own, "t").buses[1].effects


def test_a_hundred_buses_that_steer_each_other_are_read_in_no_time() -> None:
    """Every bus listens to the two before it: as many ways as there are rabbits."""
    compressor = "compressor: {{threshold_db: -9, ratio: 2, sidechain_bus: b{}}}"
    lines = ["buses:", "  b0: {}", "  b1: {}"]
    for number in range(2, 100):
        effects = ", ".join(f"{{{compressor.format(number - back)}}}" for back in (1, 2))
        lines.append(f"  b{number}: {{effects: [{effects}]}}")
    assert len(parse_template("\n".join(lines), "t").buses) == 100


def test_a_chain_of_side_chains_without_circle_is_fine() -> None:
    parse_template(keyed(a="b", b="c", c="free"), "t")
    many = "".join(f"  b{n}: {{}}\n" for n in range(3))
    parse_template(f"buses:\n{many}returns:\n  r:\n    effects:\n"
                   "      - compressor: {threshold_db: -9, ratio: 2, sidechain_bus: b0}\n", "t")  # fmt: skip


@given(templates())
@settings(max_examples=30, deadline=None)
def test_any_template_survives_being_written(template: BusTemplate) -> None:
    text = template_to_yaml(template)
    assert parse_template(text, "t.yaml", name=template.name) == template
    VALIDATOR.validate(parse_yaml(text, "t").plain())


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(template_schema())


def test_the_schema_takes_a_template_with_every_key() -> None:
    VALIDATOR.validate(parse_yaml(EVERYTHING, "t").plain())


@pytest.mark.parametrize("found", list_templates(Path("no-folder")), ids=lambda found: found.name)
def test_the_schema_takes_the_shipped_templates(found: Any) -> None:
    VALIDATOR.validate(read_yaml(found.path).plain())
