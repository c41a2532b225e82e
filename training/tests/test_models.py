"""Shapes, causality, and the properties the papers ask of each model."""

import onnxruntime as ort
import pytest
import torch

from graphs import projector_graph
from models.projector import Projector, ProjectorConfig
from models.reader import Reader, ReaderConfig
from parity import Family


def test_the_default_reader_is_small() -> None:
    reader = Reader(ReaderConfig())
    assert sum(p.numel() for p in reader.parameters()) < 10_000_000


@torch.no_grad()
def test_the_reader_never_looks_ahead(family: Family) -> None:
    x = torch.randn(1, 12, family.reader.config.dim)
    changed = x.clone()
    changed[:, 8:] += 1.0
    before, after = family.reader(x), family.reader(changed)
    assert torch.allclose(before[:, :8], after[:, :8], atol=1e-5)
    assert not torch.allclose(before[:, 8:], after[:, 8:], atol=1e-2)


@torch.no_grad()
def test_the_encoder_gives_unit_vectors_whatever_the_padding(family: Family) -> None:
    ids = torch.randint(0, 320, (2, 10))
    padded = torch.nn.functional.pad(ids, (0, 6), value=7)
    lengths = torch.tensor([10, 4])
    vectors = family.encoder(ids, lengths)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(2), atol=1e-5)
    assert torch.allclose(vectors, family.encoder(padded, lengths), atol=1e-5)


@torch.no_grad()
def test_the_fuser_applies_to_its_own_results_and_reads_order(family: Family) -> None:
    children = torch.nn.functional.normalize(torch.randn(4, 8, 64), dim=-1)
    parents = family.fuser(children, torch.tensor([8, 8, 3, 1]))
    assert torch.allclose(parents.norm(dim=-1), torch.ones(4), atol=1e-5)
    again = family.fuser(torch.nn.functional.pad(parents[None], (0, 0, 0, 4)), torch.tensor([4]))
    assert again.shape == (1, 64)
    turned = family.fuser(children.flip(1), torch.tensor([8, 8, 3, 1]))
    assert not torch.allclose(parents[0], turned[0], atol=1e-3)
    rubbish = children.clone()
    rubbish[2, 3:] = 9.0
    assert torch.allclose(family.fuser(rubbish, torch.tensor([8, 8, 3, 1]))[2], parents[2], atol=1e-5)


@torch.no_grad()
def test_the_projector_gives_rows_of_the_readers_width(family: Family) -> None:
    assert family.projector(torch.randn(5, 64)).shape == (5, 2, family.reader.config.dim)


@pytest.mark.parametrize(
    ("vector_dim", "hidden", "layers", "millions"),
    [(768, 1536, 2, 3.5), (768, 3072, 3, 16.5), (1024, 1536, 2, 3.9), (1024, 3072, 3, 17.3)],
)
def test_projectors_are_as_large_as_llavacodes(vector_dim: int, hidden: int, layers: int, millions: float) -> None:
    """Table 2, UniXcoder and Qwen3-Embedding before Qwen2.5-Coder-1.5B: its hidden width is d_g with 2 layers, 2 d_g with 3."""
    projector = Projector(ProjectorConfig(vector_dim, hidden, 1536, layers=layers))
    assert sum(p.numel() for p in projector.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("norm", [True, False])
@torch.no_grad()
def test_the_exported_projector_agrees_in_every_form(layers: int, norm: bool) -> None:
    torch.manual_seed(0)
    projector = Projector(ProjectorConfig(32, 64, 32, 2, layers, norm))
    session = ort.InferenceSession(projector_graph(projector, 0).SerializeToString(), providers=["CPUExecutionProvider"])
    vectors = torch.nn.functional.normalize(torch.randn(5, 32), dim=-1)
    found = session.run(None, {"vectors": vectors.numpy()})[0]
    assert abs(torch.from_numpy(found) - projector(vectors)).max() < 0.05
