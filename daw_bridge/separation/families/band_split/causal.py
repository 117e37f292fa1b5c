"""The bundled model `preview`: its weights, and the causal network run over a whole song with its delay taken out.

A song that is there as a whole has a future: where the weights say how, the low end is shared out once more by what
comes next (`look_ahead`). Live, nothing of this is used.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from daw_bridge.errors import ModelError, WeightsCorrupt, WeightsMissing
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.engine.separator import Emit, SampleSource
from daw_bridge.separation.families.band_split.bundled import bundled_file
from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.look_ahead import LookAhead, LookingAhead
from daw_bridge.separation.families.band_split.network import BandSplitNet
from daw_bridge.separation.families.band_split.streaming import StreamingModel
from daw_bridge.separation.families.band_split.torch_engine import TorchEngine

FloatArray = NDArray[np.float32]

_BLOCK_SAMPLES = 4 * 44_100
LOOK_AHEAD = "look_ahead."
"""Before the names of its tensors, which stand in the file of the network's."""


class PreviewSeparator:
    """The causal network as a `Separator`: constant memory, exact length, stems that sum to the mix."""

    name = "preview"
    channels = 2

    def __init__(self, net: BandSplitNet, *, look_ahead: LookAhead | None = None, threads: int | None = None) -> None:
        self._model = StreamingModel(TorchEngine(net))
        self._look_ahead = look_ahead
        # The operations are small: one core is 14 times real time, and a second one brings little on an idle machine
        # but makes it ten times slower on a busy one, where torch's threads wait for each other.
        self._threads = threads or 1

    @property
    def sources(self) -> tuple[str, ...]:
        return self._model.sources

    @property
    def sample_rate_hz(self) -> int:
        return self._model.config.sample_rate_hz

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        """Emit the stems of [start_samples, length), block by block. Raises Cancelled between blocks.

        The recurrence remembers the whole song, so a run that resumes listens to the part before `start_samples`
        again, and then gives the very samples of an uncut run.
        """
        threads_before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            self._run(source, emit, start_samples, on_progress, cancel)
        finally:
            torch.set_num_threads(threads_before)

    def _run(
        self, source: SampleSource, emit: Emit, start_samples: int, on_progress: OnProgress, cancel: CancelToken
    ) -> None:
        length, handed = source.length_samples, 0

        def hand_on(stems: FloatArray) -> None:
            nonlocal handed
            before = max(0, start_samples - handed)
            handed += stems.shape[2]
            if stems.shape[2] > before:
                emit(stems[:, :, before:])

        take = hand_on
        if self._look_ahead is not None:
            take = LookingAhead(self._look_ahead, hand_on, length_samples=length).feed
        source.seek(0)
        state, fed, done = self._model.initial_state(), 0, 0
        while done < length:
            cancel.check()
            block = source.read(min(_BLOCK_SAMPLES, length - fed)) if fed < length else _silence(0)
            if block.shape[1] == 0:
                block = _silence(self._model.latency_samples)
            fed += block.shape[1]
            stems, state = self._model.step(block, state)
            stems = stems[:, :, : length - done]
            done += stems.shape[2]
            take(stems)
            on_progress(Progress(stage="separate", done=handed, total=length))


def load_net(weights_path: Path | None = None) -> BandSplitNet:
    """The network with its weights, ready to listen. Raises WeightsMissing, WeightsCorrupt."""
    path = weights_path or bundled_file("preview.safetensors")
    if not path.is_file():
        raise WeightsMissing(f"{path}: no such weights file; leave `weights` out to use the bundled ones")
    try:
        with safe_open(path, framework="pt") as file:
            config = BandSplitConfig.from_json(json.loads((file.metadata() or {})["config"]))
            tensors = {key: file.get_tensor(key) for key in file.keys() if not key.startswith(LOOK_AHEAD)}  # noqa: SIM118
        net = BandSplitNet(config)
        net.load_state_dict(tensors)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise WeightsCorrupt(f"{path}: not the weights of a band-split network ({reason})") from exc
    return net.eval()


def load_look_ahead(weights_path: Path | None = None) -> LookAhead | None:
    """What a weights file that `load_net` takes knows of the low end for offline use, if it does.

    Raises WeightsMissing, WeightsCorrupt.
    """
    path = weights_path or bundled_file("preview.safetensors")
    with safe_open(path, framework="np") as file:
        names = [key for key in file.keys() if key.startswith(LOOK_AHEAD)]  # noqa: SIM118
        weights = {key.removeprefix(LOOK_AHEAD): file.get_tensor(key) for key in names}
    try:
        return LookAhead(weights) if weights else None
    except (KeyError, ValueError) as exc:
        raise WeightsCorrupt(
            f"{path}: its {LOOK_AHEAD}* tensors do not fit this program ({exc}); export the weights again"
        ) from exc


def load_causal(weights_path: Path | None) -> BandSplitNet:
    """`load_net`, and ModelError for a network that looks ahead."""
    net = load_net(weights_path)
    if not net.config.causal:
        raise ModelError(f"{weights_path}: a bidirectional network cannot run live; it is for separate and build")
    return net


def _silence(samples: int) -> FloatArray:
    return np.zeros((2, samples), np.float32)
