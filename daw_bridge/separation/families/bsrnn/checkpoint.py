"""Published BSRNN checkpoints -> networks, without executing anything that stands in them.

The published files are whole Lightning checkpoints: pickles that also carry the optimiser (twice the size of the
weights) and the training configuration as omegaconf objects. Of them only data is read (`legacy_file`); a foreign
class stays a name. What counts, the weights and six settings, is written once as safetensors
into the user's cache and read from there ever after. Widths, depths and counts are read off the weights' shapes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daw_bridge.errors import ModelError, OutputError, WeightsCorrupt, WeightsMissing
from daw_bridge.files import sha256_of_file, write_atomic
from daw_bridge.paths import user_cache_dir
from daw_bridge.separation.families.legacy_file import LegacyFile
from daw_bridge.separation.families.pickle_data import Inert, NotData

if TYPE_CHECKING:
    from torch import Tensor

    from daw_bridge.separation.families.bsrnn.network import Bsrnn, BsrnnConfig

_log = logging.getLogger(__name__)

FORMAT = "daw-bridge bsrnn 1"
STEM_ORDER = ("vocals", "bass", "drums", "other")
WEIGHT_SUFFIXES = (".safetensors", ".ckpt")
_FOREIGN = (
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "typing.Any",
)
_ONLY = {
    "time_layer": "lstm",
    "band_layer": "lstm",
    "bidirectional": True,
    "n_heads": 1,
    "group_num": 1,
    "mask_ctxt": 0,
}
"""Settings of the published networks; others exist upstream, no published network uses them."""


def weight_files(weights: Path, stems: Sequence[str] | None = None) -> list[Path]:
    """The files to load from a file or folder: of single-stem files only those of `stems`.

    Where a network is there in both forms, the safetensors is taken. Raises WeightsMissing.
    """
    if not weights.is_dir():
        return [weights]
    found: dict[str, Path] = {}
    for suffix in WEIGHT_SUFFIXES:
        for path in sorted(weights.glob(f"*{suffix}")):
            found.setdefault(path.stem, path)
    inner = [entry for entry in sorted(weights.iterdir()) if entry.is_dir()]
    if not found and len(inner) == 1:  # an archive that was unpacked with its folder
        return weight_files(inner[0], stems)
    if len(found) > 1 and stems is not None:
        found = {stem: path for stem, path in found.items() if stem in stems}
    if not found:
        raise WeightsMissing(
            f"{weights}: no BSRNN weights for {', '.join(stems) if stems else 'any stem'} in this folder; it should "
            "hold separator.ckpt, or vocals.ckpt, bass.ckpt, drums.ckpt and other.ckpt"
        )
    return [found[stem] for stem in sorted(found, key=_stem_rank)]


def _stem_rank(stem: str) -> tuple[int, str]:
    return (STEM_ORDER.index(stem) if stem in STEM_ORDER else len(STEM_ORDER), stem)


def load_network(path: Path) -> Bsrnn:
    """The network of a `.ckpt` or `.safetensors` file, on the CPU, ready to run.

    Raises WeightsMissing, WeightsCorrupt (not such a file, keys or shapes that do not fit), ModelError (a variant
    that is not among the published ones).
    """
    from daw_bridge.separation.families.bsrnn.network import Bsrnn

    state, settings = read_weights(path)
    config = config_of(state, settings, path)
    network = Bsrnn(config)
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as exc:
        reason = " ".join(str(exc).split())[:300]
        raise WeightsCorrupt(f"{path}: the weights do not fit the network ({reason})") from exc
    return network.eval().requires_grad_(False)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and settings of a file; a `.ckpt` is read once and from its converted copy in the cache afterwards."""
    if not path.is_file():
        raise WeightsMissing(f"{path}: there is no such file; give a .ckpt or .safetensors, or the folder of them")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    digest = sha256_of_file(path)
    copy = user_cache_dir() / "models" / "converted" / f"{digest}.safetensors"
    if copy.is_file():
        try:
            return _read_safetensors(copy)
        except WeightsCorrupt:
            _log.info("%s is damaged and is made again", copy)
    state, settings = _read_lightning(path, digest)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_safetensors(copy, state, settings)
    except (OSError, OutputError) as exc:
        _log.info("the converted weights are not kept: %s", exc)
    return state, settings


def convert_checkpoint(checkpoint: Path, target: Path) -> None:
    """Write the weights and settings of a Lightning checkpoint as safetensors; atomic. Raises as `load_network`."""
    state, settings = _read_lightning(checkpoint, None)
    write_safetensors(target, state, settings)


