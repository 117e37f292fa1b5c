"""One mix to its stems on the disk: resampled to the model's rate and back, aligned, exact in length, resumable.

The model's stems grow as raw frames in a work folder (`work_folder`) that a killed run leaves behind. When they are
whole, one pass brings them to the source's rate, makes the residual and writes all files (`write_stems`); another
reads them back and measures how deep they null against the reference.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from daw_bridge.audio.resample_torchaudio import choose
from daw_bridge.errors import OutputError
from daw_bridge.files import sha256_of_file
from daw_bridge.model import StemSet
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.disk.background import BackgroundWriter
from daw_bridge.separation.disk.mix_source import Mix, open_mix
from daw_bridge.separation.disk.residual import Consistency
from daw_bridge.separation.disk.work_folder import WorkFolder, check_space, remove_abandoned
from daw_bridge.separation.disk.write_stems import INTEGER_BITS, write_stems
from daw_bridge.separation.engine.memory import cpu_time_s, rung_of
from daw_bridge.separation.engine.separator import FloatArray, Separator
from daw_bridge.separation.families.family import Loaded, LoadModel
from daw_bridge.separation.families.loader import load
from daw_bridge.separation.options import SeparationOptions, file_settings, sample_settings, wanted_stems
from daw_bridge.units import SILENCE_DB, clock

ALGORITHM = "daw-bridge separation 2"
"""Part of every key: raised when the same settings would give other samples, be it in their last bits, so that no
cached stem and no half of a killed run is mixed with the new ones. Whoever changes how a network, the overlap-add, the
resampling or the residual computes raises it, and says here what changed.

2: no two threads share a sum (1 gave other last bits, -151 dBFS, on other cores or with other free memory).
"""

NULL_DEPTH_DB = -120.0
_ZERO_BLOCK_SAMPLES = 1 << 18
_LONG_S = 60.0
"""A run that takes longer than this is announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparationResult:
    """What came out. `null_depth_db` is read back from the written files; both levels are floored at SILENCE_DB.

    `resumed_at_s` is how much of the mix an earlier, killed run had already done.
    """

    stems: StemSet
    model: str
    weights_sha256: str
    settings: dict[str, Any]
    null_depth_db: float
    residual_rms_db: float
    notes: tuple[str, ...]
    elapsed_s: float
    resumed_at_s: float = 0.0


def separation_key(audio_sha256: str, options: SeparationOptions, weights_sha256: str) -> str:
    """Hex sha256 over the mix, the weights and every option that influences the written files: the cache's key."""
    return _digest({**file_settings(options), "algorithm": ALGORITHM, "audio": audio_sha256, "weights": weights_sha256})


def _rounded_by(loaded: Loaded, options: SeparationOptions) -> dict[str, Any]:
    """What a killed run must have in common with the one that goes on with it, beside the settings, to the last bit.

    On the CPU nothing (see `Rung`). On a GPU the device, and the batch: one that the user chose, else the one that
    the killed run had, which its journal says (`Loaded.repeat`).
    """
    if loaded.rung is None or loaded.rung.device == "cpu":
        return {}
    return {"device": loaded.rung.device, "batch_segments": options.batch_segments}


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()


def _influences(options: SeparationOptions, loaded: Loaded, reference_sha256: str, resampler: str) -> dict[str, Any]:
    """Everything that the samples of a run depend on: what another run must share to go on with its work."""
    return {
        **sample_settings(options),
        "algorithm": ALGORITHM,
        "reference": reference_sha256,
        "weights": loaded.weights_sha256,
        **_rounded_by(loaded, options),
        **({} if resampler == "soxr" else {"resampler": resampler}),
    }


