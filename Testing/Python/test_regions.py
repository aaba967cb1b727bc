"""The box that is looked at: it holds the structure, and a network can take its working shape."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pgt.propagation.regions import (
    LARGEST_SIDE,
    LEAST_MARGIN,
    Region,
    masks_to_working,
    region_around,
    shared_regions,
    to_working,
)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    rows, columns = draw(st.integers(1, 420)), draw(st.integers(1, 420))
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    bottom, right = draw(st.integers(top + 1, rows)), draw(st.integers(left + 1, columns))
    mask = np.zeros((1, 2, rows, columns), bool)
    mask[0, 0, top, left:right] = True
    mask[0, 1, top:bottom, left] = True
    return mask, (top, bottom, left, right)


@given(boxes())
def test_a_region_covers_the_masks_with_a_margin(drawn: tuple[np.ndarray, tuple[int, int, int, int]]) -> None:
    mask, (top, bottom, left, right) = drawn
    region = region_around(mask)
    assert region is not None
    rows, columns = mask.shape[2:]
    assert 0 <= region.rows[0] <= max(top - LEAST_MARGIN, 0)
    assert min(bottom + LEAST_MARGIN, rows) <= region.rows[1] <= rows
    assert 0 <= region.columns[0] <= max(left - LEAST_MARGIN, 0)
    assert min(right + LEAST_MARGIN, columns) <= region.columns[1] <= columns


@given(boxes())
def test_the_working_shape_suits_the_network(drawn: tuple[np.ndarray, tuple[int, int, int, int]]) -> None:
    region = region_around(drawn[0])
    assert region is not None
    working = region.working_shape
    assert all(size % 8 == 0 for size in working)
    assert all(size <= LARGEST_SIDE + 7 for size in working)
    for size, full in zip(working, region.shape, strict=True):
        assert full <= size * region.factor < full + 8 * region.factor
    assert region.factor == 1 or max(region.shape) > LARGEST_SIDE * (region.factor - 1)


def test_nothing_to_look_at_is_no_region() -> None:
    assert region_around(np.zeros((2, 3, 20, 20), bool)) is None


def test_coarse_pixels_are_block_means_with_the_edge_repeated() -> None:
    region = Region((0, 20), (0, 26), 2)
    image = np.random.default_rng(0).random((3, 20, 26)).astype(np.float32)
    working = to_working(image, region)
    assert working.shape == (3, *region.working_shape) == (3, 16, 16)
    blocks = image.reshape(3, 10, 2, 13, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(working[:, :10, :13], blocks, rtol=1e-6)
    np.testing.assert_allclose(working[:, 12, :13], image[:, -1].reshape(3, 13, 2).mean(axis=2), rtol=1e-6)


def test_coarse_masks_follow_the_majority_and_end_at_the_edge() -> None:
    region = Region((0, 20), (0, 20), 2)
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 4:6, 4] = True
    mask[0, 8, 8] = True
    mask[0, 18:, :] = True
    working = masks_to_working(mask, region)[0]
    assert working[2, 2]
    assert not working[4, 4]
    assert working[9, :10].all()
    assert not working[10:].any()
    assert not working[:, 10:].any()


def test_at_full_resolution_nothing_is_changed() -> None:
    region = Region((3, 21), (5, 30), 1)
    image = np.random.default_rng(0).random((2, 18, 25)).astype(np.float32)
    np.testing.assert_array_equal(to_working(image, region)[:, :18, :25], image)
    np.testing.assert_array_equal(masks_to_working(image > 0.5, region)[:, :18, :25], image > 0.5)


def test_neighbours_share_a_region_and_strangers_do_not() -> None:
    near, nearer, far = (
        Region((0, 60), (0, 60), 1),
        Region((10, 70), (5, 66), 1),
        Region((200, 260), (0, 60), 1),
    )
    assert shared_regions({1: near, 2: far, 3: nearer}) == [
        (Region((0, 70), (0, 66), 1), (1, 3)),
        (far, (2,)),
    ]
    assert shared_regions({}) == []


@given(st.dictionaries(st.integers(1, 9), boxes().map(lambda drawn: drawn[0]), min_size=1, max_size=5))
def test_every_label_is_in_one_region_that_covers_its_own(masks: dict[int, np.ndarray]) -> None:
    alone = {value: region for value, mask in masks.items() if (region := region_around(mask)) is not None}
    shared = shared_regions(alone)
    assert sorted(value for _, values in shared for value in values) == sorted(alone)
    for region, values in shared:
        for value in values:
            assert region.rows[0] <= alone[value].rows[0] <= alone[value].rows[1] <= region.rows[1]
            assert (
                region.columns[0] <= alone[value].columns[0] <= alone[value].columns[1] <= region.columns[1]
            )
            assert region.factor == alone[value].factor
