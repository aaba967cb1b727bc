"""The networks of the studies: MONAI's, in two and three dimensions, small enough for a CPU by default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from pgt.errors import InputError

Architecture = Literal["unet", "dynunet"]


@dataclass(frozen=True)
class NetworkShape:
    """Which network, and how large.

    Args:
        name: what results and pages call it.
        dimensions: 2 for slices, 3 for volumes.
        architecture: MONAI's ``UNet`` with residual units, or its ``DynUNet`` (nnU-Net's).
        channels: of every level, the finest, at full resolution, first; each further level halves the
            resolution, only the last of a ``unet`` keeps it.
        residual_units: of every level of the ``unet``; 0 for plain convolutions.

    Raises:
        InputError: a number is out of its range.
    """

    name: str
    dimensions: int
    architecture: Architecture = "unet"
    channels: tuple[int, ...] = (8, 16, 32)
    residual_units: int = 1

    def __post_init__(self) -> None:
        if not self.name or not all(sign.isalnum() or sign in "-_" for sign in self.name):
            raise InputError(f"A network's name has letters, digits, - and _, not {self.name!r}.")
        if self.dimensions not in (2, 3):
            raise InputError(f"The network {self.name} must have 2 or 3 dimensions, not {self.dimensions}.")
        if self.architecture not in ("unet", "dynunet"):
            raise InputError(f"The network {self.name} must be a unet or a dynunet, not {self.architecture}.")
        if len(self.channels) < 2 or min(self.channels) < 1:
            raise InputError(
                f"The network {self.name} needs two levels or more with channels each, "
                f"not {list(self.channels)}."
            )
        if self.architecture == "dynunet" and len(self.channels) < 3:
            raise InputError(f"The network {self.name} is a dynunet, which needs three levels or more.")
        if self.residual_units < 0:
            raise InputError(
                f"The network {self.name} cannot have {self.residual_units} residual units a level."
            )

    @property
    def divisor(self) -> int:
        """What the size of its input must be a multiple of, along every axis."""
        halvings = len(self.channels) - (1 if self.architecture == "dynunet" else 2)
        return int(2**halvings)


def build_network(shape: NetworkShape, classes: int, seed: int, inputs: int = 1) -> torch.nn.Module:
    """An untrained network, the same for the same seed; torch's own random numbers are left as they are.

    Args:
        shape: which one.
        classes: of its output, background included.
        seed: of its first weights.
        inputs: channels of its input.

    Returns:
        A module from [case, input, i, j(, k)] to logits [case, class, i, j(, k)].
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _built(shape, classes, inputs)


def parameter_count(network: torch.nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _built(shape: NetworkShape, classes: int, inputs: int) -> torch.nn.Module:
    from monai.networks.nets.dynunet import DynUNet
    from monai.networks.nets.unet import UNet

    levels = len(shape.channels)
    strides: Sequence[int] = [1] + [2] * (levels - 1)
    if shape.architecture == "dynunet":
        network: torch.nn.Module = DynUNet(
            spatial_dims=shape.dimensions,
            in_channels=inputs,
            out_channels=classes,
            kernel_size=[3] * levels,
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=list(shape.channels),
            deep_supervision=False,
        )
    else:
        network = UNet(
            spatial_dims=shape.dimensions,
            in_channels=inputs,
            out_channels=classes,
            channels=shape.channels,
            # The first level at full resolution: these volumes are small, and so are their structures.
            strides=strides[:-1],
            num_res_units=shape.residual_units,
        )
    return network
