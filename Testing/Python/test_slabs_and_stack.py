"""Which slices have to be filled from which others, worked out by hand on small stacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from propagation_cases import across, drawn, made_case

from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.filling import CERTAIN, ShapeFiller, runs, with_known
from pgt.propagation.slabs import fill_slab, slabs_of
from pgt.propagation.stack import Opening, Stack, openings
from pgt.propagation.turning import Turn
from pgt.propagation.windowing import choose_windowing
from pgt.volume import LabelMap, Volume

UPRIGHT = Turn((2, 0, 1), (False, False, False))
DEPTH = 20


def stack_of(slices: dict[int, dict[int, tuple[int, ...]]], empty: dict[int, tuple[int, ...]]) -> Stack:
    """Blocks of labels on slices across k, each absent from the slices in ``empty``."""
    labels = np.zeros((12, 10, DEPTH), np.uint8)
    for value in slices:
        labels[2 * value : 2 * value + 2, 3:7] = value
        labels[2 * value : 2 * value + 2, :, list(empty.get(value, ()))] = 0
    geometry = Geometry(labels.shape, (1.0, 2.0, 3.0))
    annotation = SparseAnnotation(LabelMap.from_voxels(labels, geometry), slices)
    volume = Volume(labels.astype(np.float32), geometry)
    return Stack.of(volume, annotation, UPRIGHT, choose_windowing(volume.voxels))


class Tally:
    """Counts slices."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, slices: int) -> None:
        assert slices >= 0
        self.done += slices


def test_gaps_and_both_ends_are_opened() -> None:
    found = openings(stack_of({1: {2: (5, 9, 15)}}, {}))
    assert [(o.before, o.after, o.first, o.last) for o in found] == [
        (None, 5, 0, 4),
        (5, 9, 6, 8),
        (9, 15, 10, 14),
        (15, None, 16, 19),
    ]
    assert [o.one_sided for o in found] == [True, False, False, True]
    assert [o.bounds for o in found] == [(5,), (5, 9), (9, 15), (15,)]


def test_neighbouring_and_outermost_slices_leave_nothing_to_fill() -> None:
    assert openings(stack_of({1: {2: (0, 1, 2)}}, {}))[0].first == 3
    assert openings(stack_of({1: {2: tuple(range(DEPTH))}}, {})) == []


def test_a_gap_learns_from_three_slices_on_either_side() -> None:
    found = openings(stack_of({1: {2: (1, 3, 5, 7, 9, 11, 13)}}, {}))
    memory = {o.first: o.memory for o in found}
    assert memory[8] == (3, 5, 7, 9, 11, 13)
    assert memory[0] == (1, 3, 5)
    assert memory[14] == (9, 11, 13)


def test_between_two_empty_slices_and_beyond_an_empty_one_nothing_is_opened() -> None:
    found = openings(stack_of({1: {2: (3, 6, 10, 14)}}, {1: (3, 10, 14)}))
    assert [(o.first, o.last) for o in found] == [(4, 5), (7, 9)]


def test_labels_drawn_on_the_same_slices_are_opened_together_the_others_alone() -> None:
    found = openings(stack_of({1: {2: (4, 10)}, 2: {2: (4, 10)}, 3: {2: (6, 12)}}, {2: (10,)}))
    assert [(o.values, o.first, o.last) for o in found] == [
        ((1, 2), 0, 3),
        ((3,), 0, 5),
        ((1, 2), 5, 9),
        ((3,), 7, 11),
        ((1,), 11, 19),
        ((3,), 13, 19),
    ]


def test_openings_that_share_a_slice_make_a_slab() -> None:
    def opening(first: int, last: int) -> Opening:
        return Opening((1,), first - 1, last + 1, first, last, (first - 1, last + 1))

    slabs = slabs_of([opening(1, 4), opening(4, 6), opening(5, 5), opening(8, 9)])
    assert [(slab.first, slab.last, slab.slices) for slab in slabs] == [(1, 6, 8), (8, 9, 2)]
    assert slabs_of([]) == []


def test_a_label_drawn_only_across_the_others_opens_nothing() -> None:
    stack = stack_of({1: {2: (4, 10)}, 2: {0: (5,)}}, {})
    assert {value for o in openings(stack) for value in o.values} == {1}
    assert stack.crossing[2] == ((5,), ())


