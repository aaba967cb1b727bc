"""Where a slice lies along its axis, as features that a network can add to its own (FLARE22, section 2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_FREQUENCIES = 6
"""The finest wave has 32 half periods along the axis: finer than the step between slices says nothing."""


class PositionEmbedding(nn.Module):
    """Relative positions to feature vectors: sines and cosines, then two layers.

    Args:
        channels: of the feature vectors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        waves = math.pi * 2.0 ** torch.arange(_FREQUENCIES)
        self.register_buffer("waves", waves, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(2 * _FREQUENCIES, channels), nn.SiLU(), nn.Linear(channels, channels)
        )

    def forward(self, positions: Tensor) -> Tensor:
        """Positions from 0 to 1, [slice], to features [slice, channel]."""
        waves: Tensor = self.get_buffer("waves")
        phases = positions[:, None] * waves
        features: Tensor = self.layers(torch.cat([phases.sin(), phases.cos()], dim=1))
        return features
