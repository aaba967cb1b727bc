"""DeepLabV3+ (Chen et al., ECCV 2018) on an EfficientNet encoder, MONAI's.

The encoder's late stages are dilated instead of strided, so that features stay at a sixteenth of the slice's
size; atrous spatial pyramid pooling sees them at several rates; the decoder adds early features. The slice's
relative position is added to what the pyramid sees (FLARE22, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.nets.efficientnet import EfficientNet
from torch import Tensor, nn
from torch.nn import functional

from pgt.reference.position import PositionEmbedding

_BLOCKS = (
    "r1_k3_s11_e1_i32_o16_se0.25",
    "r2_k3_s22_e6_i16_o24_se0.25",
    "r2_k5_s22_e6_i24_o40_se0.25",
    "r3_k3_s22_e6_i40_o80_se0.25",
    "r3_k5_s11_e6_i80_o112_se0.25",
    "r4_k5_s22_e6_i112_o192_se0.25",
    "r1_k3_s11_e6_i192_o320_se0.25",
)
"""EfficientNet's stages before scaling (Tan and Le, ICML 2019, table 1)."""


@dataclass(frozen=True)
class DeepLabShape:
    """The size of the network; by default EfficientNet-B3's, which gives the paper's 11 million parameters.

    Args:
        width: what EfficientNet's channels are multiplied by.
        depth: what the blocks of its stages are multiplied by.
            stride: how many pixels the deepest features are apart; strides beyond become dilations.
        early: the stage, from 0, whose features the decoder adds.
        early_channels: what they are reduced to.
        pyramid: channels of the pyramid and the decoder.
        rates: of the pyramid's dilated convolutions.
        drop_connect: share of residual blocks that are left out in training, in the deepest ones.
        momentum: of the encoder's normalisation statistics: EfficientNet's, which long trainings can afford.
    """

    width: float = 1.2
    depth: float = 1.4
    blocks: tuple[str, ...] = _BLOCKS
    stride: int = 16
    early: int = 1
    early_channels: int = 48
    pyramid: int = 256
    rates: tuple[int, ...] = (6, 12, 18)
    drop_connect: float = 0.2
    momentum: float = 0.01

    @property
    def multiple(self) -> int:
        """Slices are padded to a multiple of this many pixels."""
        return self.stride


class DeepLab(nn.Module):
    """Logits of slices.

    Args:
        classes: background included.
        shape: the size of the network.
        channels: of a slice.
    """

    def __init__(self, classes: int, shape: DeepLabShape | None = None, channels: int = 3) -> None:
        super().__init__()
        self.shape = shape = shape or DeepLabShape()
        self.encoder = _Encoder(channels, shape)
        deep, early = self.encoder.channels[-1], self.encoder.channels[shape.early]
        self.position = PositionEmbedding(deep)
        self.pyramid = _Pyramid(deep, shape.pyramid, shape.rates)
        self.early = _convolved(early, shape.early_channels, 1)
        self.decoder = nn.Sequential(
            _separable(shape.pyramid + shape.early_channels, shape.pyramid),
            _separable(shape.pyramid, shape.pyramid),
        )
        self.head = nn.Conv2d(shape.pyramid, classes, 1)

    def forward(self, slices: Tensor, positions: Tensor) -> Tensor:
        """Run slices.

        Args:
            slices: float [slice, channel, row, column], in multiples of `DeepLabShape.multiple` pixels.
            positions: where each lies along its axis, from 0 to 1, [slice].

        Returns:
            Logits [slice, class, row, column].
        """
        early, deep = self.encoder(slices)
        deep = self.pyramid(deep + self.position(positions)[:, :, None, None])
        deep = functional.interpolate(deep, size=early.shape[2:], mode="bilinear", align_corners=False)
        logits = self.head(self.decoder(torch.cat([deep, self.early(early)], dim=1)))
        return functional.interpolate(logits, size=slices.shape[2:], mode="bilinear", align_corners=False)


class _Encoder(nn.Module):
    """EfficientNet without its head."""

    def __init__(self, channels: int, shape: DeepLabShape) -> None:
        super().__init__()
        network = EfficientNet(
            list(shape.blocks),
            in_channels=channels,
            width_coefficient=shape.width,
            depth_coefficient=shape.depth,
            # Paddings are those of sizes that halve evenly, which padded slices have.
            image_size=512,
            norm=("batch", {"eps": 1e-3, "momentum": shape.momentum}),
            drop_connect_rate=shape.drop_connect,
        )
        _trade_strides(network, shape)
        self.stem = nn.Sequential(network._conv_stem_padding, network._conv_stem, network._bn0, nn.SiLU())
        stages: Any = network._blocks
        self.stages = stages
        self.early = shape.early
        self.channels: list[int] = [stage[-1].out_channels for stage in stages]

    def forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Early and deep features."""
        features = early = self.stem(slices)
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number == self.early:
                early = features
        return early, features


def _trade_strides(network: EfficientNet, shape: DeepLabShape) -> None:
    """Make the strides beyond the one wanted dilations of all that follows."""
    reached, dilation = 2, 1
    stages: Any = network._blocks
    for stage in stages:
        for block in stage:
            convolution: Any = block._depthwise_conv
            trades = convolution.stride[0] > 1 and reached >= shape.stride
            dilation, reached = (
                (dilation * 2, reached) if trades else (dilation, reached * convolution.stride[0])
            )
            if dilation > 1:
                convolution.stride, convolution.dilation = (1, 1), (dilation, dilation)
                side = dilation * (convolution.kernel_size[0] - 1) // 2
                block._depthwise_conv_padding = nn.ConstantPad2d(side, 0.0)


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling with separable convolutions (DeepLabV3+, section 3.1)."""

    def __init__(self, channels: int, wanted: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [_convolved(channels, wanted, 1), *(_separable(channels, wanted, rate) for rate in rates)]
        )
        # Not normalised: one number a channel and slice has no variance in a batch of one.
        self.whole = nn.Sequential(nn.Conv2d(channels, wanted, 1), nn.ReLU())
        self.merged = _convolved((2 + len(rates)) * wanted, wanted, 1)

    def forward(self, features: Tensor) -> Tensor:
        whole = self.whole(features.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *features.shape[2:])
        seen = [branch(features) for branch in self.branches]
        merged: Tensor = self.merged(torch.cat([*seen, whole], dim=1))
        return merged


def _convolved(channels: int, wanted: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, wanted, size, padding=size // 2, bias=False), nn.BatchNorm2d(wanted), nn.ReLU()
    )


def _separable(channels: int, wanted: int, rate: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate, groups=channels, bias=False),
        *_convolved(channels, wanted, 1),
    )
