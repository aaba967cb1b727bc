"""How much surface a neighbourhood of 2×2×2 voxels holds.

A surface is taken where marching cubes draws it (Lorensen and Cline 1987): through the midpoints between
voxel centres of which one is inside and one outside, in every cube of eight neighbouring voxel centres. There
are 256 such cubes, but up to rotation, reflection and exchange of inside and outside only fourteen, one of
them empty; the triangles of the others are written down here, and the table follows. Areas are exact for
anisotropic voxels, since an area is the length of a vector whose parts stretch with the faces of a voxel.

The areas are those of DeepMind's surface-distance (Nikolov et al., *Deep learning to achieve clinically
applicable segmentation of head and neck anatomy*, JMIR 2021), which the tests check code by code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise, permutations, product

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int, int]
Polygon = tuple[Corner, ...]

# Corners of a cube are 0 or 1 along i, j, k. Vertices count in half edges: (1, 0, 0) is the middle of the
# edge from corner (0, 0, 0) to corner (1, 0, 0). A polygon is cut into the fan at its first point.
_EDGE: tuple[Polygon, ...] = (((1, 0, 0), (0, 1, 0), (0, 1, 2), (1, 0, 2)),)
_FAR_EDGE: tuple[Polygon, ...] = (((1, 2, 0), (2, 1, 0), (2, 1, 2), (1, 2, 2)),)
_ELBOW: tuple[Polygon, ...] = (((2, 0, 1), (0, 0, 1), (0, 2, 1), (1, 2, 0), (2, 1, 0)),)
_FACE: tuple[Polygon, ...] = (((0, 0, 1), (2, 0, 1), (2, 2, 1), (0, 2, 1)),)
_TRIPOD: tuple[Polygon, ...] = (((2, 1, 0), (2, 0, 1), (1, 0, 2), (0, 1, 2), (0, 2, 1), (1, 2, 0)),)
_TWISTED: tuple[Polygon, ...] = (
    ((1, 2, 0), (0, 2, 1), (0, 1, 2), (2, 0, 1), (1, 0, 0)),
    ((0, 1, 2), (2, 1, 2), (2, 0, 1)),
)


def _caps(*corners: Corner) -> tuple[Polygon, ...]:
    """The triangles that cut off single corners."""
    found = []
    for corner in corners:
        triangle = []
        for axis in range(3):
            vertex = [2 * part for part in corner]
            vertex[axis] = 1
            triangle.append((vertex[0], vertex[1], vertex[2]))
        found.append(tuple(triangle))
    return tuple(found)


# The corners inside, and the polygons between them and those outside.
_CASES: tuple[tuple[tuple[Corner, ...], tuple[Polygon, ...]], ...] = (
    (((0, 0, 0),), _caps((0, 0, 0))),
    (((0, 0, 0), (0, 0, 1)), _EDGE),
    (((0, 0, 0), (1, 1, 0)), _caps((0, 0, 0), (1, 1, 0))),
    (((0, 0, 0), (1, 1, 1)), _caps((0, 0, 0), (1, 1, 1))),
    (((0, 0, 0), (1, 0, 0), (0, 1, 0)), _ELBOW),
    (((0, 0, 0), (0, 0, 1), (1, 1, 0)), _EDGE + _caps((1, 1, 0))),
    (((0, 1, 1), (1, 0, 1), (1, 1, 0)), _caps((0, 1, 1), (1, 0, 1), (1, 1, 0))),
    (((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)), _FACE),
    (((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)), _TRIPOD),
    (((1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1)), _TWISTED),
    (((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 1)), _ELBOW + _caps((1, 1, 1))),
    (((0, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)), _EDGE + _FAR_EDGE),
    (
        ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)),
        _caps((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)),
    ),
)
_LARGEST_NUMBER_OF_TRIANGLES = 4


def neighbourhood_code(corners: Sequence[Corner]) -> int:
    """Number of a cube, 0 to 255, from the corners (0 or 1 along i, j, k) that are inside."""
    return sum(1 << (i + 2 * j + 4 * k) for i, j, k in corners)


def surfel_areas(spacing: Sequence[float]) -> NDArray[np.float64]:
    """Area in mm² of the surface in each of the 256 neighbourhoods.

    Args:
        spacing: of voxels along i, j, k in mm.

    Returns:
        Areas by :func:`neighbourhood_code`; 0 for 0 and 255, in which there is no surface.
    """
    faces = np.array([spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]])
    areas: NDArray[np.float64] = np.linalg.norm(_triangles() * faces, axis=2).sum(axis=1)
    return areas


def contour_lengths(spacing: Sequence[float]) -> NDArray[np.float64]:
    """Length in mm of the contour in each of the 16 neighbourhoods of 2×2 pixels (marching squares).

    Args:
        spacing: of pixels along the two axes in mm.

    Returns:
        Lengths by code, the sum of ``1 << (u + 2 v)`` over the corners (u, v) inside.
    """
    along_u, along_v = float(spacing[0]), float(spacing[1])
    diagonal = 0.5 * float(np.hypot(along_u, along_v))
    lengths = np.full(16, diagonal)
    lengths[[0b0000, 0b1111]] = 0.0
    lengths[[0b0011, 0b1100]] = along_u
    lengths[[0b0101, 0b1010]] = along_v
    lengths[[0b0110, 0b1001]] = 2 * diagonal
    return lengths


@cache
def _triangles() -> NDArray[np.float64]:
    """Parts of each triangle's area seen along i, j, k, in faces of a voxel: [code, triangle, axis]."""
    table = np.zeros((256, _LARGEST_NUMBER_OF_TRIANGLES, 3))
    for corners, polygons in _CASES:
        areas = np.array([area for polygon in polygons for area in _areas_seen(polygon)])
        for order, flips in product(permutations(range(3)), product((0, 1), repeat=3)):
            turned = [_turned(corner, order, flips) for corner in corners]
            code = neighbourhood_code(turned)
            for same in (code, 255 - code):
                table[same] = 0
                table[same, : len(areas)] = areas[:, list(order)]
    return table


def _areas_seen(polygon: Polygon) -> Iterator[NDArray[np.float64]]:
    """Areas of a polygon's triangles as seen along i, j, k."""
    vertices = np.array(polygon) / 2
    for second, third in pairwise(vertices[1:]):
        yield np.abs(np.cross(second - vertices[0], third - vertices[0])) / 2


def _turned(corner: Corner, order: Sequence[int], flips: Sequence[int]) -> Corner:
    """A corner after exchange of axes and reflection."""
    i, j, k = (corner[axis] ^ flip for axis, flip in zip(order, flips, strict=True))
    return i, j, k
