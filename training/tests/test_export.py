"""The exported graphs say what torch says, however the sequence is read."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

import parity
import quantise
from parity import Family


def rounded(family: Family) -> Family:
    family = copy.deepcopy(family)
    for model in (family.reader, family.encoder, family.fuser, family.projector):
        parity.rounded(model.eval())
    return family


def test_graphs_agree_with_torch_and_pieces_with_the_whole(family: Family) -> None:
    family = rounded(family)
    differences = parity.check(family, parity.build(family, accuracy_level=0), exact=True)
    assert set(differences) == {"embed", "encoder", "fuser", "projector", "reader", "reader pieces"}


def test_encoder_ignores_what_stands_in_padding(family: Family) -> None:
    family = rounded(family)
    run = parity.session(parity.build(family, accuracy_level=0)["encoder"])
    ids = np.random.default_rng(0).integers(0, 320, (3, 20))
    lengths = np.asarray([20, 7, 1], np.int32)
    whole = run.run(None, {"input_ids": ids, "lengths": lengths})[0]
    for row, length in enumerate(lengths):
        alone = run.run(None, {"input_ids": ids[row : row + 1, :length], "lengths": lengths[row : row + 1]})[0]
        assert np.abs(alone[0] - whole[row]).max() < 1e-4


def test_a_difference_is_refused(family: Family) -> None:
    family = rounded(family)
    models = parity.build(family, accuracy_level=0)
    family.projector.down.bias.data += 1.0
    with pytest.raises(parity.ParityError, match="projector: torch and ONNX differ"):
        parity.check(family, models, exact=True)
    family.projector.down.bias.data[0] = float("nan")
    with pytest.raises(parity.ParityError, match="differ by nan"):
        parity.check(family, models, exact=True)


def test_int8_blocks_are_within_half_a_step() -> None:
    weight = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    step = np.abs(weight.reshape(8, 2, 32)).max(-1, keepdims=True) / 127
    error = np.abs(quantise.through_blocks(weight) - weight).reshape(8, 2, 32)
    assert (error <= step / 2 + 1e-6).all()


def test_bundled_packs_describe_their_files() -> None:
    for manifest in (Path(__file__).parents[2] / "packs").glob("*/pack.json"):
        pack = json.loads(manifest.read_text())
        files = {f.name for f in manifest.parent.iterdir()} - {"pack.json"}
        assert files == set(pack["files"])
        assert pack["embed"]["file"] in files and pack["modelCard"] in files
        assert sum(f["bytes"] for f in pack["files"].values()) <= 20_000_000
