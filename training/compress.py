"""Samples -> losses of the pseudo-tokens (LlavaCode, section 3.5; HEF, section 3.6); who trains what is the stage's choice."""

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor

from context_vectors import ContextVectors
from fim_samples import Context, FimSample
from hierarchy import fused_file, grouped
from losses import LossWeights, cosine_alignment, kl_to_teacher, reinforce, sequence_cross_entropy, token_log_probs
from models.fuser import Fuser
from models.projector import Projector
from pretrained import PretrainedReader
from ranks import Ranks
from rollouts import Rollouts, write
from samples import encode
from scores import edit_similarity, exact_match, reward
from sequences import Lengths, Sequences, middle_ids, padded, right_padded, sequences_of, target_logits

TOP_P = 0.9
"""Of sampled rollouts in the self-critical form, as in the published code."""


@dataclass(frozen=True)
class Objective:
    """What is minimised."""

    weights: LossWeights
    self_critical: bool = False
    rollout_tokens: int = 50
    rollout_every: int = 1
    """Steps between two with rollouts."""
    pretrain_steps: int = 0
    """Steps at the start in which the reader repeats a chunk from its pseudo-tokens."""

    def rolls_out(self, step: int) -> bool:
        return self.weights.reinforce > 0 and step % self.rollout_every == 0


