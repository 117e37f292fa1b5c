"""A part of a mix: the samples of the part and no others, separated with what surrounds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.audio.decode import decode_to_reference
from daw_bridge.cli.main import main
from daw_bridge.errors import InputError, UsageError
from daw_bridge.manifest import read_manifest
from daw_bridge.workflow import BuildOptions
from daw_bridge.workflow.chain import build

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 s with an impulse on a known sample."""
    path = tmp_path_factory.mktemp("range") / "mix.wav"
    rng = np.random.default_rng(7)
    audio = 0.1 * rng.standard_normal((26 * RATE_HZ, 2))
    audio[13 * RATE_HZ] = 0.9
    soundfile.write(path, audio, RATE_HZ, subtype="FLOAT")
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))


def options(output: Path, start_s: float, end_s: float, **more: object) -> BuildOptions:
    return BuildOptions(model="preview", template="neutral", daws=(), output=output, range_s=(start_s, end_s), **more)  # type: ignore[arg-type]


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float64", always_2d=True)[0]


def test_a_part_has_its_own_samples_nulls_and_says_where_it_begins(mix: Path, tmp_path: Path) -> None:
    start, end = 12.5, 14.000_003
    result = build(mix, options(tmp_path / "part", start, end))
    first, last = round(start * RATE_HZ), round(end * RATE_HZ)
    whole = read(mix)
    reference = read(result.folder / result.manifest.reference.file)  # type: ignore[union-attr]
    np.testing.assert_array_equal(reference, whole[first:last])
    stems = [read(result.folder / stem.file) for stem in result.manifest.stems]
    assert {len(stem) for stem in stems} == {last - first}
    error = sum(stems, np.zeros_like(reference)) - reference
    assert 20.0 * np.log10(np.max(np.abs(error)) + 1e-30) <= -120.0
    manifest = read_manifest(result.folder)
    assert manifest is not None and manifest.reference is not None
    assert (manifest.reference.start_samples, manifest.request["range_s"]) == (first, [start, end])
    assert manifest.original is None
    names = [path.name for path in result.folder.rglob("*")]
    assert not [name for name in names if "context" in name or name.endswith(".part")]


def test_the_stems_of_a_part_are_those_of_the_whole_as_far_as_the_model_hears(mix: Path, tmp_path: Path) -> None:
    whole = build(mix, BuildOptions(model="preview", template="neutral", daws=(), output=tmp_path / "whole"))
    part = build(mix, options(tmp_path / "part", 12.0, 14.0))
    for one, other in zip(whole.manifest.stems, part.manifest.stems, strict=True):
        assert one.name == other.name
        if one.role == "residual":
            continue  # rounding noise
        expected = read(whole.folder / one.file)[12 * RATE_HZ : 14 * RATE_HZ]
        got = read(part.folder / other.file)
        # The preview remembers more than the context, so the samples differ; where they lie does not.
        lags = {lag: float(np.sum(got[100:-100] * np.roll(expected, lag, axis=0)[100:-100])) for lag in range(-8, 9)}
        assert max(lags, key=lambda lag: lags[lag]) == 0, one.name
        assert lags[0] > 0.9 * np.sqrt(np.sum(got[100:-100] ** 2) * np.sum(expected[100:-100] ** 2)), one.name


def test_a_part_from_the_cache_is_the_same_and_another_part_is_not(mix: Path, tmp_path: Path) -> None:
    once = build(mix, options(tmp_path / "once", 3.0, 4.0))
    again = build(mix, options(tmp_path / "again", 3.0, 4.0))
    other = build(mix, options(tmp_path / "other", 3.0, 4.5))
    assert again.manifest.separation is not None and again.manifest.separation.from_cache
    assert [stem.sha256 for stem in once.manifest.stems] == [stem.sha256 for stem in again.manifest.stems]
    assert other.manifest.separation is not None and not other.manifest.separation.from_cache


def test_an_end_behind_the_mix_is_the_end_of_the_mix(mix: Path, tmp_path: Path) -> None:
    result = build(mix, options(tmp_path / "part", 25.5, 99.0))
    assert result.manifest.reference is not None and result.manifest.reference.length_samples == RATE_HZ // 2
    with pytest.raises(InputError, match="before the range begins"):
        build(mix, options(tmp_path / "none", 30.0, 31.0))
    assert not (tmp_path / "none").exists()
    for bad in ((-1.0, 2.0), (2.0, 2.0), (3.0, 1.0), (0.0, float("inf"))):
        with pytest.raises(UsageError, match="a start of 0 or more"):
            options(tmp_path, *bad)


@pytest.mark.parametrize("suffix", [".flac", ".mp3"])
def test_a_part_of_a_compressed_file_is_that_part_of_what_is_decoded(suffix: str, mix: Path, tmp_path: Path) -> None:
    source = tmp_path / f"mix{suffix}"
    soundfile.write(source, read(mix)[: 5 * RATE_HZ], RATE_HZ)
    decode_to_reference(source, tmp_path / "whole.wav")
    decode_to_reference(source, tmp_path / "part.wav", first_samples=50_001, count_samples=12_345)
    np.testing.assert_array_equal(read(tmp_path / "part.wav"), read(tmp_path / "whole.wav")[50_001 : 50_001 + 12_345])


def test_a_range_is_given_on_the_command_line(mix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "part"
    args = ["build", str(mix), "-m", "preview", "--template", "neutral", "-o", str(out)]
    assert main([*args, "--range", "0:13-0:14"]) == 0
    manifest = read_manifest(out)
    assert manifest is not None and manifest.reference is not None
    assert manifest.reference.start_samples == 13 * RATE_HZ
    capsys.readouterr()
    assert main([*args, "--range", "a-b"]) == 2
    assert "--range a-b" in capsys.readouterr().err
