"""One process or several started by torchrun: gloo on CPUs, nccl on GPUs. Gradients are summed once a step."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Ranks:
    """This process among the others."""

    number: int
    count: int
    device: torch.device

    @classmethod
    def open(cls) -> "Ranks":
        """Joins the others where torchrun's variables are set."""
        count, number = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        device = (
            torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if torch.cuda.is_available() else torch.device("cpu")
        )
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if count > 1:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(number, count, device)

    @property
    def is_first(self) -> bool:
        return self.number == 0

    def say(self, text: str) -> None:
        """Printed once."""
        if self.is_first:
            print(text, flush=True)

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            dist.barrier()

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Afterwards every process holds the sum; a parameter without a gradient counts as 0."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)

    def sum(self, values: dict[str, float]) -> dict[str, float]:
        """Sums by name; the names must be the same everywhere."""
        if self.count == 1:
            return values
        names = sorted(values)
        total = torch.tensor([values[n] for n in names], dtype=torch.float64)
        total = total if self.device.type == "cpu" else total.to(self.device, torch.float32)
        dist.all_reduce(total)
        return dict(zip(names, total.tolist(), strict=True))

    def gathered(self, own: Tensor, count: int) -> Tensor:
        """`count` rows, of which this process made every n-th, n processes taking turns; gradients reach its own alone.

        The sum of all processes' gradients is then that of one process which made every row.
        """
        if self.count == 1:
            return own
        places = torch.arange(self.number, count, self.count, device=own.device)
        rows = own.new_zeros((count, *own.shape[1:])).index_copy(0, places, own.detach())
        dist.all_reduce(rows)
        return rows.index_copy(0, places, own)

    def told_by_first(self, value: float) -> float:
        """The first process's value, so that all decide alike."""
        return self.sum({"value": value if self.is_first else 0.0})["value"]

    def close(self) -> None:
        if self.count > 1:
            dist.destroy_process_group()