def write_safetensors(path: Path, state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
    """The form that `read_weights` reads: tensors, and the settings as JSON in the metadata."""
    from safetensors.torch import save

    tensors = {key: tensor.detach().clone().contiguous() for key, tensor in state.items()}  # some share memory
    write_atomic(path, save(tensors, {"format": FORMAT, "settings": json.dumps(dict(settings), sort_keys=True)}))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise WeightsCorrupt(f"{path}: no BSRNN weights in daw-bridge's form; give the published .ckpt")
            settings = json.loads(metadata["settings"])
            return {key: handle.get_tensor(key) for key in handle.keys()}, dict(settings)  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as exc:
        raise WeightsCorrupt(f"{path}: damaged safetensors ({exc}); convert or fetch it again") from exc


def _read_lightning(path: Path, digest: str | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    import torch

    try:
        with path.open("rb") as handle:
            # One open file for the hash and the weights: a file swapped in between is not read.
            if digest is not None and hashlib.file_digest(handle, "sha256").hexdigest() != digest:
                raise WeightsCorrupt(f"{path}: changed while it was read; run again")
            file = LegacyFile(handle, _FOREIGN)
            package = file.content if isinstance(file.content, dict) else {}
            settings = _settings(path, file.resolve(package["hyper_parameters"]))
            state = {_today(key): value for key, value in file.resolve(package["state_dict"]).items()}
        if not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise NotData("its weights are no tensors")
    except (NotData, OSError, KeyError, AttributeError, TypeError, ValueError) as exc:
        reason = str(exc).strip().splitlines()[0][:120] if str(exc).strip() else type(exc).__name__
        raise WeightsCorrupt(f"{path}: no BSRNN checkpoint that can be read safely ({reason})") from exc
    return _without_windows(path, state), settings


def _today(key: str) -> str:
    """Files of single stems from before the joint networks have one masker without a number."""
    return f"maskers.0.{key}" if key.startswith("mask.") else key


def _without_windows(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights without the window of the transform, which we make ourselves; it has to be the one we make."""
    import torch

    for key in ("stft.transf.window", "istft.transf.window"):
        window = state.pop(key, None)
        if window is not None and not torch.allclose(window, torch.hann_window(len(window)), atol=1e-6):
            raise ModelError(f"{path}: its transform has another window than Hann's; this variant is not known")
    return state


def _settings(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that no shape tells, as plain values."""
    for name, value in _ONLY.items():
        if given.get(name, value) != value:
            raise ModelError(
                f"{path}: {name} is {given[name]!r}; the published networks have {value!r}, only those run"
            )
    if given.get("stereo") not in (None, "tac"):
        raise ModelError(f"{path}: stereo is {given['stereo']!r}; only the published 'tac' runs")
    targets = given["targets"]
    if isinstance(targets, str):
        targets = [targets]
    elif isinstance(targets, Inert):  # a ListConfig
        targets = [node.get("_val") if isinstance(node, Inert) else node for node in targets.get("_content")]
    return {
        "targets": [str(target) for target in targets],
        "n_fft": int(given["n_fft"]),
        "n_hop": int(given["n_hop"]),
        "sample_rate": int(given.get("sample_rate", 44_100)),
        "eps": float(given.get("eps", 1e-7)),
        "group_num": 1,
        "subtract_last_trgt": bool(given.get("subtract_last_trgt", False)),
    }


def config_of(state: Mapping[str, Tensor], settings: Mapping[str, Any], path: Path) -> BsrnnConfig:
    """The shape of the network, read off its weights; WeightsCorrupt when they contradict themselves."""
    from daw_bridge.separation.families.bsrnn.network import BsrnnConfig

    try:
        widths = tuple(len(state[f"BN.{band}.0.weight"]) // 2 for band in range(_count(state, r"BN\.(\d+)\.")))
        hidden = state["separator.0.time_net.main_layer.weight_hh_l0"].shape[1]
        heads = _count(state, r"separator\.0\.attn_block\.attn_conv_Q_(\d+)\.")
        query = state.get("separator.0.attn_block.attn_conv_Q_0.0.weight")
        exchange = state.get("separator.0.tac_module.transform.0.weight")
        config = BsrnnConfig(
            targets=tuple(settings["targets"]),
            band_widths=widths,
            features=len(state["BN.0.1.bias"]),
            blocks=_count(state, r"separator\.(\d+)\."),
            hidden=hidden,
            mask_features=len(state["maskers.0.mask.0.1.bias"]),
            maskers=_count(state, r"maskers\.(\d+)\."),
            attention_heads=heads,
            attention_features=0 if query is None else query.shape[0],
            tac_features=0 if exchange is None else exchange.shape[0],
            tac_prelu="separator.0.tac_module.transform.1.weight" in state,
            last_is_rest=bool(settings["subtract_last_trgt"]),
            hop_samples=int(settings["n_hop"]),
            sample_rate_hz=int(settings["sample_rate"]),
            eps=float(settings["eps"]),
        )
    except (KeyError, IndexError, TypeError, ValueError) as exc:
        raise WeightsCorrupt(f"{path}: no weights of a band-split network ({exc} is missing or wrong)") from exc
    expected = config.maskers + int(config.last_is_rest)
    if len(config.targets) != expected or config.fft_samples != settings["n_fft"] or not all(widths):
        raise WeightsCorrupt(
            f"{path}: the weights contradict the settings ({expected} stems for {len(config.targets)} names, "
            f"{config.bins} bins for a transform of {settings['n_fft']})"
        )
    return config


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number that the pattern finds in the keys; 0 when it finds none."""
    numbers = [int(match.group(1)) for key in state if (match := re.match(pattern, key))]
    return max(numbers, default=-1) + 1
