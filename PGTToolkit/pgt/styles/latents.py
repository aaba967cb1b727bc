"""The latent vectors of the training cases, kept by case name, and how they are learnt.

HyperSORT learns one vector a case together with the hyper-network (Joutard et al., equation 1). A case
comes by once an epoch, so every vector has an Adam of its own (betas 0.7 and 0.9 as in the official code)
whose steps count the visits of that case alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_BETAS = (0.7, 0.9)
_EPSILON = 1e-8
_SPREAD_AT_START = 0.05
_MEMORY_OF_MEAN = 0.9


class LatentTable:
    """One vector a case.

    Args:
        cases: names, each once.
        dimensions: of every vector.
        generator: draws the vectors' start, close around the origin.
    """

    def __init__(
        self, cases: Sequence[str], dimensions: int, generator: torch.Generator | None = None
    ) -> None:
        if len(set(cases)) != len(cases):
            raise ValueError("every case has one vector; a name occurs twice")
        self.cases = tuple(cases)
        self.vectors = _SPREAD_AT_START * torch.randn(len(cases), dimensions, generator=generator)
        self.mean = self.vectors.clone()
        """A running mean over the last visits: the place that a vector moves around."""
        self.homes: Tensor | None = None
        """The place that each case is drawn to, [case, dimension]; None before there are any."""
        self._first = torch.zeros_like(self.vectors)
        self._second = torch.zeros_like(self.vectors)
        self._visits = torch.zeros(len(cases), 1)

    def step(self, rows: Tensor, gradients: Tensor, rate: float) -> None:
        """One step of Adam for some cases.

        Args:
            rows: which cases, int tensor [case].
            gradients: of the loss by their vectors, [case, dimension].
            rate: how far to step.
        """
        first, second = _BETAS
        self._visits[rows] += 1
        self._first[rows] = first * self._first[rows] + (1 - first) * gradients
        self._second[rows] = second * self._second[rows] + (1 - second) * gradients.square()
        direction = self._first[rows] / (1 - first ** self._visits[rows])
        size = (self._second[rows] / (1 - second ** self._visits[rows])).sqrt()
        self.vectors[rows] -= rate * direction / (size + _EPSILON)
        self.mean[rows] = _MEMORY_OF_MEAN * self.mean[rows] + (1 - _MEMORY_OF_MEAN) * self.vectors[rows]

    def move(self, rows: Tensor, vectors: Tensor) -> None:
        """Let some cases begin anew somewhere else.

        Args:
            rows: which cases, int tensor [case].
            vectors: where to, [case, dimension].
        """
        self.vectors[rows] = vectors
        self.mean[rows] = vectors
        for memory in (self._first, self._second, self._visits):
            memory[rows] = 0

    def move_origin(self, vector: Tensor) -> None:
        """Count everything from a new origin."""
        self.vectors -= vector
        self.mean -= vector
        if self.homes is not None:
            self.homes = self.homes - vector

    def by_case(self) -> dict[str, tuple[float, ...]]:
        """Where each case lies: the running mean of its vector."""
        return {case: tuple(row.tolist()) for case, row in zip(self.cases, self.mean, strict=True)}

    def state(self) -> dict[str, Tensor]:
        """Everything that `restore` needs to go on as if nothing had happened."""
        return {
            "vectors": self.vectors,
            "mean": self.mean,
            "first": self._first,
            "second": self._second,
            "visits": self._visits,
            **({} if self.homes is None else {"homes": self.homes}),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state.

        Raises:
            ValueError: the state is of other cases or dimensions.
        """
        if state["vectors"].shape != self.vectors.shape:
            raise ValueError(
                f"a state of shape {tuple(state['vectors'].shape)} is not one of {len(self.cases)} cases"
            )
        self.vectors, self.mean = state["vectors"].clone(), state["mean"].clone()
        self._first, self._second = state["first"].clone(), state["second"].clone()
        self._visits = state["visits"].clone()
        self.homes = state["homes"].clone() if "homes" in state else None
