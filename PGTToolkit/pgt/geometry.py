"""Where a voxel grid lies in the patient.

Voxel indices are (i, j, k) and positions are RAS (right, anterior, superior) in mm, as in 3D Slicer.
The position of a voxel's centre is ``origin + direction @ (spacing * (i, j, k))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError

Shape = tuple[int, int, int]
Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

# Axis letters of RAS and of the opposite ends, in the order of the coordinates.
_POSITIVE_LETTERS = "RAS"
_NEGATIVE_LETTERS = "LPI"

# Directions further from orthonormal than this (cosines) are sheared; rounding in files stays far below.
_ORTHONORMAL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Geometry:
    """A regular, possibly oblique, grid of voxels.

    Args:
        shape: number of voxels along i, j, k.
        spacing: distance of neighbouring voxel centres along i, j, k in mm.
        origin: RAS position of the centre of voxel (0, 0, 0) in mm.
        direction: 3x3 rotation (or reflection); its *columns* are the RAS unit vectors of i, j, k.

    Raises:
        InputError: a size or spacing is not positive, a number is not finite, or the axes are sheared.
    """

    shape: Shape
    spacing: Vector = (1.0, 1.0, 1.0)
    origin: Vector = (0.0, 0.0, 0.0)
    direction: Matrix = IDENTITY

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        object.__setattr__(self, "spacing", _vector(self.spacing))
        object.__setattr__(self, "origin", _vector(self.origin))
        object.__setattr__(self, "direction", _matrix(self.direction))
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(f"A volume needs three sizes of at least one voxel, not {_by(self.shape)}.")
        if not np.all(np.isfinite([*self.spacing, *self.origin])) or min(self.spacing) <= 0:
            raise InputError(
                f"A volume with spacing {_by(self.spacing)} mm and origin {_at(self.origin)} lies nowhere."
            )
        directions = np.array(self.direction)
        if not np.allclose(directions.T @ directions, np.eye(3), rtol=0, atol=_ORTHONORMAL_TOLERANCE):
            raise InputError("The volume's axes are not perpendicular (sheared, or a tilted CT gantry).")

    @classmethod
    def from_ijk_to_ras(cls, matrix: NDArray[Any], shape: Sequence[int]) -> Geometry:
        """The grid of ``shape`` whose 4x4 voxel-index-to-RAS matrix is given."""
        matrix = np.asarray(matrix, dtype=float)
        columns = matrix[:3, :3]
        spacing = np.linalg.norm(columns, axis=0)
        if not np.all(np.isfinite(matrix)) or np.any(spacing == 0):
            raise InputError("The volume's IJK to RAS matrix is not finite or has a zero column.")
        return cls(_shape(shape), _vector(spacing), _vector(matrix[:3, 3]), _matrix(columns / spacing))

    @property
    def ijk_to_ras(self) -> NDArray[np.float64]:
        """4x4 matrix that takes homogeneous voxel indices to RAS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.direction) * np.array(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def ras_to_ijk(self) -> NDArray[np.float64]:
        """4x4 matrix that takes homogeneous RAS mm to (fractional) voxel indices."""
        return np.linalg.inv(self.ijk_to_ras).astype(np.float64)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in mm³."""
        return float(np.prod(self.spacing))

    @property
    def orientation(self) -> str:
        """The anatomical direction that i, j and k run towards, such as ``"LPS"``; nearest for oblique."""
        letters = ["", "", ""]
        for axis, coordinate, sign in self._nearest_coordinates():
            letters[axis] = (_POSITIVE_LETTERS if sign > 0 else _NEGATIVE_LETTERS)[coordinate]
        return "".join(letters)

    def _nearest_coordinates(self) -> list[tuple[int, int, float]]:
        """(axis, RAS coordinate, sign) pairs, one to one, the best aligned axis choosing first."""
        cosines = np.array(self.direction)
        strength = np.abs(cosines)
        chosen = []
        for _ in range(3):
            coordinate, axis = np.unravel_index(int(np.argmax(strength)), (3, 3))
            chosen.append((int(axis), int(coordinate), float(cosines[coordinate, axis])))
            strength[coordinate, :] = -1
            strength[:, axis] = -1
        return sorted(chosen)

    def turn_to(self, orientation: str) -> tuple[tuple[int, int, int], tuple[int, ...]]:
        """How to reach another orientation: the order of axes to take, then the new axes to flip.

        Args:
            orientation: three letters, one of each of R/L, A/P and S/I, such as ``"LPS"``.
        """
        wanted = [_coordinate(letter) for letter in orientation.upper()]
        if sorted(coordinate for coordinate, _ in wanted) != [0, 1, 2]:
            raise InputError(f"{orientation!r} is no orientation; an example is 'RAS'.")
        axis_of = {coordinate: (axis, sign) for axis, coordinate, sign in self._nearest_coordinates()}
        i, j, k = (axis_of[coordinate][0] for coordinate, _ in wanted)
        flips = [n for n, (coordinate, sign) in enumerate(wanted) if axis_of[coordinate][1] * sign < 0]
        return (i, j, k), tuple(flips)

    def flipped(self, axis: int) -> Geometry:
        """The same places with the voxels along ``axis`` counted from the other end."""
        last = np.zeros(4)
        last[axis] = self.shape[axis] - 1
        last[3] = 1
        directions = np.array(self.direction)
        directions[:, axis] *= -1
        return replace(self, origin=_vector((self.ijk_to_ras @ last)[:3]), direction=_matrix(directions))

    def permuted(self, order: Sequence[int]) -> Geometry:
        """The same places with axes reordered: new axis ``n`` is the old axis ``order[n]``."""
        return Geometry(
            _shape([self.shape[axis] for axis in order]),
            _vector([self.spacing[axis] for axis in order]),
            self.origin,
            _matrix(np.array(self.direction)[:, list(order)]),
        )

    def cropped(self, start: Sequence[int], shape: Sequence[int]) -> Geometry:
        """The part of ``shape`` that begins at voxel ``start``; a negative start pads."""
        corner = self.ijk_to_ras @ np.array([*start, 1.0])
        return replace(self, shape=_shape(shape), origin=_vector(corner[:3]))

    def difference(self, other: Geometry, tolerance: float = 0.05) -> str | None:
        """What tells this grid from ``other``, in words; None when voxels lie in the same places.

        Args:
            other: the grid to compare with.
            tolerance: how far a voxel may be displaced, in parts of the smallest spacing. It forgives the
                float32 of NIfTI headers and rounded text headers, never a shift that could be seen.

        Returns:
            For example ``"spacing 1x1x2 mm against 1x1x3 mm"``, several joined by commas.
        """
        if self.shape != other.shape:
            return f"shape {_by(self.shape)} against {_by(other.shape)}"
        slack = tolerance * min(self.spacing)
        sizes = np.array(self.shape)
        differences = []
        if np.any(np.abs(np.subtract(self.spacing, other.spacing)) * sizes > slack):
            differences.append(f"spacing {_by(self.spacing)} mm against {_by(other.spacing)} mm")
        if np.linalg.norm(np.subtract(self.origin, other.origin)) > slack:
            differences.append(f"origin {_at(self.origin)} mm against {_at(other.origin)} mm (RAS)")
        turned = np.linalg.norm(np.subtract(self.direction, other.direction), axis=0)
        if np.any(turned * self.spacing * sizes > slack):
            differences.append(f"direction {_axes(self.direction)} against {_axes(other.direction)}")
        return ", ".join(differences) or None


def _coordinate(letter: str) -> tuple[int, int]:
    """RAS coordinate and sign of an anatomical letter; coordinate -1 for any other letter."""
    if letter in _POSITIVE_LETTERS:
        return _POSITIVE_LETTERS.index(letter), 1
    return _NEGATIVE_LETTERS.find(letter), -1


def _shape(sizes: Sequence[int]) -> Shape:
    i, j, k = (int(size) for size in sizes)
    return (i, j, k)


def _vector(values: Sequence[float] | NDArray[Any]) -> Vector:
    x, y, z = (float(value) + 0.0 for value in values)  # + 0.0 turns -0.0 into 0.0
    return (x, y, z)


def _matrix(rows: Sequence[Sequence[float]] | NDArray[Any]) -> Matrix:
    first, second, third = (_vector(row) for row in rows)
    return (first, second, third)


def _by(values: Sequence[float]) -> str:
    return "x".join(f"{value:.6g}" for value in values)


def _at(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"


def _axes(direction: Matrix) -> str:
    """The three column vectors, as i, j and k of the grid."""
    columns = np.array(direction).T
    return " ".join("(" + " ".join(f"{value:.4g}" for value in column) + ")" for column in columns)