@dataclass
class Compressor:
    """Reader, projector, the contexts' vectors, and a fuser where files have nodes too."""

    reader: PretrainedReader
    projector: Projector
    vectors: ContextVectors
    lengths: Lengths
    count: int
    """Contexts a sample."""
    objective: Objective
    fuser: Fuser | None = None
    files: int = 0
    """Nodes of files a sample, fused from its contexts; 0 without a fuser."""
    mixed: bool = False
    """Matrices in bfloat16, weights as they are: for a reader that is trained itself."""

    def contexts_of(self, sample: FimSample) -> list[Context]:
        """Worst first, as they stand before the prompt."""
        return sample.contexts[: self.count][::-1]

    def project(self, contexts: list[Context]) -> tuple[Tensor, Tensor]:
        """(rows [n · per_node, reader_dim], vectors [n, d])."""
        vectors = self.vectors.of_contexts(contexts).to(self.reader.table.weight.device)
        return self.projector(vectors).flatten(0, 1), vectors

    def file_vectors(self, files: list[list[Context]]) -> Tensor:
        """[n, d], each fused from the contexts of one file."""
        assert self.fuser is not None, "Nodes of files need a fuser."
        device = self.reader.table.weight.device
        parts = [self.vectors.of_contexts(contexts).to(device) for contexts in files]
        return fused_file(self.fuser, *grouped(parts, self.fuser.config.branching))

    def rows_of(self, samples: list[FimSample]) -> Tensor:
        """Pseudo-tokens [n · per_node, reader_dim] as they stand before the prompts: a sample's files, then its chunks."""
        chunks = [self.contexts_of(s) for s in samples]
        files = [s.files(self.files)[::-1] for s in samples]
        vectors = self.vectors.of_contexts([c for part in chunks for c in part]).to(self.reader.table.weight.device)
        flat = [group for part in files for group in part]
        if flat:
            of_chunks = iter(vectors.split([len(part) for part in chunks]))
            of_files = iter(self.file_vectors(flat).split([len(part) for part in files]))
            vectors = torch.cat([v for pair in zip(of_files, of_chunks, strict=True) for v in pair])
        return self.projector(vectors).flatten(0, 1)

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """What the terms are worked out under."""
        kind = self.reader.table.weight.device.type
        return torch.autocast(kind, torch.bfloat16) if self.mixed else contextlib.nullcontext()

    def prompts(self, samples: list[FimSample]) -> Sequences:
        per_node = self.projector.config.per_node
        return sequences_of(self.reader, samples, "compressed", self.lengths, self.count, per_node, self.files)

    def targets(self, samples: list[FimSample]) -> tuple[Tensor, Tensor]:
        rows = [middle_ids(self.reader, s, self.lengths) for s in samples]
        return right_padded(rows, self.reader.table.weight.device)

    def backward(self, batch: list[FimSample], step: int, micro: int, seed: int, ranks: Ranks) -> dict[str, float]:
        """Adds the batch's gradients to those of what is trained; returns the batch's mean terms, the same in every process.

        Each sample weighs the same however the batch is spread over processes and micro-batches.
        """
        found: dict[str, float] = {}
        own = batch[ranks.number :: ranks.count]
        for start in range(0, max(1, len(own)), micro):
            part = own[start : start + micro]
            with self.precision():
                terms = {} if not part else self.terms_of(part, step, seed + start, ranks)
            share = len(part) / len(batch)
            if terms:
                losses = {k: v for k, v in terms.items() if isinstance(v, Tensor)}
                (self.objective.weights.total(losses) * share).backward()
            for name, value in terms.items():
                found[name] = found.get(name, 0.0) + float(value.detach() if isinstance(value, Tensor) else value) * share
        found = ranks.sum({name: found.get(name, 0.0) for name in self.names(step)})
        return found | self.align(batch, ranks)

    def names(self, step: int) -> list[str]:
        """Terms of a step, also where a process has no sample of it."""
        if step < self.objective.pretrain_steps:
            return ["cross_entropy"]
        names = ["cross_entropy"] + (["kl"] if self.objective.weights.kl else [])
        return names + (["reinforce", "em", "es"] if self.objective.rolls_out(step) else [])

    def align(self, batch: list[FimSample], ranks: Ranks) -> dict[str, float]:
        """Cosine alignment over the whole batch, which every process computes whole: the projector is small."""
        if not self.objective.weights.alignment:
            return {}
        rows, vectors = self.project([c for s in batch for c in self.contexts_of(s)])
        loss = cosine_alignment(rows.view(len(vectors), -1), vectors)
        (self.objective.weights.alignment * loss / ranks.count).backward()
        return {"alignment": float(loss.detach())}

    def terms_of(self, samples: list[FimSample], step: int, seed: int, ranks: Ranks) -> dict[str, Tensor | float]:
        """Those of a step."""
        if step < self.objective.pretrain_steps:
            return self.repeat(samples, step)
        return self.terms(samples, step, seed, ranks)

    def terms(self, samples: list[FimSample], step: int, seed: int, ranks: Ranks) -> dict[str, Tensor | float]:
        """Tensors are losses; numbers are for the log."""
        rows = self.rows_of(samples)
        prompts = self.prompts(samples)
        ids, mask = self.targets(samples)
        logits = target_logits(self.reader, prompts, rows, ids, mask)
        terms: dict[str, Tensor | float] = {"cross_entropy": sequence_cross_entropy(token_log_probs(logits, ids), mask)}
        if self.objective.weights.kl:
            with torch.no_grad():
                full = sequences_of(self.reader, samples, "full", self.lengths, self.count)
                teacher = target_logits(self.reader, full, None, ids, mask)
            terms["kl"] = kl_to_teacher(logits, teacher, mask)
        if self.objective.rolls_out(step):
            terms |= self.rewarded(samples, prompts, rows, (seed * 1_000_003 + step) * 1_009 + ranks.number)
        return terms

    def rewarded(self, samples: list[FimSample], prompts: Sequences, rows: Tensor, seed: int) -> dict[str, Tensor | float]:
        """REINFORCE on rollouts of the current projector; `em` and `es` are those of the greedy ones."""
        count = self.objective.rollout_tokens
        greedy = write(self.reader, prompts, rows.detach(), count)
        rewards = self.rewards(greedy, samples)
        chosen, baseline = greedy, None
        if self.objective.self_critical:
            generator = torch.Generator(rows.device).manual_seed(seed)
            chosen = write(self.reader, prompts, rows.detach(), count, TOP_P, generator)
            rewards, baseline = self.rewards(chosen, samples), rewards
        logits = target_logits(self.reader, prompts, rows, chosen.ids, chosen.mask)
        loss = reinforce(token_log_probs(logits, chosen.ids), chosen.mask, rewards, baseline)
        pairs = [(text, s.middle) for text, s in zip(greedy.texts, samples, strict=True)]
        em = sum(exact_match(*p) for p in pairs) / len(pairs)
        es = sum(edit_similarity(*p) for p in pairs) / len(pairs)
        return {"reinforce": loss, "em": em, "es": es}

    def rewards(self, rollouts: Rollouts, samples: list[FimSample]) -> Tensor:
        found = [reward(text, s.middle) for text, s in zip(rollouts.texts, samples, strict=True)]
        return torch.tensor(found, device=rollouts.ids.device)

    def repeat(self, samples: list[FimSample], step: int) -> dict[str, Tensor | float]:
        """Pre-training: one context of each sample, said again from its pseudo-tokens alone."""
        contexts = [s.contexts[step % min(len(s.contexts), self.count)] for s in samples]
        rows, _ = self.project(contexts)
        device, slots = rows.device, self.projector.config.per_node
        prompts = padded([(slots, []) for _ in contexts], self.reader.end, device)
        texts = [encode(self.reader.tokenizer, c.text)[: self.lengths.middle] for c in contexts]
        ids, mask = right_padded(texts, device)
        logits = target_logits(self.reader, prompts, rows, ids, mask)
        return {"cross_entropy": sequence_cross_entropy(token_log_probs(logits, ids), mask)}
