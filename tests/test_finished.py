"""A song that is finished already is the result of the same request, and of no other one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge.audio import guarded
from daw_bridge.errors import InputError, OutputError
from daw_bridge.workflow import BuildOptions, build
from daw_bridge.workflow.finished import build_if_needed
from tests.audio.signals import noise, write_wav
from tests.kill.steps import shares


def options_for(folder: Path) -> BuildOptions:
    return BuildOptions(model="preview", template="neutral", device="cpu", output=folder / "song", use_cache=False)


def test_a_finished_song_is_not_made_twice_and_no_other_is_taken_for_it(tmp_path: Path) -> None:
    """As a job of the daemon that was killed between the song's last step and its row in the queue."""
    mix, options = write_wav(tmp_path / "mix.wav", noise(3_000), 44_100), options_for(tmp_path)
    first = build_if_needed(mix, options, load_model=shares)
    assert first.reports
    again = build_if_needed(mix, options, load_model=shares)
    assert again.manifest == first.manifest and not again.reports
    for other in (replace(options, template="band"), replace(options, daws=("dawproject",))):
        with pytest.raises(OutputError, match="holds a session already"):
            build_if_needed(mix, other, load_model=shares)
    (tmp_path / "song" / first.manifest.stems[0].file).unlink()
    with pytest.raises(OutputError, match="holds a session already"):
        build_if_needed(mix, options, load_model=shares)


@pytest.mark.parametrize("step", ["probe", "decode"])
def test_a_mix_is_probed_and_decoded_by_the_process_with_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    program = "import os; from daw_bridge.audio import decode_worker as worker; "
    program += f"worker._WORK[{step!r}] = lambda order: os.abort(); worker.main()"
    monkeypatch.setattr(guarded, "_idle", [])
    monkeypatch.setattr(guarded, "COMMAND", (sys.executable, "-c", program))
    mix = write_wav(tmp_path / "mix.wav", noise(3_000), 44_100)
    with pytest.raises(InputError, match=r"the decoder crashed on it \(signal 6\)"):
        build(mix, options_for(tmp_path), load_model=shares)
    assert [path.name for path in tmp_path.iterdir()] == ["mix.wav"]
    guarded._close_all()
