"""Reading a DICOM segmentation object back, with nothing of the library that wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.geometry import Geometry

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_FARTHEST = 0.01


def check_dicom_seg(path: Path, masks: Sequence[NDArray[np.bool_]], geometry: Geometry) -> bool:
    """Whether an object holds exactly these masks in exactly these places.

    Args:
        path: of the object.
        masks: voxels [i, j, k] of the segments from number 1.
        geometry: of all of them.
    """
    try:
        found = read_dicom_seg(path, geometry, len(masks))
    except (ValueError, KeyError, AttributeError, IndexError, EOFError):
        return False
    return all(np.array_equal(mask, read) for mask, read in zip(masks, found, strict=True))


def read_dicom_seg(path: Path, geometry: Geometry, count: int) -> list[NDArray[np.bool_]]:
    """The masks [i, j, k] of segments 1 to ``count`` on a grid, from frames placed by their positions.

    Raises:
        ValueError: a frame does not lie on a slice k of the grid.
    """
    import pydicom

    dataset = pydicom.dcmread(path)
    columns, rows, slices = geometry.shape
    if (dataset.Rows, dataset.Columns) != (rows, columns):
        raise ValueError("frames have another size")
    masks = [np.zeros(geometry.shape, dtype=bool) for _ in range(count)]
    frames = _unpacked(dataset)
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(_item(group, dataset, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        position = _item(group, dataset, "PlanePositionSequence").ImagePositionPatient
        corner = np.array(position, dtype=float) * _LPS_TO_RAS
        place = (geometry.ras_to_ijk @ np.append(corner, 1.0))[:3]
        k = round(float(place[2]))
        if np.abs(place - (0, 0, k)).max() > _FARTHEST or not 0 <= k < slices:
            raise ValueError("a frame lies beside the slices")
        masks[number - 1][:, :, k] |= frame.T
        _check_plane(group, dataset, geometry)
    return masks


def _item(group: Any, dataset: Any, sequence: str) -> Any:
    """A macro of a frame's own group, or of the group that all frames share."""
    return (group.get(sequence) or dataset.SharedFunctionalGroupsSequence[0][sequence].value)[0]


def _unpacked(dataset: Any) -> NDArray[np.bool_]:
    """Frames [frame, row, column]: one bit a pixel, the first in the lowest bit (PS3.5 section 8.1.1)."""
    count, rows, columns = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    if bits.size < count * rows * columns:
        raise ValueError("pixels are missing")
    return bits[: count * rows * columns].reshape(count, rows, columns).astype(bool)


def _check_plane(group: Any, dataset: Any, geometry: Geometry) -> None:
    orientation = _item(group, dataset, "PlaneOrientationSequence").ImageOrientationPatient
    stored = np.array(orientation, dtype=float).reshape(2, 3)
    spacing = np.array(_item(group, dataset, "PixelMeasuresSequence").PixelSpacing, dtype=float)
    directions = np.array(geometry.direction).T[:2]
    if not np.allclose(stored * _LPS_TO_RAS, directions, atol=1e-4):
        raise ValueError("frames are turned")
    if not np.allclose(spacing[::-1], geometry.spacing[:2], rtol=1e-4):
        raise ValueError("pixels have another size")
