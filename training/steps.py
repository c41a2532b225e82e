"""The loop of a stage: order of samples, schedule, progress, checkpoints, resuming, the stop at a loss that is no number."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from failures import CheckpointError, NonFiniteLossError, write_whole
from fim_samples import FimSample
from ranks import Ranks

Backward = Callable[[list[FimSample], int, int, int, Ranks], dict[str, float]]
"""(batch, step, micro, seed, ranks) -> mean terms; adds to the gradients."""
CLIP = 1.0
SAID_EVERY = 5.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast."""

    steps: int
    batch: int
    """Samples a step, over all processes."""
    micro: int
    """Samples at once in one process."""
    lr: float
    warm_up: float
    """Share of the steps; a cosine to 0 follows (LlavaCode, table 4)."""
    save_every: int
    seed: int

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        warm = max(1, round(self.warm_up * self.steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))

    def batch_of(self, step: int, count: int) -> list[int]:
        """Samples of a step: every epoch visits each of `count` once, in an order of its own."""
        found: list[int] = []
        at = step * self.batch
        while len(found) < self.batch:
            epoch, offset = divmod(at + len(found), count)
            order = np.random.default_rng((self.seed, epoch)).permutation(count)
            found += order[offset : offset + self.batch - len(found)].tolist()
        return found


def shown(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def resume(
    file: Path, model: nn.Module, optimizer: torch.optim.Optimizer, facts: dict[str, Any], plan: Plan
) -> tuple[int, float]:
    """(steps done, seconds spent); refuses a checkpoint made with other options."""
    if not file.is_file():
        return 0, 0.0
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged zip raises what it likes
        raise CheckpointError(f"{file} cannot be read ({error}). Remove it to start anew.") from error
    mine = {"config": asdict(model.config), "plan": asdict(plan), **facts}  # type: ignore[call-overload]
    other = [f"{k}: {state['made by'].get(k)} there, {v} here" for k, v in mine.items() if state["made by"].get(k) != v]
    if other:
        raise CheckpointError(f"{file} was made with other options ({'; '.join(other)}). Use the same, or another --out.")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])


def run_steps(
    plan: Plan, samples: list[FimSample], model: nn.Module, backward: Backward, out: Path, facts: dict[str, Any], ranks: Ranks
) -> dict[str, Any]:
    """Trains `model`; returns what the model card should say. Raises NonFiniteLossError with the batch's samples."""
    out.mkdir(parents=True, exist_ok=True)
    file, curve_file = out / "checkpoint.pt", out / "curve.jsonl"
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan.lr, weight_decay=0.0)
    step, before = resume(file, model, optimizer, facts, plan)
    made_by = {"config": asdict(model.config), "plan": asdict(plan), **facts}  # type: ignore[call-overload]
    first = step
    if step:
        ranks.say(f"resumed at step {step}")
    keep_curve(curve_file, step, ranks)
    began = said = time.monotonic()
    terms: dict[str, float] = last_terms(curve_file)
    while step < plan.steps:
        batch = [samples[i] for i in plan.batch_of(step, len(samples))]
        terms = backward(batch, step, plan.micro, plan.seed, ranks)
        ranks.sum_gradients(trained)
        norm = float(nn.utils.clip_grad_norm_(trained, CLIP))
        bad = [name for name, value in (terms | {"norm of the gradient": norm}).items() if not math.isfinite(value)]
        if bad:
            kept = f"{file} holds the last good state, step {saved_step(file)}" if file.exists() else "nothing was saved yet"
            ids = ", ".join(s.id for s in batch[:8]) + (f" and {len(batch) - 8} more" if len(batch) > 8 else "")
            raise NonFiniteLossError(
                f"{', '.join(bad)} is no finite number at step {step}; batch: {ids}. Stopped; {kept}. "
                "Look at these samples, or lower --lr, and start again."
            )
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        now = time.monotonic()
        if ranks.is_first:
            with curve_file.open("a") as curve:
                curve.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in terms.items()}}) + "\n")
        if now - said > SAID_EVERY or step in (first + 1, plan.steps):
            said = now
            speed = (step - first) * plan.batch / (now - began)
            left = shown((plan.steps - step) * (now - began) / (step - first))
            values = ", ".join(f"{k} {v:.3f}" for k, v in terms.items())
            ranks.say(f"step {step}/{plan.steps}: {values}, norm {norm:.2f}, {speed:.2f} samples/s, {left} left")
        if ranks.is_first and (step % plan.save_every == 0 or step == plan.steps):
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "made by": made_by}
            write_whole(file, state | {"seconds": before + now - began})
    seconds = before + time.monotonic() - began
    return {"steps": step, "seconds": round(seconds, 1), "last": {k: round(v, 4) for k, v in terms.items()}}


def saved_step(file: Path) -> int:
    return int(torch.load(file, weights_only=True, map_location="cpu")["step"])


def keep_curve(file: Path, step: int, ranks: Ranks) -> None:
    """Drops what was written after the checkpoint: those steps are done again."""
    if ranks.is_first and file.is_file():
        lines = [line for line in file.read_text().splitlines() if line.strip()]
        file.write_text("".join(line + "\n" for line in lines if json.loads(line)["step"] <= step))


def last_terms(file: Path) -> dict[str, float]:
    """Of a run that is already done."""
    lines = file.read_text().splitlines() if file.is_file() else []
    return {k: v for k, v in json.loads(lines[-1]).items() if k != "step"} if lines else {}
