"""The state of a stage that is not done: started again with the same options, it goes on to the same loss."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from failures import CheckpointError, write_whole


@dataclass(frozen=True)
class Progress:
    """How far a stage has come."""

    step: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    """Running mean."""


@dataclass(frozen=True)
class Unfinished:
    """A file beside the stage's result, and what it holds for."""

    file: Path
    made_by: dict[str, Any]
    """Options that decide what is computed."""
    every: int
    """Steps between two writes."""

    def resume(self, model: nn.Module, opts: list[torch.optim.Optimizer], rng: np.random.Generator) -> Progress:
        """Puts back weights, optimizers and the generator; refuses what other options made."""
        if not self.file.is_file():
            return Progress()
        try:
            state = torch.load(self.file, weights_only=False, map_location="cpu")
            made_by = state["made by"]
        except Exception as error:  # a damaged zip raises what it likes
            raise CheckpointError(f"{self.file} cannot be read ({error}). Remove it to start anew.") from error
        other = [f"{k}: {made_by.get(k)} there, {v} here" for k, v in self.made_by.items() if made_by.get(k) != v]
        if other:
            raise CheckpointError(f"{self.file} was made with other options ({'; '.join(other)}). Use the same, or remove it.")
        model.load_state_dict(state["model"])
        for optimizer, kept in zip(opts, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        rng.bit_generator.state = state["rng"]
        print(f"resumed at step {state['step']}", flush=True)
        return Progress(state["step"], state["seconds"], state["loss"])

    def keep(self, model: nn.Module, opts: list[torch.optim.Optimizer], rng: np.random.Generator, progress: Progress) -> None:
        """Written where it is time."""
        if progress.step % self.every:
            return
        state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in opts], "rng": rng.bit_generator.state}
        state |= {"step": progress.step, "seconds": progress.seconds, "loss": progress.loss, "made by": self.made_by}
        write_whole(self.file, state)

    def remove(self) -> None:
        """The stage is done."""
        self.file.unlink(missing_ok=True)
