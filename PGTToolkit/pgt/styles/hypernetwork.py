"""The hyper-network: from a latent vector to every weight of the primary network.

HyperSORT (Joutard et al., sections 3 and 4): a fully connected network (2 → 50 → 50 → 50, ReLU) with one
linear head a weight tensor, followed by 5·tanh. The heads' biases start where an ordinary initialisation of
the primary network lies, so that the zero vector is an ordinary network.

The published heads hold 50 numbers for every weight of the primary network. `HyperNetworkShape.rank`
replaces them by ``rank`` numbers: all heads of a case are mixtures of a few weight sets, mixed by the
latent vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pgt.styles.unet import PrimaryNetwork

BOUND = 5.0
"""Predicted weights lie between minus and plus this."""


@dataclass(frozen=True)
class HyperNetworkShape:
    """How a hyper-network is built.

    Args:
        latent: dimensions of the latent vector.
        hidden: widths of the hidden layers.
        rank: numbers kept for every predicted weight; None for the published heads, which keep one for each
            of the last hidden layer's outputs.
    """

    latent: int = 2
    hidden: tuple[int, ...] = (50, 50, 50)
    rank: int | None = 8


class HyperNetwork(nn.Module):
    """Predicts the weights of a primary network.

    Args:
        shape: how it is built.
        primary: the network whose weights it predicts.
    """

    def __init__(self, shape: HyperNetworkShape, primary: PrimaryNetwork) -> None:
        super().__init__()
        self.shape = shape
        widths = (shape.latent, *shape.hidden)
        self.trunk = nn.Sequential(
            *(nn.Sequential(nn.Linear(before, after), nn.ReLU()) for before, after in pairwise(widths))
        )
        self.mixing = nn.Identity() if shape.rank is None else nn.Linear(widths[-1], shape.rank, bias=False)
        initial = primary.initial_weights()
        self._sizes = {name: value.shape for name, value in initial.items()}
        total = sum(value.numel() for value in initial.values())
        inputs = widths[-1] if shape.rank is None else shape.rank
        limit = 1 / math.sqrt(widths[-1])
        self.heads = nn.Parameter(torch.empty(total, inputs).uniform_(-limit, limit))
        start = torch.cat([value.flatten() for value in initial.values()])
        self.bias = nn.Parameter(torch.atanh((start / BOUND).clamp(-0.999, 0.999)))

    def move_origin(self, latent: Tensor) -> None:
        """Let the zero vector predict what ``latent`` did, and every other vector what lay as far from it."""
        first = next(layer for layer in self.trunk.modules() if isinstance(layer, nn.Linear))
        with torch.no_grad():
            first.bias.add_(first.weight @ latent.to(first.weight.device))

    def forward(self, latents: Tensor) -> dict[str, Tensor]:
        """Weights of the primary network for each latent vector.

        Args:
            latents: float tensor [case, latent].

        Returns:
            Every weight by name, [case, ...].
        """
        flat = BOUND * torch.tanh(functional.linear(self.mixing(self.trunk(latents)), self.heads, self.bias))
        parts = flat.split([size.numel() for size in self._sizes.values()], dim=1)
        return {
            name: part.unflatten(1, size)
            for (name, size), part in zip(self._sizes.items(), parts, strict=True)
        }
