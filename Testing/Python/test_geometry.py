"""Where voxels lie, against the plain formula origin + direction · (spacing · index)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS, any_geometry
from hypothesis import given
from hypothesis import strategies as st

from pgt.errors import InputError
from pgt.geometry import Geometry


def corners(geometry: Geometry) -> np.ndarray:
    """Indices [8, 4] of the corner voxels, homogeneous."""
    ranges = [(0, size - 1) for size in geometry.shape]
    return np.array([[*index, 1.0] for index in itertools.product(*ranges)])


def places(geometry: Geometry, indices: np.ndarray) -> np.ndarray:
    return (geometry.ijk_to_ras @ indices.T).T[:, :3]


def test_a_voxel_lies_where_the_formula_says() -> None:
    quarter_turn = ((0, -1, 0), (1, 0, 0), (0, 0, 1))
    geometry = Geometry((4, 5, 6), (0.5, 2, 3), (10, 20, 30), quarter_turn)
    # i runs towards anterior, j towards left, k towards superior.
    np.testing.assert_allclose(geometry.ijk_to_ras @ [1, 1, 1, 1], [10 - 2, 20 + 0.5, 33, 1])
    assert geometry.orientation == "ALS"
    assert geometry.voxel_volume == pytest.approx(3.0)


@given(any_geometry())
def test_the_matrix_and_back_is_the_same_grid(geometry: Geometry) -> None:
    again = Geometry.from_ijk_to_ras(geometry.ijk_to_ras, geometry.shape)
    np.testing.assert_allclose(again.spacing, geometry.spacing, rtol=1e-12)
    np.testing.assert_allclose(again.direction, geometry.direction, atol=1e-12)
    assert again.origin == geometry.origin
    assert again.difference(geometry) is None


@given(any_geometry())
def test_ras_to_ijk_undoes_ijk_to_ras(geometry: Geometry) -> None:
    there_and_back = geometry.ras_to_ijk @ geometry.ijk_to_ras
    np.testing.assert_allclose(there_and_back, np.eye(4), atol=1e-8)


@given(any_geometry(), st.sampled_from([0, 1, 2]))
def test_a_flip_keeps_places_and_twice_is_nothing(geometry: Geometry, axis: int) -> None:
    flipped = geometry.flipped(axis)
    mirrored = corners(geometry)
    mirrored[:, axis] = geometry.shape[axis] - 1 - mirrored[:, axis]
    np.testing.assert_allclose(places(flipped, mirrored), places(geometry, corners(geometry)), atol=1e-8)
    assert flipped.flipped(axis).difference(geometry, tolerance=1e-6) is None


@given(any_geometry(), st.permutations([0, 1, 2]))
def test_a_permutation_keeps_places_and_can_be_undone(geometry: Geometry, order: list[int]) -> None:
    permuted = geometry.permuted(order)
    indices = corners(geometry)
    np.testing.assert_allclose(places(permuted, indices[:, [*order, 3]]), places(geometry, indices))
    assert permuted.permuted([int(axis) for axis in np.argsort(order)]) == geometry


@given(any_geometry(), st.tuples(*[st.integers(-5, 5)] * 3))
def test_a_crop_keeps_places(geometry: Geometry, start: tuple[int, int, int]) -> None:
    cropped = geometry.cropped(start, (2, 3, 4))
    expected = places(geometry, corners(cropped) + np.array([*start, 0]))
    np.testing.assert_allclose(places(cropped, corners(cropped)), expected, atol=1e-8)
    assert cropped.shape == (2, 3, 4)


@given(any_geometry(), st.sampled_from(["RAS", "LPS", "PIR", "SAL"]))
def test_turning_to_an_orientation_reaches_it(geometry: Geometry, orientation: str) -> None:
    order, flips = geometry.turn_to(orientation)
    turned = geometry.permuted(order)
    for axis in flips:
        turned = turned.flipped(axis)
    assert turned.orientation == orientation


@pytest.mark.parametrize("name", DIRECTIONS)
def test_orientation_names_each_axis_once(name: str) -> None:
    geometry = Geometry((3, 3, 3), direction=DIRECTIONS[name])
    pairs = {"R": "x", "L": "x", "A": "y", "P": "y", "S": "z", "I": "z"}
    assert {pairs[letter] for letter in geometry.orientation} == {"x", "y", "z"}


GRID = Geometry((100, 90, 30), (1, 1, 3), (-50, 40, 7))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(GRID, shape=(100, 90, 31)), "shape 100x90x30 against 100x90x31"),
        (replace(GRID, spacing=(1, 1, 2.5)), "spacing 1x1x3 mm against 1x1x2.5 mm"),
        (replace(GRID, origin=(-50, 40, 8)), "origin (-50, 40, 7) mm against (-50, 40, 8) mm (RAS)"),
        (GRID.flipped(0), "direction (1 0 0) (0 1 0) (0 0 1) against (-1 0 0) (0 1 0) (0 0 1)"),
    ],
)
def test_a_difference_is_named(other: Geometry, words: str) -> None:
    assert words in (GRID.difference(other) or "")


def test_several_differences_are_all_named() -> None:
    difference = GRID.difference(replace(GRID, spacing=(1, 1, 2), origin=(0, 0, 0)))
    assert difference is not None
    assert "spacing" in difference
    assert "origin" in difference
    assert "direction" not in difference


@given(any_geometry())
def test_float32_headers_are_no_difference(geometry: Geometry) -> None:
    rounded = Geometry.from_ijk_to_ras(geometry.ijk_to_ras.astype(np.float32), geometry.shape)
    assert geometry.difference(rounded) is None


@given(any_geometry(), st.sampled_from([0, 1, 2]))
def test_half_a_voxel_is_a_difference(geometry: Geometry, axis: int) -> None:
    shift = np.zeros(4)
    shift[axis], shift[3] = 0.5, 1
    moved = replace(geometry, origin=tuple((geometry.ijk_to_ras @ shift)[:3]))
    assert "origin" in (geometry.difference(moved) or "")


def test_a_turn_counts_by_how_far_it_moves_the_last_voxel() -> None:
    def turned(degrees: float, size: int) -> str | None:
        angle = np.radians(degrees)
        rotation = ((np.cos(angle), -np.sin(angle), 0), (np.sin(angle), np.cos(angle), 0), (0, 0, 1))
        straight = Geometry((size, size, size))
        return straight.difference(replace(straight, direction=rotation))

    assert turned(0.02, 10) is None
    assert "direction" in (turned(0.02, 500) or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (0, 3, 3)}, "at least one voxel"),
        ({"spacing": (1, 0, 1)}, "lies nowhere"),
        ({"spacing": (1, -1, 1)}, "lies nowhere"),
        ({"origin": (0, np.nan, 0)}, "lies nowhere"),
        ({"direction": ((1, 0.2, 0), (0, 1, 0), (0, 0, 1))}, "not perpendicular"),
        ({"direction": ((1, 0, 0), (0, 1, 0), (0, 0, np.nan))}, "not perpendicular"),
    ],
)
def test_a_grid_that_is_none_is_refused(change: dict[str, tuple[float, ...]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(GRID, **change)


def test_a_matrix_without_extent_is_refused() -> None:
    with pytest.raises(InputError, match="zero column"):
        Geometry.from_ijk_to_ras(np.diag([1.0, 1.0, 0.0, 1.0]), (3, 3, 3))
