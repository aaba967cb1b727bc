"""The default propagation network: a small STCN that sees the whole gap between annotated slices.

Keys come from the image alone, values from the image and the mask of annotated slices, and each slice to be
filled in reads the values of the annotated slices through one affinity shared by every segment (STCN). Three
things differ from video object segmentation:

* all slices of a gap are decoded together, with convolutions along the slice axis, so that both bounding
  annotated slices speak to every slice between them and neighbouring slices agree;
* the decoder also sees shape (the interpolated signed distance) and appearance (how much each voxel's
  intensity
  looks like the segment, learnt from this volume's annotated slices), so that nothing depends on the scanner;
* the output is a correction *added* to the interpolated signed distance: an untrained or undecided network
  returns the shape interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pgt.propagation.memory import read_memory

SHAPE_CHANNELS = 2
APPEARANCE_CHANNELS = 2
POSITION_FEATURES = 8
HALF_FREEDOM = 2.0
"""Pixels from the nearest annotated slice at which half of the correction counts."""


@dataclass(frozen=True)
class NetworkConfiguration:
    """Widths of the network: channels at full, half and quarter resolution, of keys and of values."""

    image_channels: int = 3
    widths: tuple[int, int, int, int] = (24, 48, 96, 128)
    key_channels: int = 48
    value_channels: int = 64
    slice_dilations: tuple[int, ...] = (1, 2, 4, 1)


@dataclass
class Gap:
    """Everything the network sees of one gap, for ``O`` segments, ``M`` memory slices and ``D`` slices.

    The ``D`` slices are contiguous along the propagation axis and include the bounding annotated slices,
    which anchor their neighbours. ``H`` and ``W`` are multiples of 8.
    """

    images: Tensor
    """(D, C, H, W) normalised image of the slices to fill in."""
    memory_images: Tensor
    """(M, C, H, W) normalised image of annotated slices."""
    memory_masks: Tensor
    """(O, M, H, W) 1 inside the segment."""
    memory_others: Tensor
    """(O, M, H, W) 1 inside any other segment."""
    memory_appearance: Tensor
    """(O, M, 2, H, W) log-likelihood ratio of the intensity, -1 to 1."""
    prior: Tensor
    """(O, D, H, W) interpolated signed distance in pixels, positive inside."""
    prior_others: Tensor
    """(O, D, H, W) largest interpolated signed distance of the other segments, in pixels."""
    appearance: Tensor
    """(O, D, 2, H, W) log-likelihood ratio of the intensity, -1 to 1."""
    known: Tensor
    """(O, D, H, W) 1 annotated inside, -1 annotated outside, 0 not annotated."""
    position: Tensor
    """(O, D, 8) where the slice lies between its annotated neighbours, see ``position_features``."""

    @property
    def distance(self) -> Tensor:
        """(O, D) pixels to the nearest annotated slice."""
        slices = torch.expm1(3 * self.position[..., :2])
        nearest = torch.where(self.position[..., 2:4] > 0, slices, torch.inf).amin(dim=-1)
        return nearest * torch.exp(self.position[..., 6])

    def to(self, device: str) -> Gap:
        """The same gap with every tensor on ``device``."""
        return Gap(**{name: tensor.to(device) for name, tensor in vars(self).items()})


class Block(nn.Module):
    """Residual block: an in-plane 3x3 convolution, then a convolution of 3 slices ``dilation`` apart."""

    def __init__(self, channels: int, dilation: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.dilation = dilation
        if dilation:
            self.along = nn.Conv2d(3 * channels, channels, 1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.norm1(x)))
        if self.dilation:
            y = y + self.along(with_neighbours(y, self.dilation))
        return x + self.conv2(functional.relu(self.norm2(y)))


def with_neighbours(x: Tensor, dilation: int) -> Tensor:
    """(D, C, H, W) to (D, 3C, H, W): each slice between its neighbours, zeros beyond the ends."""
    reach = min(dilation, len(x))
    empty = x.new_zeros((reach, *x.shape[1:]))
    before = torch.cat([empty, x[: len(x) - reach]])
    after = torch.cat([x[reach:], empty])
    return torch.cat([before, x, after], dim=1)


class KeyEncoder(nn.Module):
    """Image to features at full, half and quarter resolution, and to keys at quarter resolution."""

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__()
        full, half, quarter, eighth = configuration.widths
        self.stem = nn.Conv2d(configuration.image_channels, full, 3, padding=1)
        self.down_half = nn.Conv2d(full, half, 3, stride=2, padding=1)
        self.half_block = Block(half)
        self.down_quarter = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.quarter_block = Block(quarter)
        self.down_eighth = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.eighth_blocks = nn.Sequential(Block(eighth), Block(eighth))
        self.up_quarter = nn.Conv2d(eighth, quarter, 1)
        self.merge_block = Block(quarter)
        self.key = nn.Conv2d(quarter + 2, configuration.key_channels, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        full = functional.relu(self.stem(image))
        half = self.half_block(self.down_half(full))
        quarter = self.quarter_block(self.down_quarter(half))
        deep = self.up_quarter(self.eighth_blocks(self.down_eighth(quarter)))
        quarter = self.merge_block(quarter + functional.interpolate(deep, scale_factor=2.0, mode="bilinear"))
        key = self.key(torch.cat([functional.relu(quarter), place_channels(quarter)], dim=1))
        return full, half, quarter, key


def place_channels(features: Tensor) -> Tensor:
    """Two channels with the row and column of each position, so that keys can prefer nearby positions."""
    count, _, rows, columns = features.shape
    row = torch.arange(rows, dtype=features.dtype, device=features.device) - (rows - 1) / 2
    column = torch.arange(columns, dtype=features.dtype, device=features.device) - (columns - 1) / 2
    grid = torch.stack(torch.meshgrid(row, column, indexing="ij")) / 8
    return grid.expand(count, 2, rows, columns)


class ValueEncoder(nn.Module):
    """Image, mask and the other segments' masks of an annotated slice to values at quarter resolution."""

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__()
        full, half, quarter, _ = configuration.widths
        channels = configuration.image_channels + 2 + APPEARANCE_CHANNELS
        self.stem = nn.Conv2d(channels, full, 3, stride=2, padding=1)
        self.down = nn.Conv2d(full, half, 3, stride=2, padding=1)
        self.fuse = nn.Conv2d(half + quarter, configuration.value_channels, 3, padding=1)
        self.block = Block(configuration.value_channels)

    def forward(self, image: Tensor, mask: Tensor, others: Tensor, appearance: Tensor, key: Tensor) -> Tensor:
        x = torch.cat([image, mask[:, None], others[:, None], appearance], dim=1)
        x = functional.relu(self.stem(x))
        x = self.fuse(torch.cat([functional.relu(self.down(x)), key], dim=1))
        return self.block(x)


