"""A trained projector becomes an add-on whose graphs answer as torch does, bound to its reader and its encoder."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto

import encoder_graphs
import export_addon
import graphs
from checkpoints import new_fuser, new_projector, read_projector, save
from export_addon import LEAST_COSINE, run_graph
from failures import run_stage
from fim_samples import write_samples
from models.fuser import MeanFuser
from pretrained import load_reader
from pretrained_encoder import load_encoder
from tests.layouts import qwen2_coder, qwen3_embedding, unixcoder
from tests.test_train_projector import command, run, sample
from weights_digest import digest_of

TEXTS = ["def f(x):\n    return x + 1", "x", "class Circle:\n    pass\n" * 20]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints and a projector trained for a few steps between them."""
    folder = tmp_path_factory.mktemp("addon")
    qwen2_coder(folder / "reader")
    qwen3_embedding(folder / "encoder", width=64)
    unixcoder(folder / "unixcoder")
    write_samples(folder / "samples.jsonl", [sample(i) for i in range(7)])
    result = run(command(folder, folder / "run", "--reinforce", "0", "--per-node", "2", steps=3))
    assert result.returncode == 0, result.stderr
    return folder


def export(work: Path, out: Path, *more: str, encoder: str = "encoder", trained: str = "run") -> None:
    line = ["export_addon.py", "--run", str(work / trained), "--reader", str(work / "reader"), "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*line, "--encoder", str(work / encoder), *more])
        run_stage(export_addon.main)


def manifest_of(out: Path) -> dict[str, object]:
    manifest = json.loads((out / "addon.json").read_text())
    for name, stated in manifest["files"].items():
        content = (out / name).read_bytes()
        assert stated == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert set(manifest["files"]) == {f.name for f in out.iterdir()} - {"addon.json"}
    return dict(manifest)


def vectors_of(graph: Path, folder: Path, rows: list[list[int]]) -> np.ndarray:
    """Of a padded batch."""
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, own in zip(ids, rows, strict=True):
        row[: len(own)] = own
    return run_graph(graph, {"input_ids": ids, "lengths": np.asarray([len(r) for r in rows], np.int32)})


@pytest.mark.parametrize("name", ["encoder", "unixcoder"])
@pytest.mark.parametrize(("level", "least"), [(None, LEAST_COSINE["fp32"]), (4, LEAST_COSINE["q8"])])
def test_exported_encoders_answer_as_torch_does_also_beside_padding(
    work: Path, tmp_path: Path, name: str, level: int | None, least: float
) -> None:
    encoder = load_encoder(work / name)
    for parameter in encoder.model.parameters():  # a fresh model's ones and zeros would hide what is read from the wrong place
        if parameter.ndim == 1:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    export_addon.save_graph(encoder_graphs.pretrained_encoder_graph(encoder, level), tmp_path / "encoder.onnx")
    rows = [encoder.ids(text) for text in TEXTS]
    expected = np.concatenate([encoder.vectors([row]).numpy() for row in rows])
    assert (vectors_of(tmp_path / "encoder.onnx", work / name, rows) * expected).sum(-1).min() >= least


def test_an_addon_names_its_reader_and_encoder_and_holds_what_it_says(work: Path, tmp_path: Path) -> None:
    export(work, tmp_path / "tiny", "--encoder-format", "fp32", "--licence", "MIT")
    manifest = manifest_of(tmp_path / "tiny")
    assert manifest["reader"] == {"name": "reader", "readerDim": 32, "weights": [digest_of(work / "reader")]}
    encoder = dict(manifest["encoder"])  # type: ignore[call-overload]
    assert encoder["weights"] == digest_of(work / "encoder") and encoder["after"] == ["<|endoftext|>"]
    assert encoder["pooling"] == "last" and encoder["file"] == "encoder.onnx"
    assert manifest["projector"] == {
        "file": "projector.onnx", "perNode": 2, "vectorDim": 64, "readerDim": 32, "levels": ["chunk"],
    }  # fmt: skip
    assert manifest["pseudoTokens"] == 20
    assert "Projector from encoder to reader" in (tmp_path / "tiny" / "MODEL_CARD.md").read_text()


def test_the_digest_does_not_hang_on_the_files(work: Path, tmp_path: Path) -> None:
    qwen2_coder(tmp_path / "whole", shards=False)
    assert len(list((work / "reader").glob("*.safetensors"))) > 1
    assert digest_of(tmp_path / "whole") == digest_of(work / "reader")
    qwen2_coder(tmp_path / "other", width=64)
    assert digest_of(tmp_path / "other") != digest_of(work / "reader")


def test_a_reference_names_the_encoder_alone(work: Path, tmp_path: Path) -> None:
    export(work, tmp_path / "tiny", "--encoder-format", "reference", "--instruction", "Find code")
    manifest = manifest_of(tmp_path / "tiny")
    encoder = dict(manifest["encoder"])  # type: ignore[call-overload]
    assert "file" not in encoder and encoder["instruction"] == "Instruct: Find code\nQuery:"
    assert set(manifest["files"]) == {"MODEL_CARD.md", "fuser.onnx", "parity.json", "projector.onnx"}  # type: ignore[call-overload]


def test_unixcoder_is_told_with_its_mode_and_modality(work: Path, tmp_path: Path) -> None:
    save(tmp_path / "projector.pt", new_projector(32, 32), {"modality": "ast"})
    export(work, tmp_path / "tiny", encoder="unixcoder", trained=str(tmp_path))
    encoder = dict(manifest_of(tmp_path / "tiny")["encoder"])  # type: ignore[call-overload]
    assert (encoder["before"], encoder["after"]) == (["<s>", "<encoder-only>", "</s>"], ["</s>"])
    assert (encoder["modality"], encoder["pooling"], encoder["file"]) == ("ast", "mean", "encoder.onnx")
    assert "weights" not in encoder  # its layout has no safetensors
    with pytest.raises(SystemExit):
        export(work, tmp_path / "tiny", "--encoder-format", "reference", encoder="unixcoder", trained=str(tmp_path))


def test_a_trained_fuser_takes_the_place_of_the_mean(work: Path, tmp_path: Path) -> None:
    save(tmp_path / "fuser.pt", new_fuser(64, 4), {})
    export(work, tmp_path / "tiny", "--fuser", str(tmp_path / "fuser.pt"), "--encoder-format", "reference")
    assert dict(manifest_of(tmp_path / "tiny")["projector"])["levels"] == ["chunk", "file", "directory", "repository"]  # type: ignore[call-overload]
    children, lengths = torch.randn(2, 8, 64), torch.tensor([8, 3])
    mean = MeanFuser(64)(children, lengths)
    assert torch.allclose(mean[1], torch.nn.functional.normalize(children[1, :3].sum(0), dim=0))


def pack_of(reader: Path, out: Path, **of_reader: str) -> Path:
    """As much of a pack as tells its reader."""
    table = load_reader(reader).table.weight
    g = graphs.Graph("embed")
    ids = g.input("input_ids", TensorProto.INT64, [1, "T"])
    g.table(ids, "embed", table, g.output("inputs_embeds", TensorProto.FLOAT, [1, "T", table.shape[1]]))
    out.mkdir()
    export_addon.save_graph(g.model(), out / "embed.onnx")
    manifest = {"reader": of_reader, "embed": {"file": "embed.onnx"}, "tokenizer": {"vocabSize": 300}}
    (out / "pack.json").write_text(json.dumps(manifest))
    return out


def test_a_pack_of_a_stock_export_is_named_by_its_own_weights(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = pack_of(work / "reader", tmp_path / "mine", weights="f" * 64)
    export(work, tmp_path / "tiny", "--encoder-format", "reference", "--pack", str(mine))
    reader = dict(manifest_of(tmp_path / "tiny")["reader"])  # type: ignore[call-overload]
    assert reader["weights"] == [digest_of(work / "reader"), "f" * 64]
    other = qwen2_coder(tmp_path / "other-reader", layers=1)
    for folder, words in [
        (pack_of(other, tmp_path / "other", weights="e" * 64), "has another reader than reader"),
        (pack_of(work / "reader", tmp_path / "untold"), "does not say what its reader was made of"),
    ]:
        with pytest.raises(SystemExit):
            export(work, tmp_path / "tiny", "--encoder-format", "reference", "--pack", str(folder))
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": "psm"}, "trained with psm prompts"),
        ({"lengths": {"entities": 64}}, "entity names"),
        ({"reader weights": "0"}, "is not the reader this projector was trained with"),
        ({"encoder weights": "0"}, "is not the encoder this projector was trained with"),
    ],
)
def test_what_the_engine_could_not_use_is_refused(
    work: Path, tmp_path: Path, change: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    projector, facts = read_projector(work / "run" / "projector.pt")
    save(tmp_path / "projector.pt", projector, facts | change)
    with pytest.raises(SystemExit):
        export(work, tmp_path / "tiny", trained=str(tmp_path))
    assert words in capsys.readouterr().err


def test_a_projector_of_other_widths_is_refused(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "projector.pt", new_projector(48, 32), {})
    with pytest.raises(SystemExit):
        export(work, tmp_path / "tiny", trained=str(tmp_path))
    assert "leads from 48 to 32 numbers" in capsys.readouterr().err


def test_a_graph_that_answers_otherwise_is_refused(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = export_addon.projector_graph

    def wrong(projector: torch.nn.Module, level: int | None) -> object:
        with torch.no_grad():
            projector.down.bias[0] += 1  # type: ignore[union-attr,index,operator]
            model = right(projector, level)  # type: ignore[arg-type]
            projector.down.bias[0] -= 1  # type: ignore[union-attr,index,operator]
        return model

    monkeypatch.setattr(export_addon, "projector_graph", wrong)
    with pytest.raises(SystemExit):
        export(work, tmp_path / "tiny", "--encoder-format", "reference")
    assert "torch and ONNX differ" in capsys.readouterr().err
