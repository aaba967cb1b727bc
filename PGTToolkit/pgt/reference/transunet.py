"""TransUNet (Chen et al., arXiv 2102.04306): ResNet-50, a vision transformer on its features, a U's decoder.

Built from MONAI's bottleneck blocks and PyTorch's transformer layers. The published hybrid "R50-ViT-B/16" has
three stages of 3, 4 and 9 bottleneck blocks with group normalisation, 12 transformer layers of width 768, and
a decoder that takes up the features of the root and of the first two stages. Unlike the published one the
convolutions' weights are not standardised; and the slice's relative position is added to every token
(FLARE22, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.nets.resnet import ResNetBottleneck
from torch import Tensor, nn
from torch.nn import functional

from pgt.reference.position import PositionEmbedding


@dataclass(frozen=True)
class TransUNetShape:
    """The size of the network; by default the published one.

    Args:
        root: channels of the first convolution.
        root_size: pixels of the first convolution along each side; it halves the slice.
        pooled: whether a pooling after it halves the slice again.
        planes: of each stage's bottlenecks; a stage has four times as many channels, and all but the first
            halve the slice.
        blocks: bottlenecks of each stage.
        groups: of the group normalisation.
        hidden: width of the transformer.
        layers: of the transformer.
        heads: of each layer's attention.
        expansion: of each layer's perceptron, in channels.
        tokens: rows and columns that the learnt token positions stand for; other sizes interpolate them.
        squeezed: channels between transformer and decoder.
        decoder: channels after each doubling of the slice's size.
        dropout: within the transformer.
    """

    root: int = 64
    root_size: int = 7
    pooled: bool = True
    planes: tuple[int, int, int] = (64, 128, 256)
    blocks: tuple[int, int, int] = (3, 4, 9)
    groups: int = 32
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    expansion: int = 3072
    tokens: int = 14
    squeezed: int = 512
    decoder: tuple[int, ...] = (256, 128, 64, 16)
    dropout: float = 0.1

    @property
    def multiple(self) -> int:
        """Slices are padded to a multiple of this many pixels."""
        return 16 if self.pooled else 8


class TransUNet(nn.Module):
    """Logits of slices.

    Args:
        classes: background included.
        shape: the size of the network.
        channels: of a slice.
    """

    def __init__(self, classes: int, shape: TransUNetShape | None = None, channels: int = 3) -> None:
        super().__init__()
        shape = shape or TransUNetShape()
        self.shape = shape
        self.root = _Root(channels, shape)
        wide = [shape.root, *(4 * planes for planes in shape.planes)]
        self.stages = nn.ModuleList(
            _stage(wide[number], shape.planes[number], shape.blocks[number], 1 + (number > 0), shape.groups)
            for number in range(3)
        )
        self.tokens = nn.Conv2d(wide[3], shape.hidden, 1)
        self.token_positions = nn.Parameter(torch.zeros(1, shape.hidden, shape.tokens, shape.tokens))
        nn.init.trunc_normal_(self.token_positions, std=0.02)
        self.position = PositionEmbedding(shape.hidden)
        self.transformer = nn.ModuleList(
            nn.TransformerEncoderLayer(
                shape.hidden,
                shape.heads,
                shape.expansion,
                shape.dropout,
                functional.gelu,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(shape.layers)
        )
        self.normalised = nn.LayerNorm(shape.hidden)
        self.squeezed = _convolved(shape.hidden, shape.squeezed)
        skips = [wide[2], wide[1], *([wide[0]] if shape.pooled else [])]
        inputs = [shape.squeezed, *shape.decoder[:-1]]
        skips += [0] * (len(shape.decoder) - len(skips))
        self.decoder = nn.ModuleList(
            nn.Sequential(_convolved(before + skip, after), _convolved(after, after))
            for before, skip, after in zip(inputs, skips, shape.decoder, strict=True)
        )
        self.head = nn.Conv2d(shape.decoder[-1], classes, 3, padding=1)

    def forward(self, slices: Tensor, positions: Tensor) -> Tensor:
        """Run slices.

        Args:
            slices: float [slice, channel, row, column], in multiples of `TransUNetShape.multiple` pixels.
            positions: where each lies along its axis, from 0 to 1, [slice].

        Returns:
            Logits [slice, class, row, column].
        """
        root = self.root(slices)
        features = functional.max_pool2d(root, 3, 2, 1) if self.shape.pooled else root
        skips = [root] if self.shape.pooled else []
        for stage in self.stages:
            features = stage(features)
            skips.append(features)
        skips.pop()
        features = self.squeezed(self._transformed(features, positions))
        for block in self.decoder:
            features = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            if skips:
                features = torch.cat([features, skips.pop()], dim=1)
            features = block(features)
        logits: Tensor = self.head(features)
        return logits

    def _transformed(self, features: Tensor, positions: Tensor) -> Tensor:
        """[slice, channel, row, column] through the transformer, as [slice, hidden, row, column]."""
        tokens = self.tokens(features)
        size = tokens.shape[2:]
        places: Tensor = self.token_positions
        if places.shape[2:] != size:
            places = functional.interpolate(places, size=size, mode="bilinear", align_corners=False)
        tokens = (tokens + places).flatten(2).transpose(1, 2) + self.position(positions)[:, None]
        for layer in self.transformer:
            tokens = layer(tokens)
        tokens = self.normalised(tokens)
        return tokens.transpose(1, 2).unflatten(2, size)


class _Root(nn.Module):
    """The first convolution."""

    def __init__(self, channels: int, shape: TransUNetShape) -> None:
        super().__init__()
        size = shape.root_size
        self.convolution = nn.Conv2d(channels, shape.root, size, 2, size // 2, bias=False)
        self.norm = nn.GroupNorm(shape.groups, shape.root)

    def forward(self, slices: Tensor) -> Tensor:
        return functional.relu(self.norm(self.convolution(slices)))


def _stage(channels: int, planes: int, blocks: int, stride: int, groups: int) -> nn.Sequential:
    """Bottleneck blocks, of which the first changes channels and, with a stride, size."""
    norm: Any = ("group", {"num_groups": groups})
    shortcut = nn.Sequential(
        nn.Conv2d(channels, 4 * planes, 1, stride, bias=False), nn.GroupNorm(groups, 4 * planes)
    )
    first = ResNetBottleneck(channels, planes, 2, stride, shortcut, norm=norm)
    rest = (ResNetBottleneck(4 * planes, planes, 2, norm=norm) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def _convolved(channels: int, wanted: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, wanted, 3, padding=1, bias=False), nn.BatchNorm2d(wanted), nn.ReLU()
    )
