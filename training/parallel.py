"""Gradients of a list of micro-batches: on the CPU by single-threaded replicas that take from one list, on a GPU by one model.

On a machine whose cores are shared with other work, two threads inside every operation wait for the slower one thousands of
times a step; replicas meet once a step. They share the weights and own their gradients.
"""

import copy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

LossOf = Callable[..., Tensor]
"""(model, *micro-batch) -> a loss to be summed over micro-batches."""


def chosen_device(name: str | None) -> torch.device:
    """The named device, or a GPU if there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def on_device(values: Sequence[Any], device: torch.device) -> list[Any]:
    """Tensors moved, all else as it is."""
    return [v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for v in values]


class Replicas:
    """Copies of a model that share its weights; one where the model is not on the CPU."""

    def __init__(self, model: nn.Module, loss_of: LossOf, count: int) -> None:
        torch.set_num_threads(1)
        self.device = device_of(model)
        count = count if self.device.type == "cpu" else 1
        self.model = model
        self.loss_of = loss_of
        self.copies = [model]
        for _ in range(count - 1):
            twin = copy.deepcopy(model)
            for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
                mine.data = theirs.data
            self.copies.append(twin)
        self.pool = ThreadPoolExecutor(count, initializer=self.begin_thread)
        self.lock = threading.Lock()

    def begin_thread(self) -> None:
        """Threads and the current GPU are a thread's own."""
        torch.set_num_threads(1)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)

    def run(self, replica: nn.Module, micro: Sequence[Any]) -> Tensor:
        """The loss, where the model is: to look at it would wait for the device."""
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = self.loss_of(replica, *on_device(micro, self.device))
        loss.backward()
        return loss.detach()

    def warm_up(self, micro: Sequence[Any]) -> None:
        """Compile for one shape, one replica after another: compiling is not safe in threads."""
        for replica in self.copies:
            self.run(replica, micro)
            replica.zero_grad(set_to_none=True)

    def backward(self, micros: list[Sequence[Any]]) -> float:
        """Gradients of the summed loss end up in the model; returns the sum."""
        waiting = list(micros)

        def work(replica: nn.Module) -> float:
            total = torch.zeros((), device=self.device)
            while True:
                with self.lock:
                    if not waiting:
                        return float(total)
                    micro = waiting.pop()
                total = total + self.run(replica, micro)

        total = sum(self.pool.map(work, self.copies))
        for twin in self.copies[1:]:
            for mine, theirs in zip(self.model.parameters(), twin.parameters(), strict=True):
                if theirs.grad is not None:
                    mine.grad = theirs.grad if mine.grad is None else mine.grad.add_(theirs.grad)
                    theirs.grad = None
        return total
