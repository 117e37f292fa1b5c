"""Score the shipped model on the shared songs and write the model card: one command for every figure in it.

    python examples/train_preview/evaluate.py --audio ../shared/audio --validation SONGS [--keep-baseline]

SONGS is what validation.py made; without it the card lacks those songs.

Each stem's whole-song SDR, beside "mix / number of stems" and a signal-processing baseline (baseline.py). The figures
also go to docs/preview-scores.json; --keep-baseline takes the baseline's from there, because it never changes and its
median filters take longer than the model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import baseline
import numpy as np
import torch
from scores import read_stems, sdr_db, separate

from daw_bridge.separation.families.band_split.bundled import WEIGHTS_FOLDER
from daw_bridge.separation.families.band_split.causal import load_look_ahead, load_net
from daw_bridge.separation.families.band_split.look_ahead import LookAhead
from daw_bridge.separation.families.band_split.network import BandSplitNet

SONGS = ("sodium", "caesium", "potassium", "rubidium")
Row = dict[str, float]
Table = dict[str, dict[str, Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--validation", type=Path, help="folder of more songs that were never trained on")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--held-out", default="francium")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--keep-baseline", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    net, look_ahead = load_net(args.weights), load_look_ahead(args.weights)
    scores_file = args.docs / "preview-scores.json"
    before = json.loads(scores_file.read_text()) if args.keep_baseline else {}
    folders = {args.held_out: args.audio / args.held_out}
    if args.validation is not None:
        folders |= {folder.name: folder for folder in sorted(args.validation.iterdir()) if folder.is_dir()}
    held_out = tuple(folders)
    folders |= {song: args.audio / song for song in SONGS}
    table = {song: score(net, look_ahead, folder, before.get(song)) for song, folder in folders.items()}
    about = json.loads((WEIGHTS_FOLDER / "preview.json").read_text())
    text = scores_table(table, held_out)
    print(text, flush=True)
    parts = Path(__file__).with_name("card.md").read_text()
    values = {"scores": text, **about["training"], "parameters": f"{about['parameters']:,}", "held_out": args.held_out}
    for key, value in values.items():
        parts = parts.replace("{{" + key + "}}", str(value))
    (args.docs / "preview-model-card.md").write_text(parts)
    rounded = {
        song: {stem: {k: round(v, 2) for k, v in row.items()} for stem, row in rows.items()}
        for song, rows in table.items()
    }
    scores_file.write_text(json.dumps(rounded, indent=1) + "\n")
    for yardstick in ("trivial", "baseline"):
        lost = [
            f"{song} {stem}"
            for song, rows in table.items()
            for stem, row in rows.items()
            if row["model"] <= row[yardstick]
        ]
        print(f"not above the {yardstick} estimator:", ", ".join(lost) or "none")
    means = [np.mean([row["model"] for row in table[song].values()]) for song in held_out]
    print("means of the held-out songs:", ", ".join(f"{s} {m:.2f}" for s, m in zip(held_out, means, strict=True)))


def score(
    net: BandSplitNet, look_ahead: LookAhead | None, folder: Path, known: dict[str, Row] | None
) -> dict[str, Row]:
    """SDR in dB of each stem that sounds: model, baseline (that of `known` if given), trivial."""
    truth = read_stems(folder, net.config.sources)
    mix = truth.sum(0)
    stems = separate(net, mix, look_ahead)
    plain = baseline.separate(mix) if known is None else {}
    rows = {}
    for index, name in enumerate(net.config.sources):
        if np.any(truth[index]):
            rows[name] = {
                "model": sdr_db(truth[index], stems[index]),
                "baseline": known[name]["baseline"] if known is not None else sdr_db(truth[index], plain[name]),
                "trivial": sdr_db(truth[index], mix / len(net.config.sources)),
            }
    return rows


def scores_table(table: Table, held_out: tuple[str, ...]) -> str:
    """Markdown, a row for every stem."""
    lines = ["| song | stem | preview | centre/side + HPSS | mix / 4 |", "|---|---|---|---|---|"]
    for song, rows in table.items():
        label = f"**{song}** (held out)" if song in held_out else f"{song} (trained on)"
        for stem, row in rows.items():
            lines.append(f"| {label} | {stem} | {row['model']:.2f} | {row['baseline']:.2f} | {row['trivial']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
