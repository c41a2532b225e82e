"""Data parallelism inside one process: single-threaded replicas that take micro-batches from one list.

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


class Replicas:
    """Copies of a model that share its weights."""

    def __init__(self, model: nn.Module, loss_of: LossOf, count: int) -> None:
        torch.set_num_threads(1)
        self.model = model
        self.loss_of = loss_of
        self.copies = [model]
        for _ in range(count - 1):
            twin = copy.deepcopy(model)
            for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
                mine.data = theirs.data
            self.copies.append(twin)
        self.pool = ThreadPoolExecutor(count, initializer=lambda: torch.set_num_threads(1))
        self.lock = threading.Lock()

    def run(self, replica: nn.Module, micro: Sequence[Any]) -> float:
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss_of(replica, *micro)
        loss.backward()
        return float(loss.detach())

    def warm_up(self, micro: Sequence[Any]) -> None:
        """Compile for one shape, one replica after another: compiling is not safe in threads."""
        for replica in self.copies:
            self.run(replica, micro)
            replica.zero_grad(set_to_none=True)

    def backward(self, micros: list[Sequence[Any]]) -> float:
        """Gradients of the summed loss end up in the model; returns the sum."""
        waiting = list(micros)

        def work(replica: nn.Module) -> float:
            total = 0.0
            while True:
                with self.lock:
                    if not waiting:
                        return total
                    micro = waiting.pop()
                total += self.run(replica, micro)

        total = sum(self.pool.map(work, self.copies))
        for twin in self.copies[1:]:
            for mine, theirs in zip(self.model.parameters(), twin.parameters(), strict=True):
                if theirs.grad is not None:
                    mine.grad = theirs.grad if mine.grad is None else mine.grad.add_(theirs.grad)
                    theirs.grad = None
        return total
