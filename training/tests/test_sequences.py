"""What the reader is given and what it writes."""

import math

import pytest
import torch

from fim_samples import Context, FimSample
from pretrained import PretrainedReader, load_reader
from rollouts import nucleus, write
from sequences import Lengths, entity_ids, likely_ids, prompt_ids, sequences_of, target_logits, text_ids
from tests.layouts import qwen2_coder


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> PretrainedReader:
    return load_reader(qwen2_coder(tmp_path_factory.mktemp("reader")))


def sample(contexts: int = 3, prefix: str = "class Circle:\n    def area(self):\n") -> FimSample:
    found = [Context(f"lib/{i}.py", f"def f{i}(x):\n    return {i}", names=[f"f{i}", "shared"]) for i in range(contexts)]
    return FimSample("a/1", "a", "app.py", prefix, "        return 3.14\n", "\nx = 1\n", found)


def test_the_bare_prompt_is_llavacodes(reader: PretrainedReader) -> None:
    ids = prompt_ids(reader.tokenizer, sample(), "bare", Lengths())
    text = reader.tokenizer.decode(ids, skip_special_tokens=False)
    assert text == "<|fim_prefix|>class Circle:\n    def area(self):\n<|fim_suffix|>\nx = 1\n<|fim_middle|>"


def test_the_paper_budget_is_2048() -> None:
    lengths = Lengths()
    assert lengths.left + lengths.right + 50 + 10 == 2048
    assert lengths.left == pytest.approx(2 * lengths.right, abs=2)


def test_the_best_context_stands_next_to_the_prompt_and_stays_when_room_is_short(reader: PretrainedReader) -> None:
    contexts = sample().contexts
    every = reader.tokenizer.decode(text_ids(reader.tokenizer, contexts, 999), skip_special_tokens=False)
    assert every.index("lib/2.py") < every.index("lib/1.py") < every.index("lib/0.py")
    one = reader.tokenizer.encode(every[every.index("<|file_sep|>lib/0.py") :]).ids
    assert "lib/0.py" in reader.tokenizer.decode(text_ids(reader.tokenizer, contexts, len(one) + 2))
    assert text_ids(reader.tokenizer, contexts, 2) == []


def test_entity_names_are_said_once_within_the_budget(reader: PretrainedReader) -> None:
    contexts = sample().contexts
    assert reader.tokenizer.decode(entity_ids(reader.tokenizer, contexts, 64)) == "# f0, shared, f1, f2\n"
    short = entity_ids(reader.tokenizer, contexts, 8)
    assert 0 < len(short) <= 8
    assert entity_ids(reader.tokenizer, [Context("a.py", "x")], 64) == []


@torch.no_grad()
def test_padding_on_the_left_changes_nothing(reader: PretrainedReader) -> None:
    long, short = sample(3), sample(1, prefix="y = ")
    targets = torch.tensor([[5, 6, 7], [8, 9, 0]])
    target_mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    rows = torch.randn(4 * 2, reader.dim)
    together = target_logits(
        reader, sequences_of(reader, [long, short], "compressed", Lengths(), 10, 2), rows, targets, target_mask
    )
    alone = target_logits(
        reader, sequences_of(reader, [short], "compressed", Lengths(), 10, 2), rows[6:], targets[1:, :2], target_mask[1:, :2]
    )
    assert torch.allclose(together[1, :2], alone[0], atol=1e-4)
    other = target_logits(
        reader, sequences_of(reader, [short], "compressed", Lengths(), 10, 2), rows[:2], targets[1:, :2], target_mask[1:, :2]
    )
    assert not torch.allclose(other, alone, atol=1e-3)


@torch.no_grad()
def test_greedy_rollouts_are_what_the_model_says_without_a_cache(reader: PretrainedReader) -> None:
    prompts = sequences_of(reader, [sample(2), sample(1, "z")], "compressed", Lengths(), 10)
    rows = torch.randn(3, reader.dim)
    found = write(reader, prompts, rows, 6)
    logits = target_logits(reader, prompts, rows, found.ids, found.mask)
    logits[..., reader.forbidden] = -math.inf
    assert (logits.argmax(-1) == found.ids)[found.mask.bool()].all()


@torch.no_grad()
def test_a_rollout_ends_with_the_end_of_text_and_says_nothing_forbidden(reader: PretrainedReader) -> None:
    prompts = sequences_of(reader, [sample()], "none", Lengths(), 0)
    head = reader.model.lm_head
    reader.model.lm_head = torch.nn.Linear(reader.dim, head.out_features)
    try:
        torch.nn.init.zeros_(reader.model.lm_head.weight)
        torch.nn.init.zeros_(reader.model.lm_head.bias)
        reader.model.lm_head.bias[reader.forbidden] = 9.0
        reader.model.lm_head.bias[reader.end] = 1.0
        found = write(reader, prompts, None, 6)
    finally:
        reader.model.lm_head = head
    assert found.ids.tolist() == [[reader.end]] and found.mask.tolist() == [[1]] and found.texts == [""]


def test_sampling_keeps_to_the_nucleus_and_to_its_seed() -> None:
    logits = torch.log(torch.tensor([[0.6, 0.35, 0.04, 0.01]])).repeat(200, 1)
    drawn = nucleus(logits, 0.9, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 1}
    assert torch.equal(drawn, nucleus(logits, 0.9, torch.Generator().manual_seed(0)))


def test_likely_names_are_new_to_the_prompt_and_within_the_budget(reader: PretrainedReader) -> None:
    contexts = [
        Context("lib/a.py", "class Circle:\n    def area(self):\n        return square_root(radius)\n    colour = outline\n")
    ]
    found = sample()
    found.contexts = contexts

    def said(budget: int) -> str:
        ids = likely_ids(reader, found, contexts, Lengths(names=budget))
        assert len(ids) <= budget
        return reader.tokenizer.decode(ids, skip_special_tokens=False)

    whole = said(200)
    assert whole.startswith("<|file_sep|> ") and whole.endswith("\n")
    assert (
        {"square_root", "radius", "colour", "outline"} <= set(whole.split()) and "area" not in whole and "Circle" not in whole
    )
    assert 0 < len(said(20).split()) < len(whole.split())
    prompt = sequences_of(reader, [found], "none", Lengths(names=200), 1).ids[0].tolist()
    assert reader.tokenizer.decode(prompt, skip_special_tokens=False).startswith(whole + "<|fim_prefix|>")
