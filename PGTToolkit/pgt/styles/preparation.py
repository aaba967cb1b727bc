"""What is done to an image and its labels before a network sees them, in training and ever after.

Volumes are turned the way the network is used to, brought to one spacing by averaging (or, where that
makes more voxels, by linear interpolation), and their intensities clipped and scaled by the volume's own
statistics. Labels become the share of every voxel that each class fills, so that a border moved by less than
a voxel still shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pgt.geometry import Geometry, Vector
from pgt.resampling import reoriented
from pgt.volume import LabelMap, Volume

Intensities = Literal["standardised", "unit"]

_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Preparation:
    """How volumes are prepared for one model.

    Args:
        spacing: of the network's voxels in mm, along the axes of `orientation`.
        values: label values of the classes in order; the background comes before them and is not named.
        orientation: the anatomical directions that the network's axes run towards.
        intensities: what becomes of them between their 0.5th and 99.5th percentile: mean 0 and standard
            deviation 1, or from 0 to 1 (as networks of the official code were trained).
    """

    spacing: Vector
    values: tuple[int, ...]
    orientation: str = "RAS"
    intensities: Intensities = "standardised"

    def image(self, volume: Volume) -> Tensor:
        """The image as the network sees it: float32 [1, i, j, k]."""
        voxels = np.ascontiguousarray(reoriented(volume, self.orientation).voxels, dtype=np.float32)
        low, high = (float(edge) for edge in np.percentile(voxels, _PERCENTILES))
        clipped = np.clip(voxels, low, high)
        middle, width = low, high - low
        if self.intensities == "standardised":
            middle = float(clipped.mean(dtype=np.float64))
            width = float(clipped.std(dtype=np.float64))
        scaled = (clipped - middle) / max(width, 1e-6)
        return _resized(torch.from_numpy(scaled)[None], self.shape_of(volume.geometry))

    def labels(self, label_map: LabelMap) -> Tensor:
        """The share of every voxel that background and each class fill: float32 [class, i, j, k], sum 1."""
        voxels = reoriented(label_map, self.orientation).voxels
        shape = self.shape_of(label_map.geometry)
        shares = [
            _resized(torch.from_numpy(np.ascontiguousarray(voxels == value, dtype=np.float32))[None], shape)
            for value in self.values
        ]
        classes = torch.cat(shares)
        return torch.cat([(1 - classes.sum(0, keepdim=True)).clamp(0, 1), classes])

    def shape_of(self, geometry: Geometry) -> tuple[int, int, int]:
        """The number of the network's voxels that cover a volume."""
        order, _ = geometry.turn_to(self.orientation)
        i, j, k = (
            max(round(geometry.shape[axis] * geometry.spacing[axis] / wanted), 1)
            for axis, wanted in zip(order, self.spacing, strict=True)
        )
        return i, j, k

    def on_grid(self, fields: Tensor, geometry: Geometry) -> NDArray[np.float32]:
        """Fields of the network's voxels on a volume's own grid.

        Args:
            fields: float tensor [field, i, j, k] of shape `shape_of`.
            geometry: of the volume.

        Returns:
            Array [field, i, j, k] on the volume's grid, linearly interpolated; never the fields themselves.
        """
        order, flips = geometry.turn_to(self.orientation)
        turned = _resized(fields, tuple(geometry.shape[axis] for axis in order)).numpy()
        for axis in flips:
            turned = np.flip(turned, axis + 1)
        # A copy also where nothing had to be interpolated: the caller may write to it.
        return np.array(turned.transpose(0, *(1 + int(axis) for axis in np.argsort(order))), order="C")

    def grid_weights(self, geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
        """What `on_grid` does along each axis of the network, as a matrix, so that gradients can follow.

        Returns:
            For each of the network's axes, [voxel of the turned volume, voxel of the network], float32. The
            turned volume is `pgt.resampling.reoriented` to `orientation`.
        """
        order, _ = geometry.turn_to(self.orientation)
        i, j, k = (
            _resized(torch.eye(present)[:, :, None, None], (geometry.shape[axis], 1, 1))[:, :, 0, 0].T
            for axis, present in zip(order, self.shape_of(geometry), strict=True)
        )
        return i, j, k

    def labelled(self, probabilities: NDArray[np.float32]) -> NDArray[np.integer]:
        """The label value of the most probable class of every voxel, from an array [class, i, j, k]."""
        values = np.array([0, *self.values], dtype=np.min_scalar_type(max(self.values)))
        return values[probabilities.argmax(axis=0)]


def _resized(fields: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Fields [field, i, j, k] on another number of voxels over the same field of view, axis by axis."""
    for axis, wanted in enumerate(shape):
        present = fields.shape[axis + 1]
        if present == wanted:
            continue
        size = [*fields.shape[1:]]
        size[axis] = wanted
        if wanted < present:
            fields = _averaged(fields, axis + 1, wanted)
        else:
            fields = functional.interpolate(fields[None], size=size, mode="trilinear", align_corners=False)[0]
    return fields


def _averaged(fields: Tensor, axis: int, wanted: int) -> Tensor:
    """Exact averages over the part of the axis that each new voxel covers, fractions of voxels included."""
    present = fields.shape[axis]
    edges = np.arange(wanted + 1) * (present / wanted)
    below = np.minimum(edges.astype(int), present - 1)
    share = np.expand_dims(edges - below, [place for place in range(fields.ndim) if place != axis])
    total = np.cumsum(fields.numpy(), axis=axis, dtype=np.float64)
    total = np.concatenate([np.zeros_like(total.take([0], axis)), total], axis)
    at_edges = total.take(below, axis) * (1 - share) + total.take(below + 1, axis) * share
    averages = np.diff(at_edges, axis=axis) * (wanted / present)
    return torch.from_numpy(averages.astype(np.float32))
