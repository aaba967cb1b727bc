"""The Space-Time Correspondence Network, in its published sizes.

Keys come from the image alone and are shared by all segments; values come from the image, the mask of one
segment and the sum of the masks of the others. A slice to be filled in reads the values of the annotated
slices through one affinity (see ``pgt.propagation.memory``) and a decoder turns what it reads into a mask.

Reference: Cheng, Tai, Tang: Rethinking Space-Time Networks with Improved Memory Coverage for Efficient Video
Object Segmentation, NeurIPS 2021.

Shapes: S slices, O segments, H and W of the slices, multiples of 16 where a method does not pad by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pgt.propagation.memory import DEFAULT_TOP_K, read_memory
from pgt.propagation.network import Gap
from pgt.propagation.resnet import BasicBlock, Bottleneck, Pyramid, ResNetEncoder

KEY_CHANNELS = 64
VALUE_CHANNELS = 512
STRIDE = 16
SEGMENTS_AT_ONCE = 4
"""Segments decoded together; bounds the memory needed on wide slices."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class STCNConfiguration:
    """What differs between published weights."""

    attention: bool = True
    """The value encoder weighs channels and places after fusing image and mask features (CBAM)."""
    key_bias: bool = False
    """The convolutions of the key encoder have a bias."""


MULTI_OBJECT = STCNConfiguration()
"""The official multi-object network, 54,434,180 parameters."""
FLARE22 = STCNConfiguration(attention=False, key_bias=True)
"""The network of the FLARE22 challenge entry, 54,416,065 parameters."""


@dataclass(frozen=True)
class KeyFeatures:
    """What the key encoder says of S slices.

    ``key`` (S, 64, H/16, W/16) is compared; ``thin`` (S, 512, H/16, W/16) and ``pyramid`` are decoded.
    """

    key: Tensor
    thin: Tensor
    pyramid: Pyramid


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after a rectification, and a shortcut; no normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.downsample = nn.Conv2d(inputs, outputs, 3, padding=1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(functional.relu(self.conv1(functional.relu(x))))
        return self.downsample(x) + y


class ChannelAndPlaceAttention(nn.Module):
    """Convolutional block attention (CBAM, Woo et al. 2018): a weight per channel, then one per place."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)
        self.place = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        by_channel = self._channel_logits(x.mean(dim=(2, 3))) + self._channel_logits(x.amax(dim=(2, 3)))
        x = x * torch.sigmoid(by_channel)[:, :, None, None]
        summary = torch.stack([x.amax(dim=1), x.mean(dim=1)], dim=1)
        return x * torch.sigmoid(self.place(summary))

    def _channel_logits(self, pooled: Tensor) -> Tensor:
        return self.excite(functional.relu(self.squeeze(pooled)))


class FeatureFusion(nn.Module):
    """Join features of image and mask with those of the key encoder."""

    def __init__(self, inputs: int, outputs: int, attention: bool) -> None:
        super().__init__()
        self.block1 = ResidualBlock(inputs, outputs)
        self.attention = ChannelAndPlaceAttention(outputs) if attention else None
        self.block2 = ResidualBlock(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block1(x)
        if self.attention is not None:
            x = x + self.attention(x)
        return self.block2(x)


class ValueEncoder(nn.Module):
    """Image, mask and the others' masks to values at stride 16."""

    def __init__(self, attention: bool) -> None:
        super().__init__()
        self.backbone = ResNetEncoder(BasicBlock, (2, 2, 2), input_channels=5, bias=True)
        self.fuser = FeatureFusion(1024 + 256, VALUE_CHANNELS, attention)

    def forward(self, image_and_masks: Tensor, key_features: Tensor) -> Tensor:
        """(S, 5, H, W) and (S, 1024, H/16, W/16) to (S, 512, H/16, W/16)."""
        features = self.backbone(image_and_masks).stride16
        return self.fuser(torch.cat([features, key_features], dim=1))


class UpsampleBlock(nn.Module):
    """Double the resolution and add finer image features."""

    def __init__(self, skip_channels: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_channels, inputs, 3, padding=1)
        self.out_conv = ResidualBlock(inputs, outputs)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        finer = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.out_conv(self.skip_conv(skip) + finer)


class Decoder(nn.Module):
    """Readout and image features to logits at full resolution; one slice serves all its segments."""

    def __init__(self) -> None:
        super().__init__()
        self.compress = ResidualBlock(2 * VALUE_CHANNELS, 512)
        self.up_16_8 = UpsampleBlock(512, 512, 256)
        self.up_8_4 = UpsampleBlock(256, 256, 256)
        self.pred = nn.Conv2d(256, 1, 3, padding=1)

    def forward(self, readout: Tensor, slice_features: KeyFeatures) -> Tensor:
        """(O, 512, H/16, W/16) to (O, H, W)."""
        thin = slice_features.thin.expand(len(readout), -1, -1, -1)
        x = self.compress(torch.cat([readout, thin], dim=1))
        x = self.up_16_8(slice_features.pyramid.stride8, x)
        x = self.up_8_4(slice_features.pyramid.stride4, x)
        x = self.pred(functional.relu(x))
        return functional.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)[:, 0]


