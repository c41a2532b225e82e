"""Names are chosen as the engine chooses them: both are tested on the same cases."""

import json
from pathlib import Path

import pytest

from entity_names import entity_names

CASES = json.loads((Path(__file__).parents[2] / "test" / "fixtures" / "entityNames.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_names_are_the_engines(case: dict[str, object]) -> None:
    found = entity_names(case["chunks"], case["prefix"], case["suffix"], case["budget"], len)  # type: ignore[arg-type]
    assert found == case["names"]
