"""How to look at a volume: slices turned the way radiologists hang them, whatever the voxel order.

Axial slices are seen from the feet, coronal ones from the front, sagittal ones from the left: the patient's
right is on the left of the picture, front is up or left, head is up. Oblique volumes are shown on their own
grid, in the nearest of these orientations, so that what is seen are voxels and not a resampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pgt.geometry import Geometry

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")

_OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))
_RIGHT = {"axial": "L", "coronal": "L", "sagittal": "P"}
_DOWN = {"axial": "P", "coronal": "I", "sagittal": "I"}

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class View:
    """A way to look along one axis of a grid.

    Args:
        plane: its anatomical name.
        axis: the voxel axis that is looked along.
        column_axis: the voxel axis that runs across the picture, and ``row_axis`` the one that runs down it.
        column_flipped: the picture runs against the axis; ``row_flipped`` likewise.
        letters: the anatomical directions of the picture's left, right, top and bottom.
        spacing: mm between columns and between rows.
    """

    plane: Plane
    axis: int
    column_axis: int
    row_axis: int
    column_flipped: bool
    row_flipped: bool
    letters: str
    spacing: tuple[float, float]

    @classmethod
    def of(cls, geometry: Geometry, plane: Plane) -> View:
        """The view of a grid that comes nearest to ``plane``."""
        right, down = _RIGHT[plane], _DOWN[plane]
        orientation = geometry.orientation
        column, row = (_axis_along(orientation, letter) for letter in (right, down))
        return cls(
            plane=plane,
            axis=3 - column - row,
            column_axis=column,
            row_axis=row,
            column_flipped=orientation[column] != right,
            row_flipped=orientation[row] != down,
            letters=_OPPOSITE[right] + right + _OPPOSITE[down] + down,
            spacing=(geometry.spacing[column], geometry.spacing[row]),
        )

    @classmethod
    def across(cls, geometry: Geometry, axis: int) -> View:
        """The view that looks along a voxel axis."""
        return next(view for view in (cls.of(geometry, plane) for plane in PLANES) if view.axis == axis)

    def slice(self, voxels: NDArray[Number], index: int) -> NDArray[Number]:
        """A slice of an array [i, j, k] as a picture [row, column]."""
        return self.turned(np.take(voxels, index, axis=self.axis))

    def turned(self, picture: NDArray[Number]) -> NDArray[Number]:
        """An array of the two other axes, in their order, as a picture [row, column]."""
        picture = picture.T if self.column_axis < self.row_axis else picture
        picture = picture[::-1] if self.row_flipped else picture
        return picture[:, ::-1] if self.column_flipped else picture

    def column(self, index: int, geometry: Geometry) -> int:
        """The picture column of a voxel index along the column axis."""
        return geometry.shape[self.column_axis] - 1 - index if self.column_flipped else index

    def row(self, index: int, geometry: Geometry) -> int:
        """The picture row of a voxel index along the row axis."""
        return geometry.shape[self.row_axis] - 1 - index if self.row_flipped else index


def _axis_along(orientation: str, letter: str) -> int:
    return next(axis for axis in range(3) if orientation[axis] in (letter, _OPPOSITE[letter]))
