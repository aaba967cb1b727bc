"""Confidence against sampled masks; the next slice against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pgt.propagation.confidence import expected_dice, next_slice


@pytest.mark.parametrize("softness", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("radius", [6.0, 14.0])
def test_expected_dice_is_the_mean_dice_of_masks_drawn_from_the_probabilities(
    softness: float, radius: float
) -> None:
    rows, columns = np.mgrid[:48, :48] - 23.5
    logits = ((radius - np.hypot(rows, columns)) / softness).astype(np.float32)
    probability = 1 / (1 + np.exp(-logits))
    found = logits > 0
    random = np.random.default_rng(0)
    sampled = []
    for _ in range(200):
        truth = random.random(logits.shape) < probability
        sampled.append(2 * (truth & found).sum() / (truth.sum() + found.sum()))
    assert expected_dice(logits, 100.0) == pytest.approx(np.mean(sampled), abs=0.02)


def test_sure_masks_are_fully_trusted() -> None:
    logits = np.full((20, 20), -30, np.float32)
    logits[5:10, 5:10] = 30
    assert expected_dice(logits, 25.0) == pytest.approx(1)


def test_an_empty_slice_is_trusted_by_what_is_left_of_the_structure() -> None:
    nothing = np.full((20, 20), -30, np.float32)
    maybe = nothing.copy()
    maybe[:5, :4] = -0.01
    assert expected_dice(nothing, 25.0) == pytest.approx(1)
    assert expected_dice(maybe, 20.0) == pytest.approx(0.5, abs=0.01)
    assert expected_dice(maybe, 5.0) == 0


def test_the_middle_of_an_evenly_doubtful_gap_comes_next() -> None:
    assert next_slice(dict.fromkeys(range(1, 10), 10.0), [0, 10]) == 5


def test_the_gap_with_more_doubt_comes_next() -> None:
    doubt = {**dict.fromkeys(range(1, 10), 10.0), **dict.fromkeys(range(11, 20), 30.0)}
    assert next_slice(doubt, [0, 10, 20]) == 15


def test_a_single_bad_slice_is_preferred_to_its_good_neighbours() -> None:
    assert next_slice({1: 1.0, 2: 1.0, 3: 90.0, 4: 1.0, 5: 1.0}, [0, 6]) == 3


def test_worked_out_by_hand() -> None:
    # Between 0 and 4, distance times doubt: 4, 12 and 8 of 24. The doubt of 18 is shared out so: 3, 9 and 6.
    # Slice 1 gains 3 + 9/2 = 7.5, slice 2 gains 9, slice 3 gains 6 + 9/2 = 10.5.
    assert next_slice({1: 4.0, 2: 6.0, 3: 8.0}, [0, 4]) == 3
    # 9, 12 and 2 of 23, of a doubt of 17: slice 1 gains (9 + 12/2) * 17/23, slice 2 gains 12 * 17/23.
    assert next_slice({1: 9.0, 2: 6.0, 3: 2.0}, [0, 4]) == 1


def test_the_restless_gap_comes_next() -> None:
    """Doubt alike everywhere: the slices that went wrong when they were left out tell where."""
    doubt = {index: 10.0 for index in range(1, 30) if index not in (10, 20)}
    assert next_slice(doubt, [0, 10, 20, 30], {10: 40.0, 20: 4.0}) == 5
    assert next_slice(doubt, [0, 10, 20, 30], {10: 4.0, 20: 40.0}) == 25
    # Half of the unrest on either side of the middle gap is less than all of it on one.
    assert next_slice(doubt, [0, 10, 20, 30], {10: 20.0, 20: 20.1}) == 25


def test_a_wide_calm_gap_is_weighed_against_a_narrow_restless_one() -> None:
    # Powers 0.7 and 0.5, one voxel added to either. Wide: 19 slices, (190 + 1) ** 0.7 * (19 * 1 + 1) ** 0.5 =
    # 176.7. Narrow: 4 slices, (40 + 1) ** 0.7 * (4 * 20 + 1) ** 0.5 = 121.1, with 60 instead of 20: 209.0.
    doubt = {index: 10.0 for index in range(1, 30) if index not in (20, 25)}
    assert next_slice(doubt, [0, 20, 25, 30], {20: 1.0, 25: 1.0}) == 10
    calm = dict.fromkeys([*range(1, 20), *range(31, 35)], 10.0)
    assert next_slice(calm, [0, 20, 30, 35], {20: 1.0, 30: 20.0}) == 10
    assert next_slice(calm, [0, 20, 30, 35], {20: 1.0, 30: 60.0}) in (32, 33)


def test_a_slice_that_is_annotated_for_some_labels_only_can_come_next() -> None:
    assert next_slice({10: 50.0, 11: 0.1}, [0, 10, 20]) == 10


def test_nothing_in_doubt_asks_for_nothing() -> None:
    assert next_slice({}, [3]) is None
    assert next_slice({1: 0.0, 2: 0.0}, [0, 3]) is None


def test_beyond_the_ends_either_way_is_alike() -> None:
    """A stack told backwards, wherever its numbers begin, asks for the same slice."""
    random = np.random.default_rng(0)
    for _ in range(30):
        first = int(random.integers(0, 40))
        annotated = sorted(random.choice(np.arange(first + 4, first + 30), 3, replace=False).tolist())
        filled = [index for index in range(first, first + 34) if index not in annotated]
        doubt = {index: float(random.random()) for index in filled}
        last = first + 33 + int(random.integers(0, 9))
        mirrored = {last - index: doubt[index] for index in reversed(filled)}
        chosen = next_slice(mirrored, [last - index for index in reversed(annotated)])
        assert chosen is not None
        assert last - chosen == next_slice(doubt, annotated)
