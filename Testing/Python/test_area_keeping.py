"""Sizes of corrected shapes: told by left-out slices, worked out by hand; discs of known area."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pgt.propagation.area_keeping import (
    AREAS_ALIKE,
    SHARE_VARIANCE,
    Areas,
    keep_areas,
    profile_share,
)


def areas(drawn: int, profile: int, corrected: int) -> Areas:
    return Areas(*(np.array([voxels]) for voxels in (drawn, profile, corrected)))


def disc(radius: float, centre: float = 31.5) -> NDArray[np.float32]:
    """(1, 1, 64, 64) signed distance of a disc: label, slice, rows, columns."""
    rows, columns = np.mgrid[:64, :64]
    return np.asarray(radius - np.hypot(rows - 31.5, columns - centre), np.float32)[None, None]


def voxels(logits: NDArray[np.float32]) -> int:
    return int(np.count_nonzero(logits > 0))


def test_where_the_profile_came_true_it_is_followed() -> None:
    # Logarithms: profile 0 from what was drawn, corrected log(2) from it.
    share = np.log(2) ** 2 / (np.log(2) ** 2 + AREAS_ALIKE**2)
    assert profile_share([areas(100, 100, 200)], 1) == pytest.approx([share])
    assert share > 0.95


def test_where_the_corrected_size_came_true_it_stays() -> None:
    assert profile_share([areas(200, 100, 200)], 1) == [0]
    # Worse than either end of the way from one to the other is no reason to leave it.
    assert profile_share([areas(300, 100, 200)], 1) == [0]
    half = np.log(2)
    beyond_both = 2 * half**2 / (half**2 + AREAS_ALIKE**2 + half**2 / SHARE_VARIANCE)
    assert profile_share([areas(50, 100, 200)], 1) == pytest.approx([beyond_both])


def test_sizes_that_hardly_differ_tell_little() -> None:
    assert profile_share([areas(1000, 1000, 1010)], 1)[0] < 0.02


def test_every_left_out_slice_counts_by_how_much_it_tells() -> None:
    # Logarithms differ by log 2 and -log 4; drawn half-way along the first, as corrected on the second.
    told = [areas(141, 200, 100), areas(100, 25, 100)]
    along, square = np.log(2) * np.log(1.41), np.log(2) ** 2 + np.log(4) ** 2
    best = along / square
    unexplained = (np.log(1.41) - best * np.log(2)) ** 2 + (best * np.log(4)) ** 2
    expected = along / (square + AREAS_ALIKE**2 + unexplained / SHARE_VARIANCE)
    assert profile_share(told, 1) == pytest.approx([expected])


def test_slices_that_contradict_one_another_count_less() -> None:
    agreeing = profile_share([areas(141, 200, 100), areas(141, 200, 100)], 1)
    contradicting = profile_share([areas(100, 200, 100), areas(200, 200, 100)], 1)
    assert agreeing == pytest.approx([0.5], abs=0.02)
    assert contradicting == pytest.approx([1 / 3], abs=0.02)


@pytest.mark.parametrize("told", [[], [areas(0, 100, 200)], [areas(100, 0, 200)], [areas(100, 100, 0)]])
def test_nothing_told_changes_nothing(told: list[Areas]) -> None:
    assert profile_share(told, 1) == [0]
    logits = disc(12.0)
    np.testing.assert_array_equal(keep_areas(logits, disc(8.0), np.zeros(1)), logits)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_the_area_lies_between_both_and_the_shape_stays_where_it_was(share: float) -> None:
    logits, distance = disc(14.0, centre=36.0), disc(9.0, centre=28.0)
    kept = keep_areas(logits, distance, np.array([share]))
    wanted = voxels(logits) ** (1 - share) * voxels(distance) ** share
    assert voxels(kept) == pytest.approx(wanted, rel=0.03)
    assert np.argwhere(kept[0, 0] > 0).mean(axis=0) == pytest.approx([31.5, 36.0], abs=0.1)


def test_a_slice_without_the_structure_stays_so() -> None:
    nothing = np.full((1, 1, 64, 64), -3.0, np.float32)
    for logits, distance in ((nothing, disc(9.0)), (disc(9.0), nothing)):
        np.testing.assert_array_equal(keep_areas(logits, distance, np.ones(1)), logits)


def test_labels_and_slices_are_kept_apart() -> None:
    logits = np.concatenate([np.concatenate([disc(12.0), disc(10.0)], axis=1)] * 2)
    distance = np.concatenate([np.concatenate([disc(9.0), disc(9.0)], axis=1)] * 2)
    kept = keep_areas(logits, distance, np.array([1.0, 0.0]))
    assert [voxels(kept[0, place]) for place in (0, 1)] == [voxels(disc(9.0))] * 2
    np.testing.assert_array_equal(kept[1], logits[1])
