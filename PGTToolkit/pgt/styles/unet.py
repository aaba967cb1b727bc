"""The primary network: an ordinary UNet, which can also run with weights that are handed to it.

HyperSORT (Joutard et al., section 4) uses a 3D UNet of 3 downsampling stages, 16 channels at the highest
resolution and 3 convolutions at every stage beside the one that changes the resolution, each followed by ReLU
and instance normalisation. Any network that implements `PrimaryNetwork` can take its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

Weights = Mapping[str, Tensor]


class PrimaryNetwork(Protocol):
    """A segmentation network whose weights somebody else predicts."""

    def initial_weights(self) -> dict[str, Tensor]:
        """A fresh ordinary initialisation: every weight by name."""
        ...

    def segment(self, images: Tensor, weights: Weights) -> Tensor:
        """Run each image with weights of its own.

        Args:
            images: float tensor [case, channel, i, j, k].
            weights: by name, each with a leading dimension of one entry a case, or of one for all of them.

        Returns:
            Logits [case, class, i, j, k].
        """
        ...

    @property
    def step(self) -> int:
        """Sizes of images must be multiples of this along every axis."""
        ...


@dataclass(frozen=True)
class UNetShape:
    """How a UNet is built; the defaults are the published one (3.33 M parameters).

    Args:
        input_channels: of the image.
        classes: background included.
        channels: at the highest resolution; doubled at every level below.
        levels: number of downsampling stages.
        layers: convolutions at every resolution.
    """

    input_channels: int = 1
    classes: int = 2
    channels: int = 16
    levels: int = 3
    layers: int = 3


class UNet:
    """The published 3D UNet, without weights of its own. Weight names are those of the official code."""

    def __init__(self, shape: UNetShape) -> None:
        self.shape = shape

    @property
    def step(self) -> int:
        """Sizes of images must be multiples of this along every axis."""
        return 2**self.shape.levels

    def initial_weights(self) -> dict[str, Tensor]:
        """A fresh initialisation as PyTorch's layers have it."""
        return {
            f"{name}.{part}": value.detach().clone()
            for name, layer in self._layers().items()
            for part, value in layer.named_parameters()
        }

    def segment(self, images: Tensor, weights: Weights) -> Tensor:
        """Run each image with weights of its own: one grouped convolution a layer, one group a case.

        Args:
            images: float tensor [case, channel, i, j, k], sizes multiples of `step`.
            weights: by name, each with a leading dimension of one entry a case, or of one for all of them,
                which is faster.

        Returns:
            Logits [case, class, i, j, k].
        """
        cases = images.shape[0]
        groups = next(iter(weights.values())).shape[0]
        grouped = _Grouped(weights, groups)
        x = images if groups == 1 else images.flatten(0, 1)[None]
        x = grouped.layer(x, "conv_init", "norm_init")
        x = self._same_resolution(grouped, x, "conv_0", "norm_0")
        skips = [x]
        for level in range(self.shape.levels):
            x = grouped.layer(x, f"down_{level}", f"down_norm_{level}", stride=2)
            x = self._same_resolution(grouped, x, f"conv_{level + 1}", f"norm_{level + 1}")
            skips.append(x)
        for level in reversed(range(self.shape.levels)):
            x = grouped.enlarge(x, f"up_{level}", f"up_norm_{level}")
            x = grouped.join(x, skips[level])
            x = self._same_resolution(grouped, x, f"dec_conv_{level}", f"dec_norm_{level}")
        logits = grouped.convolve(x, "conv_final")
        return logits.reshape(cases, self.shape.classes, *logits.shape[2:])

    def _same_resolution(self, grouped: _Grouped, x: Tensor, convolution: str, norm: str) -> Tensor:
        for layer in range(self.shape.layers):
            x = grouped.layer(x, f"{convolution}_{layer}", f"{norm}_{layer}")
        return x

    def _layers(self) -> dict[str, nn.Module]:
        """Every layer by its official name, in the official order."""
        wide = [self.shape.channels * 2**level for level in range(self.shape.levels + 1)]
        layers: dict[str, nn.Module] = {
            "conv_init": nn.Conv3d(self.shape.input_channels, wide[0], 3),
            "norm_init": nn.InstanceNorm3d(wide[0], affine=True),
        }
        for level in range(self.shape.levels + 1):
            if level > 0:
                layers[f"down_{level - 1}"] = nn.Conv3d(wide[level - 1], wide[level], 3)
                layers[f"down_norm_{level - 1}"] = nn.InstanceNorm3d(wide[level], affine=True)
            for layer in range(self.shape.layers):
                layers[f"conv_{level}_{layer}"] = nn.Conv3d(wide[level], wide[level], 3)
                layers[f"norm_{level}_{layer}"] = nn.InstanceNorm3d(wide[level], affine=True)
        for level in range(self.shape.levels):
            layers[f"up_{level}"] = nn.ConvTranspose3d(wide[level + 1], wide[level], 4)
            layers[f"up_norm_{level}"] = nn.InstanceNorm3d(wide[level], affine=True)
            for layer in range(self.shape.layers):
                entering = wide[level + 1] if layer == 0 else wide[level]
                layers[f"dec_conv_{level}_{layer}"] = nn.Conv3d(entering, wide[level], 3)
                layers[f"dec_norm_{level}_{layer}"] = nn.InstanceNorm3d(wide[level], affine=True)
        layers["conv_final"] = nn.Conv3d(wide[0], self.shape.classes, 3)
        return layers


class _Grouped:
    """Layers whose weights belong to groups of channels.

    Where every case has weights of its own, a tensor is [1, case × channel, i, j, k] and every case is a
    group; where all share theirs, it is [case, channel, i, j, k] with one group.
    """

    def __init__(self, weights: Weights, groups: int) -> None:
        self._weights = weights
        self._groups = groups

    def convolve(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight, bias = self._of(name)
        return functional.conv3d(x, weight, bias, stride=stride, padding=1, groups=self._groups)

    def layer(self, x: Tensor, convolution: str, norm: str, stride: int = 1) -> Tensor:
        return self._normalise(functional.relu(self.convolve(x, convolution, stride)), norm)

    def enlarge(self, x: Tensor, convolution: str, norm: str) -> Tensor:
        weight, bias = self._of(convolution)
        x = functional.conv_transpose3d(x, weight, bias, stride=2, padding=1, groups=self._groups)
        return self._normalise(functional.relu(x), norm)

    def join(self, x: Tensor, skip: Tensor) -> Tensor:
        """The channels of both, group by group."""
        groups = (self._groups, -1)
        return torch.cat([x.unflatten(1, groups), skip.unflatten(1, groups)], dim=2).flatten(1, 2)

    def _normalise(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._of(name)
        return functional.instance_norm(x, weight=weight, bias=bias)

    def _of(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"].flatten(0, 1), self._weights[f"{name}.bias"].flatten(0, 1)