class STCNNetwork(nn.Module):
    """Keys, values and decoding as published; ``forward`` fills in the slices of a gap.

    Batch normalisation is frozen in training as in the publication: keep the network in ``eval`` mode.
    """

    architecture = "stcn"
    slice_reach = 0
    top_k = DEFAULT_TOP_K

    def __init__(self, configuration: STCNConfiguration = MULTI_OBJECT) -> None:
        super().__init__()
        self.configuration = configuration
        self.key_encoder = ResNetEncoder(Bottleneck, (3, 4, 6), bias=configuration.key_bias)
        self.value_encoder = ValueEncoder(configuration.attention)
        self.key_proj = nn.Conv2d(1024, KEY_CHANNELS, 3, padding=1)
        self.key_comp = nn.Conv2d(1024, VALUE_CHANNELS, 3, padding=1)
        self.decoder = Decoder()

    @property
    def sharpness(self) -> Tensor:
        """Logits that a pixel of interpolated signed distance is worth where the two are weighed: one."""
        return self.key_proj.weight.new_ones(())

    def settings(self) -> dict[str, object]:
        """The configuration as plain values, written beside the weights."""
        return asdict(self.configuration)

    def encode_key(self, images: Tensor) -> KeyFeatures:
        """(S, 3, H, W), normalised by ``imagenet_normalised``, to keys and features."""
        pyramid = self.key_encoder(images)
        return KeyFeatures(self.key_proj(pyramid.stride16), self.key_comp(pyramid.stride16), pyramid)

    def encode_value(self, images: Tensor, features: KeyFeatures, masks: Tensor, others: Tensor) -> Tensor:
        """Values of S slices for every segment.

        Args:
            images: (S, 3, H, W), normalised.
            features: of the same slices.
            masks: (O, S, H, W), 0 to 1.
            others: (O, S, H, W), the sum of the masks of the other segments.

        Returns:
            (O, 512, S, H/16, W/16).
        """
        deep = features.pyramid.stride16
        values = [
            self.value_encoder(torch.cat([images, mask[:, None], other[:, None]], dim=1), deep)
            for mask, other in zip(masks, others, strict=True)
        ]
        return torch.stack(values).transpose(1, 2)

    def decode(self, readout: Tensor, slice_features: KeyFeatures) -> Tensor:
        """Logits (O, H, W) of one slice from what its segments read, (O, 512, H/16, W/16)."""
        logits: Tensor = self.decoder(readout, slice_features)
        return logits

    def read(
        self,
        memory_key: Tensor,
        values: Tensor,
        slice_features: KeyFeatures,
        top_k: int | None = DEFAULT_TOP_K,
    ) -> Tensor:
        """What the segments of one slice read from S others.

        Args:
            memory_key: (S, 64, H/16, W/16).
            values: (O, 512, S, H/16, W/16).
            slice_features: of the slice that reads.
            top_k: positions that a position reads; None for all.

        Returns:
            (O, 512, H/16, W/16).
        """
        memory = memory_key.transpose(0, 1).flatten(1)[None]
        query = slice_features.key.flatten(2)
        readout = read_memory(memory, query, values.flatten(2)[None], top_k=top_k)
        return readout[0].unflatten(2, slice_features.key.shape[2:])

    def forward(self, gaps: Sequence[Gap], top_k: int | None = DEFAULT_TOP_K) -> list[Tensor]:
        """Logits of every segment on every slice, one (O, D, H, W) tensor a gap.

        Reads images and annotated masks of a gap; its shape and appearance play no part. Slices are encoded
        and decoded one at a time, so that memory grows with the readout alone.
        """
        return [self._fill_in(gap, top_k) for gap in gaps]

    def _fill_in(self, gap: Gap, top_k: int | None) -> Tensor:
        rows, columns = gap.images.shape[2:]
        memory_key, values = self._remember(gap)
        logits = []
        for image in gap.images.split(1):
            features = self.encode_key(pad_to_stride(imagenet_normalised(image)))
            readout = self.read(memory_key, values, features, top_k)
            parts = [self.decode(part, features) for part in readout.split(SEGMENTS_AT_ONCE)]
            logits.append(torch.cat(parts))
        top, left = (((-size) % STRIDE) // 2 for size in (rows, columns))
        return torch.stack(logits, dim=1)[:, :, top : top + rows, left : left + columns]

    def _remember(self, gap: Gap) -> tuple[Tensor, Tensor]:
        """Keys (M, 64, h, w) and values (O, 512, M, h, w) of the annotated slices."""
        keys, values = [], []
        masks, others = pad_to_stride(gap.memory_masks), pad_to_stride(gap.memory_others)
        for number, image in enumerate(pad_to_stride(imagenet_normalised(gap.memory_images)).split(1)):
            one = slice(number, number + 1)
            features = self.encode_key(image)
            keys.append(features.key)
            values.append(self.encode_value(image, features, masks[:, one], others[:, one]))
        return torch.cat(keys), torch.cat(values, dim=2)


def imagenet_normalised(images: Tensor) -> Tensor:
    """(S, 3, H, W) channels from -1 to 1 to the mean and deviation that the published weights expect."""
    mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
    deviation = images.new_tensor(IMAGENET_DEVIATION)[:, None, None]
    return ((images + 1) / 2 - mean) / deviation


def pad_to_stride(maps: Tensor) -> Tensor:
    """Pad (..., H, W) with zeros, evenly on both sides, to multiples of 16."""
    rows, columns = ((-size) % STRIDE for size in maps.shape[-2:])
    return functional.pad(maps, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def sum_of_others(masks: Tensor) -> Tensor:
    """(O, ...): for each segment the sum of the masks of all other segments."""
    return masks.sum(dim=0, keepdim=True) - masks


def soft_aggregate(probabilities: Tensor) -> Tensor:
    """Make independent probabilities of segments compete, background included (Oh et al. 2019).

    Args:
        probabilities: (O, ...) of each segment on its own.

    Returns:
        (1 + O, ...), background first; sums to 1.
    """
    background = torch.prod(1 - probabilities, dim=0, keepdim=True)
    joint = torch.cat([background, probabilities]).clamp(1e-7, 1 - 1e-7)
    return torch.softmax(torch.logit(joint), dim=0)
