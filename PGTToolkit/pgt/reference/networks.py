"""The two networks of the reference stage, in the published sizes and in one for a CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pgt.reference.deeplab import DeepLab, DeepLabShape
from pgt.reference.settings import Size
from pgt.reference.transunet import TransUNet, TransUNetShape

_SMALL_TRANSUNET = TransUNetShape(
    root=16,
    root_size=3,
    pooled=False,
    planes=(8, 16, 32),
    blocks=(1, 2, 2),
    groups=8,
    hidden=96,
    layers=4,
    heads=4,
    expansion=192,
    tokens=8,
    squeezed=48,
    decoder=(48, 32, 16),
    dropout=0.0,
)
_SMALL_DEEPLAB = DeepLabShape(
    width=0.5,
    depth=1.0,
    blocks=(
        "r1_k3_s11_e1_i32_o16_se0.25",
        "r2_k3_s22_e4_i16_o48_se0.25",
        "r2_k5_s22_e4_i48_o80_se0.25",
        "r3_k3_s22_e4_i80_o128_se0.25",
    ),
    stride=8,
    early=0,
    early_channels=16,
    pyramid=48,
    rates=(1, 2, 4),
    drop_connect=0.1,
    momentum=0.1,
)


class ReferenceNetworks(nn.Module):
    """TransUNet and DeepLabV3+, which learn from each other and are asked together.

    Args:
        classes: background included.
        size: "published" has 105 and 11 million parameters (FLARE22, table 2); "small" suits a CPU.
        seed: of the weights they begin with.
    """

    def __init__(self, classes: int, size: Size = "published", seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            small = size == "small"
            self.transunet = TransUNet(classes, _SMALL_TRANSUNET if small else TransUNetShape())
            self.deeplab = DeepLab(classes, _SMALL_DEEPLAB if small else DeepLabShape())
        self.multiple = math.lcm(self.transunet.shape.multiple, self.deeplab.shape.multiple)

    def forward(self, slices: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both networks, each [slice, class, row, column]; slices of any size."""
        rows, columns = slices.shape[2:]
        # Convolutions of few channels are faster on pixels whose channels lie together.
        padded = padded_slices(slices, self.multiple).contiguous(memory_format=torch.channels_last)
        first = self.transunet(padded, positions)[:, :, :rows, :columns]
        second = self.deeplab(padded, positions)[:, :, :rows, :columns]
        return first, second


def padded_slices(slices: Tensor, multiple: int) -> Tensor:
    """Slices [slice, channel, row, column] with black below and to the right, up to multiples."""
    rows, columns = slices.shape[2:]
    below, right = -rows % multiple, -columns % multiple
    return functional.pad(slices, (0, right, 0, below), value=BLACK)


BLACK = -1.0
"""The lowest intensity of a windowed channel, which is what lies beyond a slice."""