def separate_reference(
    reference: Path,
    folder: Path,
    options: SeparationOptions,
    *,
    prefix: str = "",
    provenance: str = "",
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    separator: Separator | None = None,
    load_model: LoadModel = load,
    reference_sha256: str = "",
) -> SeparationResult:
    """Separate a float32 WAV (mono or stereo, 8 to 192 kHz) into `folder/{prefix}{stem}.wav` (or .flac).

    Stems have the reference's rate, channels and exact length. A mono mix is given to the model on both channels and
    comes back as their mean. A run that was killed continues when it is started again with the same arguments, and
    gives the identical samples. `separator` replaces the model of the options; `load_model` says where it comes from
    (a `ModelKeeper` loads once for many songs); `reference_sha256` names the reference's samples where they are known.
    Raises InputError, OutputError, ModelError, GuardRefused, DeviceError, Busy, Cancelled.
    """
    started = time.monotonic()
    run = _Run(options, on_progress, cancel or CancelToken())
    loaded = run.load(separator, load_model)
    resampling = run.resampling = choose(options.resampler, loaded.rung.device if loaded.rung else "cpu")
    mine = {"reference": reference.name, "prefix": prefix}
    header = {**mine, "model": options.model, "rung": asdict(loaded.rung) if loaded.rung else None}
    sha256 = reference_sha256 or sha256_of_file(reference)
    digest = _digest(_influences(options, loaded, sha256, resampling.name))
    done = False
    with ExitStack() as scope:
        work = WorkFolder(folder, digest[:16], header)
        scope.callback(lambda: work.release(remove=done))
        mix = scope.enter_context(
            open_mix(
                reference,
                rate_hz=loaded.separator.sample_rate_hz,
                channels=loaded.separator.channels,
                work=work.path,
                on_progress=run.on_progress,
                cancel=run.cancel,
                resampler=resampling.make,
            )
        )
        consistency = run.consistency(loaded)
        recorded = rung_of(work.header.get("rung"))
        with loaded.turn:
            if loaded.repeat is not None and recorded is not None:
                loaded.repeat(recorded)
            run.say_how_long(loaded, mix)
            resumed = run.compute(mix, loaded.separator, work, consistency)
        stems = run.write(reference, folder, loaded.separator, work, consistency, prefix, provenance)
        depth_db = run.verify(stems, options.residual)
        done = True
    remove_abandoned(folder, mine)
    return SeparationResult(
        stems=stems,
        model=loaded.separator.name,
        weights_sha256=loaded.weights_sha256,
        settings=run.settings(loaded),
        null_depth_db=depth_db,
        residual_rms_db=max(SILENCE_DB, consistency.residual_rms_db),
        notes=tuple(run.notes),
        elapsed_s=time.monotonic() - started,
        resumed_at_s=resumed / loaded.separator.sample_rate_hz,
    )


