"""Slices hang as radiologists hang them, however the voxels are stored."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pgt.anatomical_views import PLANES, Plane, View
from pgt.geometry import Geometry

ORDERS = list(itertools.permutations(range(3)))
TURNS = [(order, signs) for order in ORDERS for signs in itertools.product((1, -1), repeat=3)]


def stored(order: tuple[int, ...], signs: tuple[int, ...]) -> tuple[np.ndarray, Geometry]:
    """A 4x5x6 RAS block, each voxel holding its own number, stored with axes permuted and flipped."""
    block = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    geometry = Geometry((4, 5, 6), (1.0, 2.0, 3.0)).permuted(order)
    block = block.transpose(order)
    for axis, sign in enumerate(signs):
        if sign < 0:
            block, geometry = np.flip(block, axis), geometry.flipped(axis)
    return block, geometry


EXPECTED = {
    # rows run down, columns to the right: R is on the left, A (or S) at the top
    "axial": lambda block: block[::-1, ::-1, 2].T,
    "coronal": lambda block: block[::-1, 2, ::-1].T,
    "sagittal": lambda block: block[2, ::-1, ::-1].T,
}


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_every_storage_order_shows_the_same_picture(
    plane: Plane, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    block, geometry = stored(order, signs)
    view = View.of(geometry, plane)
    wanted = EXPECTED[plane](np.arange(4 * 5 * 6).reshape(4, 5, 6))
    index = 2 if geometry.orientation[view.axis] in "RAS" else geometry.shape[view.axis] - 3
    np.testing.assert_array_equal(view.slice(block, index), wanted)
    assert view.spacing == {"axial": (1, 2), "coronal": (1, 3), "sagittal": (2, 3)}[plane]


def test_letters_name_left_right_top_and_bottom() -> None:
    geometry = Geometry((4, 5, 6))
    assert [View.of(geometry, plane).letters for plane in PLANES] == ["RLAP", "RLSI", "APSI"]


def test_rows_and_columns_find_voxels() -> None:
    block, geometry = stored((2, 0, 1), (1, -1, 1))
    view = View.of(geometry, "coronal")
    i, j, k = 3, 1, 2
    place = {0: i, 1: j, 2: k}
    picture = view.slice(block, place[view.axis])
    row = view.row(place[view.row_axis], geometry)
    column = view.column(place[view.column_axis], geometry)
    assert picture[row, column] == block[i, j, k]


@pytest.mark.parametrize("axis", range(3))
def test_across_looks_along_the_axis(axis: int) -> None:
    assert View.across(Geometry((4, 5, 6)).permuted((1, 2, 0)), axis).axis == axis