class Decoder(nn.Module):
    """Memory readout, image features, shape and appearance to a correction of the signed distance."""

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__()
        full, half, quarter, _ = configuration.widths
        evidence = SHAPE_CHANNELS + APPEARANCE_CHANNELS + 2
        self.evidence_half = nn.Conv2d(evidence, full, 3, stride=2, padding=1)
        self.evidence_quarter = nn.Conv2d(full, half, 3, stride=2, padding=1)
        self.position = nn.Linear(POSITION_FEATURES, quarter)
        self.enter = nn.Conv2d(configuration.value_channels + quarter + half, quarter, 3, padding=1)
        self.quarter_blocks = nn.ModuleList(
            Block(quarter, dilation) for dilation in configuration.slice_dilations
        )
        self.reduce_quarter = nn.Conv2d(quarter, half, 1)
        self.enter_half = nn.Conv2d(2 * half + full, half, 3, padding=1)
        self.half_block = Block(half, dilation=1)
        self.reduce_half = nn.Conv2d(half, full, 1)
        self.enter_full = nn.Conv2d(2 * full + evidence, full, 3, padding=1)
        self.refine = nn.Conv2d(full, full, 3, padding=1)
        self.correction = nn.Conv2d(full, 1, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]

    def forward(
        self,
        readout: Tensor,
        features: tuple[Tensor, Tensor, Tensor],
        evidence: Tensor,
        position: Tensor,
    ) -> Tensor:
        """(D, H, W) corrections for the slices of one segment."""
        full, half, quarter = features
        evidence_half = functional.relu(self.evidence_half(evidence))
        evidence_quarter = functional.relu(self.evidence_quarter(evidence_half))
        x = self.enter(torch.cat([readout, quarter, evidence_quarter], dim=1))
        x = x + self.position(position)[:, :, None, None].to(x.dtype)
        for block in self.quarter_blocks:
            x = block(x)
        x = functional.interpolate(self.reduce_quarter(x), scale_factor=2.0, mode="bilinear")
        x = self.half_block(self.enter_half(torch.cat([x, half, evidence_half], dim=1)))
        x = functional.interpolate(self.reduce_half(functional.relu(x)), scale_factor=2.0, mode="bilinear")
        x = functional.relu(self.enter_full(torch.cat([x, full, evidence], dim=1)))
        return self.correction(functional.relu(self.refine(x)))[:, 0]


