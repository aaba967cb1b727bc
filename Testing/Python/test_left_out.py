"""Unrest: what goes wrong on left-out slices, on stacks of boxes where it can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.left_out import unrest, unrest_at
from pgt.propagation.stack import Stack
from pgt.propagation.turning import Turn
from pgt.propagation.windowing import choose_windowing
from pgt.volume import LabelMap, Segment, Volume


def stack_of(boxes: dict[int, tuple[slice, slice]], value: int = 1, slices: int = 21) -> Stack:
    """Boxes of rows and columns on annotated slices across the first axis; an empty box is drawn as empty."""
    voxels = np.zeros((slices, 40, 40), np.uint8)
    for index, box in boxes.items():
        voxels[index][box] = value
    geometry = Geometry(voxels.shape, (2.0, 1.0, 1.0))
    labels = LabelMap(voxels, geometry, (Segment.numbered(value),))
    annotation = SparseAnnotation.from_label_map(labels, 0, tuple(boxes))
    image = Volume(np.zeros(voxels.shape, np.float32), geometry)
    turn = Turn((0, 1, 2), (False, False, False))
    return Stack.of(image, annotation, turn, choose_windowing(image.voxels))


BOX = slice(10, 20), slice(10, 20)
NOTHING = slice(0, 0), slice(0, 0)


def test_what_stays_alike_is_calm() -> None:
    assert unrest(stack_of({0: BOX, 8: BOX, 20: BOX})) == {8: 0.0}


def test_voxels_that_go_wrong_count_by_the_distance() -> None:
    # Slice 8 is filled in as the box of 100 voxels, but drawn with 30 more; 8 * 12 / 20 = 4.8 slices away.
    wide = slice(10, 20), slice(10, 23)
    assert unrest(stack_of({0: BOX, 8: wide, 20: BOX})) == pytest.approx({8: 30 / 4.8})


def test_an_island_between_empty_slices_is_missed_as_a_whole() -> None:
    assert unrest(stack_of({0: NOTHING, 10: BOX, 20: NOTHING})) == pytest.approx({10: 100 / 5})


def test_nothing_drawn_is_calm_and_two_slices_tell_nothing() -> None:
    assert unrest(stack_of({0: NOTHING, 10: NOTHING, 20: BOX})) == {10: 0.0}
    assert unrest(stack_of({0: BOX, 20: BOX})) == {}
    assert unrest_at({}, [0, 20]) is None


def test_a_gap_takes_after_its_bounds_or_the_nearest_that_is_known() -> None:
    rates = {10: 4.0, 20: 8.0}
    assert unrest_at(rates, [10, 20]) == 6
    assert unrest_at(rates, [0, 10]) == 4
    assert unrest_at(rates, [20]) == 8
    assert unrest_at(rates, [28]) == 8
    assert unrest_at(rates, [15]) == 6
