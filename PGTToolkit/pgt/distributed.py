"""Training by several processes, as ``torchrun`` starts them: each computes some of a step's cases.

All processes hold the same weights (and latent vectors) and take the same steps; only the
gradients are computed apart and added up. What a process draws depends on the case and not on who computes
it, so a training takes the same course, up to rounding, whatever the number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as network

_PATIENCE = timedelta(hours=12)
"""Processes wait for the first one while it prepares the cases, which takes long for many large volumes."""


@dataclass(frozen=True)
class Team:
    """The processes of one training; by default a single one.

    Args:
        rank: of this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls, device: str) -> Team:
        """Join the processes that ``torchrun`` started; a team of one where it started none.

        Args:
            device: "cpu" or "cuda"; on the latter each process of a machine takes a GPU of its own.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        if device == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if not network.is_initialized():
            network.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
        return cls(network.get_rank(), network.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def own(self, count: int) -> list[int]:
        """Which of a step's ``count`` cases this process computes; perhaps none."""
        return list(range(self.rank, count, self.size))

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors, on the training's device, by their sums over all processes."""
        if self.size > 1:
            for tensor in tensors:
                network.all_reduce(tensor)

    def follow_the_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors, on the training's device, by those of the first process."""
        if self.size > 1:
            for tensor in tensors:
                network.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            network.barrier()
