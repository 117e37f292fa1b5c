"""`import daw_bridge`: all that a user needs, nothing else to see, nothing heavy loaded."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import daw_bridge
from daw_bridge import errors

ROOT = Path(__file__).resolve().parent.parent


def test_dir_shows_the_public_names_and_each_is_there() -> None:
    assert dir(daw_bridge) == sorted(daw_bridge.__all__)
    for name in daw_bridge.__all__:
        assert getattr(daw_bridge, name) is not None, name


def test_every_public_name_says_what_it_is() -> None:
    silent = [
        name for name in daw_bridge.__all__ if name != "__version__" and not inspect.getdoc(getattr(daw_bridge, name))
    ]
    assert not silent


def test_every_error_of_the_tree_is_public() -> None:
    tree = {name for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, Exception)}
    assert tree <= set(daw_bridge.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'biuld'"):
        _ = daw_bridge.biuld


def test_importing_the_errors_and_options_loads_nothing_heavy() -> None:
    code = (
        "import sys; from daw_bridge import BuildOptions, CancelToken, DawBridgeError, build, batch\n"
        "sys.exit(', '.join({'torch', 'reapy', 'demucs', 'scipy'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)


def test_a_batch_and_an_evaluation_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    demo = ROOT / "examples" / "demo_song"
    truth = tmp_path / "truth"
    truth.mkdir()
    for name in ("vocals", "drums", "bass", "other"):
        audio, rate_hz = soundfile.read(demo / f"{name}.ogg", frames=66_150, dtype="float32")
        soundfile.write(truth / f"{name}.wav", audio, rate_hz, subtype="FLOAT")
    mix, rate_hz = soundfile.read(demo / "mix.flac", frames=66_150, dtype="float32")
    soundfile.write(tmp_path / "song.wav", mix, rate_hz, subtype="FLOAT")
    options = daw_bridge.BuildOptions(model="preview", daws=(), template="neutral")
    (outcome,) = daw_bridge.batch(tmp_path / "song.wav", options)
    assert outcome.error == ""
    assert outcome.folder is not None
    (again,) = daw_bridge.batch([tmp_path / "song.wav"], options)
    assert again.skipped
    evaluation = daw_bridge.evaluate(outcome.folder, truth)
    assert {score.name for score in evaluation.stems} == {"vocals", "drums", "bass", "other"}
    assert evaluation.null is not None
    assert evaluation.null.peak_db <= -120.0