class _Run:
    """The steps of one `separate_reference`, and the notes that they leave."""

    def __init__(self, options: SeparationOptions, on_progress: OnProgress, cancel: CancelToken) -> None:
        self.options, self.cancel = options, cancel
        self.notes: list[str] = []
        self.resampling = choose("soxr", "cpu")
        self._listener = on_progress
        self._last = Progress(stage="load", done=0, total=1)

    def on_progress(self, event: Progress) -> None:
        self._last = event
        self._listener(event)

    def note(self, text: str) -> None:
        """A line for a person, now (with the progress as it stands) and in the result."""
        self.notes.append(text)
        self.on_progress(replace(self._last, note=text))
        self._last = replace(self._last, note="")

    def load(self, separator: Separator | None, load_model: LoadModel) -> Loaded:
        if separator is not None:
            return Loaded(
                separator=separator,
                weights_sha256=str(getattr(separator, "weights_sha256", "")),
                complement=str(getattr(separator, "complement", "")),
            )
        return load_model(self.options, self.note)

    def say_how_long(self, loaded: Loaded, mix: Mix) -> None:
        """A long run on a CPU is announced with what would be quicker."""
        if loaded.cpu_s_per_s is None or loaded.rung is None or loaded.rung.device != "cpu":
            return
        cores = loaded.rung.workers
        seconds = cpu_time_s(loaded.cpu_s_per_s, mix.length_samples / mix.sample_rate_hz, cores)
        if seconds >= _LONG_S:
            self.note(
                f"about {clock(seconds)} on {cores} core(s): {loaded.separator.name} takes {loaded.cpu_s_per_s:.0f} s "
                "of one core for each second of music; quicker: a GPU, or the model htdemucs"
            )

    def kept(self, separator: Separator) -> list[int]:
        """Which of the separator's stems are asked for, in its order."""
        wanted = wanted_stems(self.options)
        return [index for index, name in enumerate(separator.sources) if wanted is None or name in wanted]

    def consistency(self, loaded: Loaded) -> Consistency:
        separator = loaded.separator
        return Consistency(
            self.options.residual,
            [separator.sources[index] for index in self.kept(separator)],
            bits=INTEGER_BITS[self.options.encoding],
            complement=self.options.two_stems is not None,
            rest=loaded.complement,
        )

    def compute(self, mix: Mix, separator: Separator, work: WorkFolder, consistency: Consistency) -> int:
        """Let the stems in the work folder grow to the whole mix; the sample at which this run began."""
        kept = self.kept(separator)
        total = mix.source.length_samples
        stems = work.stems(len(kept) * separator.channels)
        begun = stems.done_samples
        frame_bytes = 4 * len(kept) * separator.channels
        written_bytes = 4 * len(consistency.names) * mix.channels * mix.length_samples
        try:
            check_space(work.path, (total - begun) * frame_bytes + written_bytes)
            if mix.peak == 0.0:
                self.note("the mix is silent from beginning to end; so are its stems")
                _append_silence(stems.append, (len(kept), separator.channels), total - begun)
            elif begun < total:
                with BackgroundWriter(stems.append) as writer:
                    separator.run(
                        mix.source,
                        lambda block: writer.put(block[kept] if len(kept) < len(block) else block),
                        start_samples=begun,
                        on_progress=self.on_progress,
                        cancel=self.cancel,
                    )
            if stems.done_samples != total:
                raise OutputError(f"{work.path}: {separator.name} gave {stems.done_samples} samples of {total}")
        finally:
            stems.flush()
            stems.close()
        return begun

    def write(
        self,
        reference: Path,
        folder: Path,
        separator: Separator,
        work: WorkFolder,
        consistency: Consistency,
        prefix: str,
        provenance: str,
    ) -> StemSet:
        line = provenance or f"daw-bridge model={separator.name}"
        with work.open_stems(len(self.kept(separator)) * separator.channels) as raw:
            return write_stems(
                raw,
                reference,
                folder,
                consistency,
                rate_hz=separator.sample_rate_hz,
                encoding=self.options.encoding,
                prefix=prefix,
                provenance=line,
                on_progress=self.on_progress,
                cancel=self.cancel,
                resampler=self.resampling.make,
            )

    def verify(self, stems: StemSet, residual: str) -> float:
        """How deep the written files null against the reference, dBFS."""
        from daw_bridge.audio.null import null_depth_db

        self.on_progress(Progress(stage="verify", done=0, total=1))
        depth_db = max(SILENCE_DB, null_depth_db(stems.reference.path, [stem.path for stem in stems.stems]))
        self.on_progress(Progress(stage="verify", done=1, total=1))
        if depth_db > NULL_DEPTH_DB and (residual != "none" or self.options.two_stems):
            self.note(f"the stems null only to {depth_db:.1f} dBFS; does the mix go far beyond full scale?")
        return depth_db

    def settings(self, loaded: Loaded) -> dict[str, Any]:
        """Everything that influenced the samples, for the manifest."""
        return {
            **file_settings(self.options),
            "algorithm": ALGORITHM,
            "precision": self.options.precision,
            "segments_s": list(loaded.segment_s),
            "model_sample_rate_hz": loaded.separator.sample_rate_hz,
            "computed_on": loaded.rung.describe() if loaded.rung else "CPU",
            "torch": version("torch"),
            **self.resampling.settings,
        }


def _append_silence(append: Any, shape: tuple[int, int], count: int) -> None:
    for begin in range(0, count, _ZERO_BLOCK_SAMPLES):
        block: FloatArray = np.zeros((*shape, min(_ZERO_BLOCK_SAMPLES, count - begin)), dtype=np.float32)
        append(block)
