"""A song folder as `build` leaves it, in a moment and without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from daw_bridge.audio.null import null_depth_db
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.files import sha256_of_file
from daw_bridge.manifest import Manifest, OriginalFile, ReferenceFile, SeparationRecord, StemFile, write_manifest
from daw_bridge.workflow.sessions import choose_template, load_adapters, write_sessions

RATE_HZ = 44_100
STEMS = ("drums", "bass", "other", "vocals", "residual")


def make_song(
    folder: Path,
    *,
    seconds: float = 6.0,
    name: str = "Demo",
    template: str = "band",
    names: Sequence[str] = STEMS,
) -> Path:
    """A song folder as `build` leaves it: samples in steps of 2^-18, so that stems add to the mix exactly."""
    rng = np.random.default_rng(3)
    length = int(seconds * RATE_HZ)
    audio = folder / "audio"
    audio.mkdir(parents=True)
    (folder / "original").mkdir()
    step = 2.0**-18
    time_s = np.arange(length) / RATE_HZ
    mix = np.zeros((2, length), np.float32)
    stems = []
    for index, stem in enumerate(names):
        beat = np.exp(-8.0 * ((time_s * (index + 1)) % 1.0)) if stem != "residual" else np.full(length, 0.01)
        tone = np.sin(2 * np.pi * 110.0 * (index + 1) * time_s) + 0.3 * rng.standard_normal((2, length))
        samples = (np.round(0.12 * beat * tone / step) * step).astype(np.float32)
        mix += samples
        stems.append(_write(audio / f"{name}_{stem}.wav", samples, folder, stem))
    reference = audio / f"{name}_reference.wav"
    _write(reference, mix, folder, "reference")
    original = folder / "original" / "mix.wav"
    original.write_bytes(reference.read_bytes())
    null_db = null_depth_db(reference, [folder / stem.file for stem in stems])
    manifest = Manifest(
        name=name,
        daw_bridge="0",
        state="complete",
        request={},
        original=OriginalFile(
            file="original/mix.wav",
            sha256=sha256_of_file(original),
            size_bytes=1,
            codec="pcm",
            source_path="/secret/mix",
        ),
        reference=ReferenceFile(
            file=f"audio/{reference.name}",
            audio_sha256=sha256_of_file(reference),
            sample_rate_hz=RATE_HZ,
            channels=2,
            length_samples=length,
            channel_choice="",
            silent=False,
            integrated_lufs=-20.0,
            true_peak_dbtp=-3.0,
        ),
        stems=tuple(stems),
        separation=SeparationRecord(
            model="preview",
            weights_sha256="",
            settings={},
            versions={},
            null_depth_db=max(null_db, -240.0),
            residual_rms_db=-41.0,
            elapsed_s=3.0,
            from_cache=False,
        ),
    )
    write_manifest(folder, manifest)
    write_sessions(folder, manifest, choose_template(template), load_adapters(["reaper"]))
    return folder


def _write(path: Path, samples: np.ndarray, folder: Path, stem: str) -> StemFile:
    with AudioWriter(path, sample_rate_hz=RATE_HZ, channels=2, provenance="test") as writer:
        writer.write(samples)
    return StemFile(
        name=stem,
        role="residual" if stem == "residual" else "stem",
        file=path.relative_to(folder).as_posix(),
        sha256=sha256_of_file(path),
        size_bytes=path.stat().st_size,
    )