@pytest.mark.parametrize("turn", [UPRIGHT, Turn((2, 1, 0), (True, False, True))])
def test_known_is_what_was_drawn(turn: Turn) -> None:
    volume, truth = made_case()
    slices = {1: {2: (3, 14, 27), 0: (20, 25), 1: (11,)}, 2: {2: (3, 20)}, 3: {2: (3, 14), 1: (30,)}}
    annotation = drawn(truth, slices)
    stack = Stack.of(volume, annotation, turn, choose_windowing(volume.voxels))
    box = (slice(5, 33), slice(4, 36))
    indices = (2, 3, 14, 15, 26)
    found = stack.known((1, 2, 3), indices, box)
    for number, value in enumerate((1, 2, 3)):
        expected = np.where(annotation.known(value), np.where(truth.mask(value), 1, -1), 0)
        np.testing.assert_array_equal(found[number], turn.apply(expected)[list(indices)][:, box[0], box[1]])
    for value, axis in ((1, 0), (1, 1), (3, 1)):
        assert all(annotation.known(value)[across(axis, index)].all() for index in slices[value][axis])


def test_a_slice_can_be_taken_as_not_annotated() -> None:
    stack = stack_of({1: {2: (4, 10), 0: (3,)}}, {})
    rest = stack.without(10)
    assert (rest.annotated[1], stack.annotated[1]) == ((4,), (4, 10))
    assert rest.crossing == stack.crossing


def test_thickness_is_counted_in_pixels() -> None:
    assert stack_of({1: {2: (4,)}}, {}).thickness == pytest.approx(3 / np.sqrt(2))


def edited(stack: Stack, place: tuple[int, int, int], value: int) -> Stack:
    labels = stack.labels.copy()
    labels[place] = value
    return replace(stack, labels=labels)


def test_a_slabs_fingerprint_follows_what_was_drawn_and_nothing_else() -> None:
    stack = stack_of({1: {2: (4, 10, 16)}, 2: {2: (4, 10, 16), 1: (5,)}}, {})
    slab = slabs_of(openings(stack))[1]
    original = slab.fingerprint(stack)
    assert slab.fingerprint(edited(stack, (7, 1, 1), 1)) == original
    assert slab.fingerprint(edited(stack, (10, 1, 1), 1)) != original
    assert slab.fingerprint(edited(stack, (16, 1, 1), 1)) != original
    assert slab.fingerprint(edited(stack, (7, 1, 5), 2)) != original


@pytest.mark.parametrize("length", [1, 3, 8, 50])
def test_runs_cover_an_opening_once_and_lead_away_from_a_single_bound(length: int) -> None:
    for before, after in ((3, 14), (None, 14), (3, None)):
        opening = Opening((1,), before, after, 4, 13, ())
        parts = list(runs(opening, length))
        assert sorted(index for part in parts for index in part) == list(range(4, 14))
        assert all(list(part) == list(range(part[0], part[-1] + 1)) for part in parts)
        firsts = [part[0] for part in parts]
        assert firsts == sorted(firsts, reverse=before is None)


def test_annotated_voxels_are_certain() -> None:
    logits = np.array([[-100, -1, 2, 100]], np.float32)
    known: NDArray[np.int8] = np.array([[1, 0, -1, 0]], np.int8)
    np.testing.assert_array_equal(with_known(logits, known), [[CERTAIN, -1, -CERTAIN, CERTAIN]])


def test_a_filled_slab_counts_every_slice_once_and_reports_those_it_filled() -> None:
    stack = stack_of({1: {2: (4, 10)}, 2: {2: (4, 10)}, 3: {2: (6, 12)}}, {})
    for slab in slabs_of(openings(stack)):
        tally = Tally()
        filled = fill_slab(stack, slab, ShapeFiller(), tally)
        assert tally.done == slab.slices
        assert filled.labels.shape == filled.uncertainty.shape == (slab.last - slab.first + 1, 12, 10)
        assert filled.labels.dtype == stack.labels.dtype
        assert set(filled.confidence) <= set(range(slab.first, slab.last + 1))
        between, drawn_block = filled.labels[5 - slab.first : 10 - slab.first, 2:6], stack.labels[5:10, 2:6]
        np.testing.assert_array_equal(between[drawn_block > 0], drawn_block[drawn_block > 0])
