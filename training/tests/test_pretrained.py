"""Checkpoint folders as they come, and what is said of damaged ones."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from checkpoints import save
from failures import CheckpointError
from models.reader import Reader
from parity import Family
from pretrained import as_qwen2, load_reader
from pretrained_encoder import load_encoder
from tests.layouts import qwen2_coder, qwen3_embedding, unixcoder


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen2_coder(tmp_path_factory.mktemp("hub") / "Qwen2.5-Coder-tiny")


@pytest.fixture()
def copy(coder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(coder, tmp_path / "copy"))


@torch.no_grad()
def test_a_sharded_qwen2_folder_is_read_as_it_is(coder: Path) -> None:
    assert len(list(coder.glob("model-*-of-*.safetensors"))) > 2
    reader = load_reader(coder)
    assert reader.order == "bare" and reader.dim == 32
    ids = torch.tensor([reader.tokenizer.encode("return self.value").ids])
    logits = reader.logits(reader.hidden(reader.table(ids), torch.ones_like(ids)).last_hidden_state)
    assert torch.allclose(logits, reader.model(input_ids=ids).logits, atol=1e-5)
    assert not any(p.requires_grad for p in reader.model.parameters())


@torch.no_grad()
def test_our_reader_is_a_qwen2_model(family: Family) -> None:
    embeds = torch.randn(2, 9, family.reader.config.dim)
    theirs = as_qwen2(family.reader).eval()(inputs_embeds=embeds).logits
    assert torch.allclose(theirs, family.reader(embeds), atol=1e-3)
    biased = as_qwen2(family.reader, end=0, end_bias=-2.0).eval()(inputs_embeds=embeds).logits
    assert torch.allclose((theirs - biased)[..., 0], torch.full((2, 9), 2.0), atol=1e-3)
    assert torch.allclose(theirs[..., 1:], biased[..., 1:], atol=1e-4)


def own_run(folder: Path, family: Family) -> Path:
    (folder / "reader").mkdir(parents=True)
    (folder / "tokenizer").mkdir()
    save(folder / "reader" / "reader.pt", family.reader, {"steps": 1})
    save(folder / "encoder.pt", family.encoder, {"steps": 1})
    family.tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    return folder


def test_a_run_of_ours_is_a_reader_and_an_encoder(family: Family, tmp_path: Path) -> None:
    run = own_run(tmp_path / "run", family)
    reader = load_reader(run)
    assert isinstance(family.reader, Reader) and reader.order == "spm"
    encoder = load_encoder(run)
    ids = torch.tensor([family.tokenizer.encode("def f").ids])
    expected = family.encoder(ids, torch.tensor([ids.shape[1]]))
    assert torch.allclose(torch.from_numpy(encoder.encode(["def f"])), expected, atol=1e-5)


@torch.no_grad()
def test_qwen3_embedding_takes_the_state_of_the_end_of_text(tmp_path: Path) -> None:
    encoder = load_encoder(qwen3_embedding(tmp_path / "Qwen3-Embedding-tiny"))
    texts = ["def f(self):", "return self.value and much more of it", "x"]
    vectors = torch.from_numpy(encoder.encode(texts, batch=3))
    assert vectors.shape == (3, 48)
    for text, vector in zip(texts, vectors, strict=True):
        # The folder's own tokenizer adds the end of text; ours must come to the same ids.
        ids = torch.tensor([encoder.tokenizer.encode(text, add_special_tokens=True).ids])
        last: Tensor = encoder.model(input_ids=ids).last_hidden_state[0, -1]
        assert torch.allclose(vector, last / last.norm(), atol=1e-5)


@torch.no_grad()
def test_unixcoder_is_mean_pooled_in_its_encoder_mode(tmp_path: Path) -> None:
    encoder = load_encoder(unixcoder(tmp_path / "unixcoder-tiny"))
    texts = ["def f(self):", "return self.value"]
    vectors = torch.from_numpy(encoder.encode(texts, batch=2))
    vocabulary = encoder.tokenizer.get_vocab()
    for text, vector in zip(texts, vectors, strict=True):
        inner = encoder.tokenizer.encode(text, add_special_tokens=False).ids
        around = [vocabulary[t] for t in ("<s>", "<encoder-only>", "</s>")]
        ids = torch.tensor([[*around, *inner, vocabulary["</s>"]]])
        pooled = encoder.model(input_ids=ids).last_hidden_state[0].mean(0)
        assert torch.allclose(vector, pooled / pooled.norm(), atol=1e-5)
    assert len(encoder.ids("word " * 500)) == 128


def test_missing_tokenizer(copy: Path) -> None:
    for name in ("tokenizer.json", "vocab.json"):
        (copy / name).unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer.*Copy the checkpoint's files"):
        load_reader(copy)


def test_damaged_tokenizer(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer of .* cannot be read"):
        load_reader(copy)


def test_tokenizer_without_fill_in_the_middle(copy: Path, tmp_path: Path) -> None:
    other = unixcoder(tmp_path / "other")
    (copy / "tokenizer.json").unlink()
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(other / name, copy / name)
    with pytest.raises(CheckpointError, match="cannot fill in the middle"):
        load_reader(copy)


def test_missing_shard(copy: Path) -> None:
    shard = sorted(copy.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"lacks {shard.name}"):
        load_reader(copy)


def test_no_weights_and_no_folder(copy: Path) -> None:
    for file in copy.glob("model*"):
        file.unlink()
    with pytest.raises(CheckpointError, match="has no weights"):
        load_reader(copy)
    with pytest.raises(CheckpointError, match="is no folder"):
        load_reader(copy / "nowhere")
    (copy / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        load_reader(copy)


def test_another_architecture(tmp_path: Path) -> None:
    folder = qwen3_embedding(tmp_path / "embedding")
    with pytest.raises(CheckpointError, match="holds a qwen3 checkpoint; a reader must be qwen2"):
        load_reader(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(CheckpointError, match="holds a llama checkpoint; an encoder must be"):
        load_encoder(folder)


def test_weights_of_another_width_than_the_config(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))
    with pytest.raises(CheckpointError, match=r"does not load|another architecture"):
        load_reader(copy)


def test_weights_of_more_layers_than_the_files_hold(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    more = {"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}
    (copy / "config.json").write_text(json.dumps(config | more))
    with pytest.raises(CheckpointError, match="another architecture than its config"):
        load_reader(copy)
