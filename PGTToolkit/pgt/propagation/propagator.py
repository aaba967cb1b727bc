"""What the engine asks of a network, whichever architecture it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor, nn

from pgt.propagation.network import Gap


class Propagator(Protocol):
    """A network that fills in the slices of a gap; ``SliceNetwork`` and ``STCNNetwork`` are."""

    architecture: str
    top_k: int
    """Memory positions that a position reads."""

    @property
    def slice_reach(self) -> int:
        """Slices on either side that a slice's answer depends on, its memory apart."""

    @property
    def sharpness(self) -> Tensor:
        """Logits that a pixel of interpolated signed distance is worth where the two are weighed."""

    def to(self, device: str) -> Propagator:
        """The same network on another device."""

    def settings(self) -> dict[str, object]:
        """The configuration as plain values, written beside the weights."""

    def state_dict(self) -> dict[str, Tensor]:
        """Weights and buffers by name."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The trained numbers."""

    def __call__(self, gaps: Sequence[Gap], top_k: int | None = ...) -> list[Tensor]:
        """Logits of every segment on every slice, one (O, D, H, W) tensor a gap."""
