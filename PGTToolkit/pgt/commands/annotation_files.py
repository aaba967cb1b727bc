"""Reading an image and the annotation drawn on it, with everything checked that can be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pgt.annotation import AXIS_NAMES, SparseAnnotation
from pgt.errors import InputError
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_label_map, read_volume


def read_annotated(
    image: Path, annotation: Path, axis: int | None, slices: Sequence[int] | None
) -> tuple[Volume, SparseAnnotation, int]:
    """Read an image and its annotated slices.

    Args:
        image: a volume.
        annotation: a label map on the image's grid.
        axis: the axis that ``slices`` count along; None to find it (`drawn_axis`).
        slices: the annotated slices; None for every slice that shows a label.

    Returns:
        The image, the annotation and the axis, 0 to 2.

    Raises:
        InputError: one of the files cannot be used; the sentence names it.
    """
    volume, label_map = read_volume(image), read_label_map(annotation)
    difference = label_map.geometry.difference(volume.geometry)
    if difference:
        raise InputError(f"{annotation} does not lie on the grid of {image}: {difference}.")
    axis = drawn_axis(label_map) if axis is None else axis
    if volume.geometry.shape[axis] == 1:
        raise InputError(
            f"{image} has a single slice along {AXIS_NAMES[axis]}: there is nothing to propagate to."
        )
    try:
        return volume, SparseAnnotation.from_label_map(label_map, axis, slices), axis
    except InputError as error:
        raise InputError(f"{annotation}: {error}") from error


def drawn_axis(label_map: LabelMap) -> int:
    """The axis across which a label map was drawn slice by slice.

    It is the one that leaves most slices empty between the first and the last drawn; where none leaves any,
    the one along which a single slice is drawn; else k.
    """
    drawn = label_map.voxels != 0
    emptiness = []
    for axis in (0, 1, 2):
        used = np.flatnonzero(drawn.any(axis=tuple(other for other in (0, 1, 2) if other != axis)))
        extent = used[-1] - used[0] + 1 if used.size else 1
        emptiness.append((1 - used.size / extent, used.size == 1, axis))
    return max(emptiness)[2]
