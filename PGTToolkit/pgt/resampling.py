"""Volumes and label maps on other grids: turned, moved or resampled.

Every function takes a :class:`Volume` or a :class:`LabelMap` and gives the same kind back, segments kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import SimpleITK as sitk

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.itk_images import image_of, voxels_of
from pgt.volume import LabelMap, Volume

Gridded = TypeVar("Gridded", Volume, LabelMap)

# How far from whole voxels two grids may be apart and still count as one.
_ALIGNMENT_TOLERANCE = 0.01


def reoriented(volume: Gridded, orientation: str = "RAS") -> Gridded:
    """The same voxels in the same places, with axes reordered and flipped; nothing is resampled.

    Args:
        volume: what to turn.
        orientation: the anatomical directions that i, j and k shall run towards, such as ``"RAS"`` or
            ``"LPS"``; an oblique volume comes as near as its axes allow.
    """
    order, flips = volume.geometry.turn_to(orientation)
    geometry = volume.geometry.permuted(order)
    voxels = volume.voxels.transpose(order)
    for axis in flips:
        geometry = geometry.flipped(axis)
        voxels = np.flip(voxels, axis)
    return replace(volume, voxels=voxels, geometry=geometry)


def resampled(volume: Gridded, geometry: Geometry, outside: float | None = None) -> Gridded:
    """The volume on another grid: linear for images, nearest voxel for label maps.

    Args:
        volume: what to resample.
        geometry: the grid wanted, in the same RAS space.
        outside: value beyond the volume's own grid; by default 0 for labels and the smallest value of an
            image.
    """
    labels = isinstance(volume, LabelMap)
    if outside is None:
        outside = 0.0 if labels else float(volume.voxels.min())
    whole_numbers = np.issubdtype(volume.voxels.dtype, np.integer)
    # SimpleITK cuts decimals off in integer images; computing in float allows to round.
    source = volume.voxels if labels or not whole_numbers else volume.voxels.astype(np.float64)
    wanted = image_of(np.zeros((1, 1, 1), np.uint8), replace(geometry, shape=(1, 1, 1)))
    image = sitk.Resample(
        image_of(source, volume.geometry),
        geometry.shape,
        sitk.Transform(),
        sitk.sitkNearestNeighbor if labels else sitk.sitkLinear,
        wanted.GetOrigin(),
        wanted.GetSpacing(),
        wanted.GetDirection(),
        outside,
    )
    voxels = voxels_of(image)
    if whole_numbers and not labels:
        voxels = np.rint(voxels)
    return replace(volume, voxels=voxels.astype(volume.voxels.dtype, copy=False), geometry=geometry)


def placed_on(label_map: LabelMap, geometry: Geometry) -> LabelMap | None:
    """A cropped or padded label map put on ``geometry`` voxel by voxel.

    Returns:
        None when the grids are not a whole number of voxels apart, or labels would be lost beyond the edge.
    """
    start = geometry.ras_to_ijk @ np.append(label_map.geometry.origin, 1.0)
    offset = np.rint(start[:3]).astype(int)
    if label_map.geometry.difference(
        geometry.cropped(offset, label_map.geometry.shape), _ALIGNMENT_TOLERANCE
    ):
        return None
    sizes, wanted = np.array(label_map.geometry.shape), np.array(geometry.shape)
    first = np.maximum(-offset, 0)
    last = np.minimum(sizes, wanted - offset)
    if np.any(last <= first):
        return None
    inside = tuple(slice(low, high) for low, high in zip(first, last, strict=True))
    if np.count_nonzero(label_map.voxels[inside]) != np.count_nonzero(label_map.voxels):
        return None
    voxels = np.zeros(geometry.shape, label_map.voxels.dtype, order="F")  # i fastest, as files are read
    there = tuple(slice(low, high) for low, high in zip(first + offset, last + offset, strict=True))
    voxels[there] = label_map.voxels[inside]
    return replace(label_map, voxels=voxels, geometry=geometry)


def with_spacing(geometry: Geometry, spacing: tuple[float, float, float]) -> Geometry:
    """A grid over the same field of view with another spacing in mm; sizes are rounded to whole voxels."""
    if min(spacing) <= 0:
        raise InputError(f"Spacing must be positive, not {spacing}.")
    field = np.array(geometry.shape) * geometry.spacing
    shape = np.maximum(np.rint(field / spacing), 1).astype(int)
    corner = np.append((np.array(spacing) / geometry.spacing - 1) / 2, 1.0)
    origin = (geometry.ijk_to_ras @ corner)[:3]
    return replace(geometry, shape=tuple(shape), spacing=spacing, origin=tuple(origin))
