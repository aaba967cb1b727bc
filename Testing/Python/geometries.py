"""Grids of every kind that scanners and programs make, for property-based tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from pgt.geometry import Geometry, Matrix


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation about the three axes, in degrees."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians([x, y, z])):
        turn = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[second, first] = np.sin(angle)
        turn[first, second] = -np.sin(angle)
        matrix = turn @ matrix
    return matrix


def as_matrix(array: np.ndarray) -> Matrix:
    return tuple(tuple(float(number) for number in row) for row in array)  # type: ignore[return-value]


DIRECTIONS = {
    "RAS": as_matrix(np.eye(3)),
    "LPS": as_matrix(np.diag([-1.0, -1.0, 1.0])),
    "flipped": as_matrix(np.diag([1.0, -1.0, -1.0])),
    "permuted": as_matrix(np.eye(3)[[2, 0, 1]]),
    "oblique": as_matrix(rotation(20, -15, 35)),
    "oblique and mirrored": as_matrix(rotation(-50, 10, 5) @ np.diag([1.0, -1.0, 1.0])),
}


@st.composite
def any_geometry(draw: st.DrawFn, largest: int = 40) -> Geometry:
    """A grid of any size up to ``largest``, spacing from 0.2 to 8 mm, at any angle, mirrored or not."""
    shape = draw(st.tuples(*[st.integers(1, largest)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.2, 8)] * 3))
    origin = draw(st.tuples(*[st.floats(-1500, 1500)] * 3))
    angles = draw(st.tuples(*[st.floats(-180, 180)] * 3))
    axes = draw(st.permutations([0, 1, 2]))
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    direction = rotation(*angles)[:, list(axes)] * np.array(signs)
    return Geometry(shape, spacing, origin, as_matrix(direction))
