"""What a style is fitted to: slices that a rater drew, and the windows of the network that see them.

Slices lie on the volume's own grid, along any axis; the network's classes are brought onto them by the same
interpolation that brings a whole segmentation onto the grid (`Preparation.grid_weights`), so its gradient can
be followed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgt.agreement.label_matching import folded
from pgt.annotation import SparseAnnotation
from pgt.errors import InputError
from pgt.geometry import Shape
from pgt.resampling import reoriented
from pgt.styles.sampling import window
from pgt.styles.style_model import StyleModel
from pgt.volume import LabelMap

_MOST_WINDOWS = 8
_MARGIN = 2
"""Voxels of the network around what is drawn that a window should hold."""

Corner = tuple[int, int, int]
Matrices = tuple[Tensor, Tensor, Tensor]


def matched_classes(model: StyleModel, label_map: LabelMap) -> dict[int, int]:
    """The model's label value for each value of a label map: by name where any name agrees, else by value.

    Raises:
        InputError: they have no structure in common.
    """
    known = dict(zip(model.preparation.values, model.class_names, strict=True))
    by_name = {folded(name): value for value, name in known.items()}
    named = {
        segment.value: by_name[folded(segment.name)]
        for segment in label_map.segments
        if folded(segment.name) in by_name
    }
    matched = named or {value: value for value in label_map.values if value in known}
    if not matched:
        drawn = ", ".join(segment.name for segment in label_map.segments)
        raise InputError(
            f"The model segments {', '.join(known.values())}; none of it is annotated ({drawn})."
        )
    return matched


@dataclass(frozen=True, eq=False)
class DrawnSlice:
    """One slice in the network's orientation.

    Args:
        axis: of the network, across the slice.
        index: along it, of the turned volume.
        classes: places of the network's classes that are known here; the background is 0.
        truth: where each of them was drawn, bool [class, rows, columns].
    """

    axis: int
    index: int
    classes: tuple[int, ...]
    truth: NDArray[np.bool_]

    def box(self, matrices: Matrices) -> NDArray[np.int64] | None:
        """First and last voxel of the network that is drawn on, [axis, 2]; None for an empty slice."""
        drawn = np.asarray(self.truth.any(axis=0))
        if not drawn.any():
            return None
        ranges = [np.flatnonzero(drawn.any(axis=1 - side)) for side in (0, 1)]
        ranges.insert(self.axis, np.array([self.index]))
        reached = [
            np.flatnonzero(matrix[int(span[0]) : int(span[-1]) + 1].any(dim=0).numpy())
            for matrix, span in zip(matrices, ranges, strict=True)
        ]
        return np.array([[span[0], span[-1]] for span in reached])


def drawn_slices(annotation: SparseAnnotation, model: StyleModel) -> tuple[DrawnSlice, ...]:
    """The slices on which at least one of the model's structures is annotated.

    Raises:
        InputError: the annotation has no structure in common with the model.
    """
    preparation = model.preparation
    matched = matched_classes(model, annotation.label_map)
    geometry = annotation.label_map.geometry
    order, flips = geometry.turn_to(preparation.orientation)
    voxels = reoriented(annotation.label_map, preparation.orientation).voxels
    found = []
    for axis, own in enumerate(order):
        for index in annotation.annotated(own):
            values = [value for value in matched if index in annotation.slices.get(value, {}).get(own, ())]
            if values:
                turned = geometry.shape[own] - 1 - index if axis in flips else index
                plane = voxels.take(turned, axis)
                classes = tuple(1 + preparation.values.index(matched[value]) for value in values)
                found.append(
                    DrawnSlice(axis, turned, classes, np.stack([plane == value for value in values]))
                )
    if not found:
        raise InputError("None of the model's structures is annotated on any slice.")
    return tuple(found)


@dataclass(frozen=True, eq=False)
class SeenSlice:
    """The part of a drawn slice that a window sees whole.

    Args:
        axis: of the network, across the slice.
        classes: places of the network's classes that are known.
        matrices: that take the window's voxels to the slice's; the one across the slice has a single row.
        truth: shares of the classes, float [class, rows, columns].
    """

    axis: int
    classes: tuple[int, ...]
    matrices: Matrices
    truth: Tensor

    def of(self, shares: Tensor) -> Tensor:
        """The known classes on the slice, [class, rows, columns], from those of the window."""
        i, j, k = self.matrices
        across = shares[list(self.classes)]
        # The slice's own axis first: what follows is flat.
        for axis in (self.axis, *(other for other in (0, 1, 2) if other != self.axis)):
            across = torch.movedim(torch.tensordot(across, (i, j, k)[axis], ([axis + 1], [1])), -1, axis + 1)
        return across.squeeze(self.axis + 1)


@dataclass(frozen=True, eq=False)
class SeenWindow:
    """One window of the network and the drawn slices in it.

    Args:
        image: float32 [1, 1, *patch].
        slices: at least one.
        weight: part of all drawn voxels that it holds; the weights of all windows add up to 1.
    """

    image: Tensor
    slices: tuple[SeenSlice, ...]
    weight: float


def seen_windows(
    image: Tensor, drawn: Sequence[DrawnSlice], matrices: Matrices, patch: Shape, device: str
) -> tuple[SeenWindow, ...]:
    """As few windows as hold what is drawn.

    Args:
        image: prepared, [1, i, j, k].
        drawn: slices.
        matrices: `Preparation.grid_weights` of the volume.
        patch: of the network.
        device: that the windows shall be on.
    """
    shape = (image.shape[1], image.shape[2], image.shape[3])
    corners = _corners(drawn, matrices, shape, patch)
    seen = [
        [part for one in drawn if (part := _seen(one, matrices, corner, patch, device))] for corner in corners
    ]
    counts = [sum(float(part.truth.sum()) for part in parts) + 1 for parts in seen]
    total = sum(count for count, parts in zip(counts, seen, strict=True) if parts)
    return tuple(
        SeenWindow(window(image, corner, patch)[None].to(device), tuple(parts), count / total)
        for corner, parts, count in zip(corners, seen, counts, strict=True)
        if parts
    )


def _corners(drawn: Sequence[DrawnSlice], matrices: Matrices, shape: Shape, patch: Shape) -> list[Corner]:
    """One window for everything where it suffices, else slice by slice, at most a few."""
    boxes = [box for one in drawn if (box := one.box(matrices)) is not None]
    together = np.array([[min(box[axis][0] for box in boxes), max(box[axis][1] for box in boxes)]
                         for axis in (0, 1, 2)])  # fmt: skip
    if _is_held(together, patch):
        return _tiles(together, shape, patch)
    corners: list[Corner] = []
    for box in boxes:
        held = any(
            all(c <= low and high < c + side for c, (low, high), side in zip(corner, box, patch, strict=True))
            for corner in corners
        )
        if not held:
            corners += [corner for corner in _tiles(box, shape, patch) if corner not in corners]
    if len(corners) > _MOST_WINDOWS:
        chosen = np.linspace(0, len(corners) - 1, _MOST_WINDOWS).round().astype(int)
        corners = [corners[place] for place in chosen]
    return corners


def _is_held(box: NDArray[np.int64], patch: Shape) -> bool:
    return all(high - low < side for (low, high), side in zip(box, patch, strict=True))


def _tiles(box: NDArray[np.int64], shape: Shape, patch: Shape) -> list[Corner]:
    """Corners of the windows that cover a box, as evenly as they fit."""
    along = []
    for (low, high), size, side in zip(box, shape, patch, strict=True):
        if size <= side:
            along.append([-((side - size) // 2)])
            continue
        span = high - low + 1 + 2 * _MARGIN
        count = ceil(span / side)
        first, last = low - _MARGIN, high + _MARGIN - side + 1
        starts = [(first + last) / 2] if count == 1 else np.linspace(first, last, count)
        along.append(sorted({min(max(round(float(start)), 0), size - side) for start in starts}))
    return [(i, j, k) for i in along[0] for j in along[1] for k in along[2]]


def _seen(
    drawn: DrawnSlice, matrices: Matrices, corner: Corner, patch: Shape, device: str
) -> SeenSlice | None:
    """The part of a slice whose interpolation needs nothing beyond the window; None where there is none."""
    parts: list[Tensor] = []
    ranges: list[slice] = []
    for axis, (whole, start, side) in enumerate(zip(matrices, corner, patch, strict=True)):
        matrix = whole[drawn.index : drawn.index + 1] if axis == drawn.axis else whole
        inside = window(matrix[None, :, :, None], (0, start, 0), (len(matrix), side, 1))[0, :, :, 0]
        rows = torch.nonzero(inside.sum(dim=1) > 1 - 1e-4)[:, 0]
        if not len(rows):
            return None
        first, last = int(rows[0]), int(rows[-1]) + 1
        parts.append(inside[first:last].to(device))
        if axis != drawn.axis:
            ranges.append(slice(first, last))
    i, j, k = parts
    truth = torch.from_numpy(drawn.truth[:, ranges[0], ranges[1]].astype(np.float32)).to(device)
    return SeenSlice(drawn.axis, drawn.classes, (i, j, k), truth)
