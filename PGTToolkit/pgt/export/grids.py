"""Label maps on the grid of an image that numbers the same voxels in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pgt.annotation import SliceRecord
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.resampling import placed_on
from pgt.volume import LabelMap

_SAME_AXIS = 0.999


def on_grid(label_map: LabelMap, geometry: Geometry, title: str, other: str) -> LabelMap:
    """A label map with its voxels in the order of another grid, cropped or padded with background.

    Files count i, j and k from any corner, and Slicer crops what it saves; as long as the voxels are the
    same, so is the label. Nothing is resampled.

    Args:
        label_map: the labels.
        geometry: the grid wanted.
        title: what the label map is called in the error.
        other: what the grid belongs to.

    Raises:
        InputError: the voxels are others.
    """
    turned = _turned(label_map, geometry)
    if turned is not None and turned.geometry.difference(geometry) is None:
        return replace(turned, geometry=geometry)
    placed = placed_on(turned, geometry) if turned is not None else None
    if placed is None:
        difference = (turned or label_map).geometry.difference(geometry)
        raise InputError(f"{title} does not lie on the voxels of {other}: {difference}.")
    return placed


def records_on_grid(
    records: Sequence[SliceRecord], drawn_on: Geometry, geometry: Geometry
) -> tuple[SliceRecord, ...]:
    """Slice states counted along the axes of another grid with the same voxels; those beyond it are left out.

    Args:
        records: counted on ``drawn_on``.
        drawn_on: the grid of the segmentation.
        geometry: the grid that `on_grid` put it on.
    """
    if drawn_on == geometry:
        return tuple(records)
    to_grid = geometry.ras_to_ijk @ drawn_on.ijk_to_ras
    found = []
    for record in records:
        axis = int(np.argmax(np.abs(to_grid[:3, record.axis])))
        start = np.zeros(4)
        start[record.axis], start[3] = record.index, 1
        index = round(float((to_grid @ start)[axis]))
        if 0 <= index < geometry.shape[axis]:
            found.append(replace(record, axis=axis, index=index))
    return tuple(found)


def _turned(label_map: LabelMap, geometry: Geometry) -> LabelMap | None:
    """The label map with axes reordered and flipped to run like those of a grid; None where none does."""
    cosines = np.array(geometry.direction).T @ np.array(label_map.geometry.direction)
    order = [int(axis) for axis in np.argmax(np.abs(cosines), axis=1)]
    if sorted(order) != [0, 1, 2] or min(abs(cosines[n, axis]) for n, axis in enumerate(order)) < _SAME_AXIS:
        return None
    voxels, turned = label_map.voxels.transpose(order), label_map.geometry.permuted(order)
    for axis, source in enumerate(order):
        if cosines[axis, source] < 0:
            voxels, turned = np.flip(voxels, axis), turned.flipped(axis)
    return replace(label_map, voxels=voxels, geometry=turned)
