"""Nothing of a step is made on the CPU beside models that are elsewhere: on `meta` such a mixture is an error, as on a GPU."""

import pytest
import torch

from compress import Compressor, Objective
from context_vectors import ContextVectors, key_of
from fim_samples import Context, FimSample
from losses import LossWeights, cosine_alignment, info_nce, reinforce, token_log_probs
from models.fuser import MeanFuser
from models.reader import Reader, ReaderConfig
from parity import Family
from pretrained import PretrainedReader, as_qwen2, frozen
from ranks import Ranks
from sequences import Lengths, target_logits
from train_encoder import Stage as EncoderStage
from train_encoder import both_losses
from train_joint import Stage, mixture_loss
from train_reader import next_token_loss

META = torch.device("meta")


def ids(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.int64, device=META)


def test_the_reader_s_step() -> None:
    reader = Reader(ReaderConfig(320, 64, 1, 4, 2, 96, 64)).to(META)
    next_token_loss(reader, ids(2, 9), torch.ones((2, 8), device=META)).backward()
    assert all(p.grad is not None and p.grad.device == META for p in reader.parameters())


def test_the_encoder_s_step_and_its_vectors(family: Family) -> None:
    stage = EncoderStage(family.encoder, family.projector, family.reader.embed_tokens.weight.detach()).to(META)
    same = torch.zeros((3, 3), dtype=torch.bool, device=META)
    naming = torch.zeros((3, 2, 320), device=META)
    both_losses(stage, ids(3, 8), ids(3), ids(3, 8), ids(3), same, naming, 0.5, 0.5).backward()
    assert stage.encoder(ids(3, 8), ids(3)).device == META


def test_the_fusers(family: Family) -> None:
    children, lengths = torch.zeros((3, 8, 64), device=META), torch.ones(3, dtype=torch.int32, device=META)
    fused = family.fuser.to(META)(children, lengths)
    same = torch.zeros((3, 3), dtype=torch.bool, device=META)
    info_nce(fused, fused, 0.07, same).backward()
    assert MeanFuser(64)(children, lengths).device == META


def test_the_joint_step(family: Family) -> None:
    stage = Stage(family.reader, family.fuser, family.projector).to(META)
    nodes, chunks = torch.zeros((2, 4, 64), device=META), torch.zeros((2, 2, 8, 64), device=META)
    lengths, is_file = ids(2, 2).int(), torch.zeros((2, 4), dtype=torch.bool, device=META)
    weights = torch.ones((2, 8), device=META)
    mixture_loss(stage, ids(2, 9), weights, nodes, chunks, lengths, is_file).backward()
    mixture_loss(stage, ids(2, 9), weights, None, None, None, None).backward()


def test_the_projector_s_step(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # it knows no `meta`
    model = frozen(as_qwen2(family.reader)).to(META, torch.bfloat16)
    model.config._attn_implementation = "eager"  # the other looks at its mask, which has no values here
    reader = PretrainedReader(model, family.tokenizer, "r", "spm")
    contexts = [Context(f"{i}.py", f"x = {i}", names=["x"]) for i in range(3)]
    samples = [FimSample(f"r/{i}", "r", "a.py", "x = 1\n", "y = 2", "\n", contexts) for i in range(2)]
    # Vectors of contexts stay on the CPU until they are asked for.
    vectors = ContextVectors({key_of(c.read_as("text")): i for i, c in enumerate(contexts)}, torch.randn(3, 64), "text")
    objective = Objective(LossWeights(reinforce=0.0, kl=1.0))
    compressor = Compressor(reader, family.projector.to(META), vectors, Lengths(16, 8, 24, 8, 8), 3, objective)
    terms = compressor.terms(samples, 0, 0, Ranks(0, 1, META))
    rows, whole = compressor.project([c for s in samples for c in s.contexts])
    terms["alignment"] = cosine_alignment(rows.view(len(whole), -1), whole)
    found, mask = compressor.targets(samples)
    log_probs = token_log_probs(target_logits(reader, compressor.prompts(samples), rows, found, mask), found)
    terms["reinforce"] = reinforce(log_probs, mask, torch.ones(2, device=META), torch.zeros(2, device=META))
    losses = {name: value for name, value in terms.items() if isinstance(value, torch.Tensor)}
    assert set(losses) == {"cross_entropy", "kl", "alignment", "reinforce"}
    LossWeights(kl=1.0).total(losses).backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in compressor.projector.parameters())