class SliceNetwork(nn.Module):
    """Fill in the slices of a gap from the annotated slices around it.

    References
    ----------
    Cheng, Tai, Tang: Rethinking space-time networks with improved memory coverage for efficient video object
    segmentation, NeurIPS 2021 (keys from the image alone, values per object, negative squared distance).
    """

    architecture = "pgt-small"
    top_k = 32

    def __init__(self, configuration: NetworkConfiguration | None = None) -> None:
        super().__init__()
        self.configuration = configuration or NetworkConfiguration()
        self.key_encoder = KeyEncoder(self.configuration)
        self.value_encoder = ValueEncoder(self.configuration)
        self.decoder = Decoder(self.configuration)
        self.sharpness = nn.Parameter(torch.tensor(1.0))
        """Logits per pixel of signed distance."""

    @property
    def slice_reach(self) -> int:
        """Slices on either side that a slice's answer depends on, through convolutions along the slices."""
        return sum(self.configuration.slice_dilations) + 1

    def settings(self) -> dict[str, object]:
        """The configuration as plain values, written beside the weights."""
        return asdict(self.configuration)

    def forward(self, gaps: Sequence[Gap], top_k: int | None = None) -> list[Tensor]:
        """Logits of every segment on every slice, one (O, D, H, W) tensor a gap.

        All gaps share ``H`` and ``W``; their number of segments, memory slices and slices may differ.
        """
        images = torch.cat([torch.cat([gap.memory_images, gap.images]) for gap in gaps])
        features = self.key_encoder(images.contiguous(memory_format=torch.channels_last))
        counts = [len(gap.memory_images) + len(gap.images) for gap in gaps]
        per_gap = list(zip(*(level.split(counts) for level in features), strict=True))

        corrections = []
        for gap, (full, half, quarter, key) in zip(gaps, per_gap, strict=True):
            memory = len(gap.memory_images)
            readout = self._readout(key[:memory], key[memory:], self._values(gap, quarter[:memory]), top_k)
            seen = full[memory:], half[memory:], quarter[memory:]
            evidence = evidence_channels(gap)
            corrections.append(
                torch.stack(
                    [
                        self.decoder(readout[segment], seen, evidence[segment], gap.position[segment])
                        for segment in range(len(evidence))
                    ]
                )
            )
        return [
            self.sharpness * gap.prior + freedom(gap) * correction.float()
            for gap, correction in zip(gaps, corrections, strict=True)
        ]

    def _values(self, gap: Gap, key_features: Tensor) -> Tensor:
        """(O, Cv, M, h, w) values of the annotated slices."""
        segments, memory = gap.memory_masks.shape[:2]
        values = self.value_encoder(
            gap.memory_images.repeat(segments, 1, 1, 1),
            gap.memory_masks.flatten(0, 1),
            gap.memory_others.flatten(0, 1),
            gap.memory_appearance.flatten(0, 1),
            key_features.repeat(segments, 1, 1, 1),
        )
        return values.unflatten(0, (segments, memory)).transpose(1, 2)

    def _readout(self, memory_key: Tensor, query_key: Tensor, values: Tensor, top_k: int | None) -> Tensor:
        """(O, D, Cv, h, w) values read by every slice through one affinity."""
        slices, _, rows, columns = query_key.shape
        segments = len(values)
        readout = read_memory(
            memory_key.transpose(0, 1).flatten(1)[None],
            query_key.transpose(0, 1).flatten(1)[None],
            values.flatten(2)[None],
            top_k=top_k,
        )
        readout = readout.reshape(segments, -1, slices, rows, columns)
        return readout.transpose(1, 2).to(query_key.dtype)


def freedom(gap: Gap) -> Tensor:
    """(O, D, 1, 1) share of the correction that counts: none on annotated slices, more the farther away."""
    return (gap.distance / (gap.distance + HALF_FREEDOM))[..., None, None]


def evidence_channels(gap: Gap) -> Tensor:
    """(O, D, 6, H, W) what is known of shape and appearance without looking at the memory."""
    shape = [torch.tanh(gap.prior / 2), torch.tanh(gap.prior / 8)]
    rest = [gap.known, torch.tanh(gap.prior_others / 4)]
    return torch.cat([torch.stack([*shape, *rest], dim=2), gap.appearance], dim=2)
