"""Residual encoders (He et al. 2016) up to stride 16, as the Space-Time Correspondence Network uses them.

Parameter names follow the usual ones (``conv1``, ``bn1``, ``layer1`` ...), so that published weights map by a
prefix. Two peculiarities of the published weights are options here: further input channels beside the image
(masks), and convolutions with a bias although a batch normalisation follows.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional


class Pyramid(NamedTuple):
    """Features of S slices at strides 4, 8 and 16: each (S, C, H / stride, W / stride)."""

    stride4: Tensor
    stride8: Tensor
    stride16: Tensor


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride, bias)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, strided 3x3 and widening 1x1 convolution and a shortcut (ResNet-50)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, bias: bool) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=bias)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride, bias)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + self.downsample(x))


def _shortcut(inputs: int, outputs: int, stride: int, bias: bool) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=bias), nn.BatchNorm2d(outputs))


class ResNetEncoder(nn.Module):
    """The first three stages of a residual network.

    Args:
        block: BasicBlock or Bottleneck.
        depths: blocks in each of the three stages.
        input_channels: 3 for an image, more for an image with masks.
        bias: convolutions have a bias.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        depths: tuple[int, int, int],
        *,
        input_channels: int = 3,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, 64, 7, stride=2, padding=3, bias=bias)
        self.bn1 = nn.BatchNorm2d(64)
        outputs = 64
        stages = []
        for width, depth, stride in zip((64, 128, 256), depths, (1, 2, 2), strict=True):
            blocks: list[nn.Module] = []
            for number in range(depth):
                blocks.append(block(outputs, width, stride if number == 0 else 1, bias))
                outputs = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3 = stages

    def forward(self, x: Tensor) -> Pyramid:
        """(S, input_channels, H, W), H and W multiples of 16, to features at strides 4, 8 and 16."""
        x = functional.relu(self.bn1(self.conv1(x)))
        stride4 = self.layer1(functional.max_pool2d(x, 3, stride=2, padding=1))
        stride8 = self.layer2(stride4)
        return Pyramid(stride4, stride8, self.layer3(stride8))
