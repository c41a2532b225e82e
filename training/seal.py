"""A pack folder -> its manifest, with the hash and size of every file.

    python seal.py --pack DIR [--evaluation TABLE.md]

With --evaluation the text replaces the model card's section before the files are hashed again.
"""

import argparse
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from failures import run_stage

SECTION = re.compile(r"<!-- evaluation: begin -->.*?<!-- evaluation: end -->", re.DOTALL)


def seal(folder: Path, manifest: dict[str, Any], name: str = "pack.json") -> None:
    """Write pack.json, or another manifest, for the files that are there."""
    manifest["files"] = {
        f.name: {"sha256": hashlib.sha256(f.read_bytes()).hexdigest(), "bytes": f.stat().st_size}
        for f in sorted(folder.iterdir())
        if f.name != name
    }
    (folder / name).write_text(json.dumps(manifest, indent=2) + "\n")


def with_evaluation(card: str, text: str) -> str:
    """The model card with its evaluation section replaced."""
    assert SECTION.search(card), "The model card has no evaluation section."
    return SECTION.sub(lambda _: f"<!-- evaluation: begin -->\n{text.strip()}\n<!-- evaluation: end -->", card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--evaluation", type=Path, help="Markdown")
    args = parser.parse_args()
    manifest = json.loads((args.pack / "pack.json").read_text())
    card = args.pack / manifest["modelCard"]
    if args.evaluation is not None:
        card.write_text(with_evaluation(card.read_text(), args.evaluation.read_text()))
    seal(args.pack, manifest)


if __name__ == "__main__":
    run_stage(main)
