"""Failures a person can act on: each stage prints one line and exits with 1, never a stack trace."""

import errno
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class TrainingError(Exception):
    """Says what is wrong and what to do about it."""


class CheckpointError(TrainingError):
    """A folder that is no checkpoint, lacks a file, or holds another architecture."""


class CorpusError(TrainingError):
    """Nothing to train on, or a line that is no sample."""


class NonFiniteLossError(TrainingError):
    """A loss that is NaN or infinite."""


class DiskFullError(TrainingError):
    """No room to write."""


FULL = (errno.ENOSPC, errno.EDQUOT)


def write_whole(path: Path, content: dict[str, Any]) -> None:
    """`torch.save`, whole or not at all: what stood at `path` stays until the new file is complete."""
    unfinished = path.with_suffix(".tmp")
    try:
        with unfinished.open("wb") as out:
            torch.save(content, out)
    except (OSError, RuntimeError) as error:
        unfinished.unlink(missing_ok=True)
        # torch's zip writer turns a failed write into a RuntimeError that carries the OSError, or only its words.
        cause = error if isinstance(error, OSError) else error.__context__
        full = isinstance(cause, OSError) and cause.errno in FULL
        if not full and isinstance(error, OSError):
            raise
        kept = f"{path} still holds the last good checkpoint" if path.exists() else "there is no earlier checkpoint"
        raise DiskFullError(f"could not write {path}: {cause or error}; {kept}. Free some room and start again.") from error
    unfinished.replace(path)


def check_finite(loss: float, step: int, batch: str, checkpoint: Path) -> None:
    """Raises NonFiniteLossError for NaN and infinity; called before the weights are changed."""
    if math.isfinite(loss):
        return
    kept = f"{checkpoint} holds the last good state" if checkpoint.exists() else "nothing was saved yet"
    raise NonFiniteLossError(f"the loss is {loss} at step {step}; batch: {batch}. Stopped; {kept}. Lower the learning rates.")


def run_stage(main: Callable[[], None]) -> None:
    """Runs a stage's `main`; an error of ours, or of the system, becomes a line on stderr and exit status 1."""
    try:
        main()
    except (TrainingError, OSError) as error:
        print(f"error: {error if isinstance(error, TrainingError) else said(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def said(error: OSError) -> str:
    """What the system says of which file, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in FULL:
        return f"{where}{error.strerror}. Free some room and start again."
    return f"{where}{error.strerror or error}. Look at the paths that were given."
