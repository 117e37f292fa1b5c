"""Write THIRD_PARTY.md: who made the sounds that the bundled model has learnt from, and under which licences.

    python examples/train_preview/third_party.py --pack ../shared/audio/pack

The wheel carries the file: CC BY asks for the names, MIT and BSD for their notices. Run it again when the pack changes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INTRODUCTION = """# Third parties

The weights of the bundled model `preview` were trained on sound by the people below. None of it is in this package;
what was made of it is a set of numbers. Levels were normalised, silence trimmed, long samples faded and everything
encoded as Ogg Vorbis; in training it was cut, retuned, filtered, sent through rooms and mixed. Nobody named here
endorses daw-bridge.

- "Everything is Free" by Software-Entwicklungskit (ichbinsoftware/everythingisremixed at 6a6fbe3), CC0 1.0
- Fluid (R3) General MIDI SoundFont by Frank Wen, MIT
"""
SEQUENCED = """\
- songs that come with the sequencer LMMS (Debian's lmms-common 1.2.2+dfsg1), rendered by it with its own single
  sounds (both GPL-2+) and changed: "Reggae Try", "Reggaeton Try" and "Zero Sum Game" (original by Zakarra) by Der
  Daniel (CapDan), "CPU" by E.SoX, "Zen" by Impulslogik, "esp" by mauro (momo64), "Dr8v2" and "PpTrip" by Ümit
  (oglsdl), "Inner Recreation" by Achim Settelmeier, "Progress" by Sam (socceroos), "Make Me" by Tame Anderson, "Axe
  From The 80s" by Thomasso, "Crunk", "Cool Snip" by Greshz and "Main" by Peter Asplund (Surrender): Artistic
  License 2.0; "Final Step" by Saber Rastikerdar: BSD-2-Clause
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--sequenced", action="store_true", help="the weights have heard the songs of sequenced.py too")
    parser.add_argument("--target", type=Path, default=ROOT / "THIRD_PARTY.md")
    args = parser.parse_args()
    entries = json.loads((args.pack / "index.json").read_text())["entries"]
    sources = (args.pack / "SOURCES.md").read_text()
    introduction = INTRODUCTION + SEQUENCED if args.sequenced else INTRODUCTION
    lines = [introduction, "| source | author | licence |", "|---|---|---|"]
    rows = {
        f"| {e['repo']} at {e['commit'][:12]} | {_cell(e['author'])} | {_cell(e['licence'])} |": None for e in entries
    }
    lines += list(rows)
    lines += ["", "MIDI:", "", *[line for line in sources.splitlines() if line.startswith("- ") and ".zip" in line]]
    lines += ["", sources[sources.index("## Notices") :].rstrip()]
    args.target.write_text("\n".join(lines) + "\n")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


if __name__ == "__main__":
    main()
