"""What the model card says of the training run."""

import json
from pathlib import Path

from model_card import curve_table


def test_the_curve_is_told_where_held_out_losses_were_taken(tmp_path: Path) -> None:
    file = tmp_path / "curve.jsonl"
    lines = [{"step": 1, "tokens": 9e5, "loss": 4.5}, {"step": 2, "tokens": 1e6, "loss": 4.25}]
    lines.append({"step": 2, "tokens": 1e6, "none": 3.5, "full": 3.25, "copies": 0.1})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert curve_table(file).endswith("|---|---|---|---|\n| 1.0 | 4.25 | 3.500 | 3.250 |")
    assert curve_table(tmp_path / "none.jsonl") == ""
