"""Turning a volume into an order that follows from the image, and back."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pgt.propagation.turning import Turn, choose_turn

TURNS = [Turn(axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)]
SPACING = (0.7, 0.7, 3.0)


def image(shape: tuple[int, int, int] = (9, 7, 5), seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random(shape)


@given(st.sampled_from(TURNS), st.tuples(*[st.integers(1, 5)] * 3))
def test_undo_takes_apply_back(turn: Turn, shape: tuple[int, int, int]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    turned = turn.apply(array)
    assert turned.shape == tuple(shape[axis] for axis in turn.axes)
    assert np.shares_memory(turned, array)
    np.testing.assert_array_equal(turn.undo(turned), array)


@given(st.sampled_from(TURNS), st.data())
def test_index_follows_the_voxels(turn: Turn, data: st.DataObject) -> None:
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    place = tuple(data.draw(st.integers(0, size - 1)) for size in array.shape)
    turned = tuple(turn.index(place[axis], array.shape[axis], n) for n, axis in enumerate(turn.axes))
    assert turn.apply(array)[turned] == array[place]
    assert tuple(turn.index(turned[n], array.shape[axis], n) for n, axis in enumerate(turn.axes)) == tuple(
        place[axis] for axis in turn.axes
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_however_it_is_stored_the_same_array_comes_out(axis: int) -> None:
    voxels = image()
    labels = np.zeros(voxels.shape, np.uint8)
    expected = choose_turn(voxels, SPACING, axis, labels).apply(voxels)
    for stored in TURNS:
        other = stored.apply(voxels)
        spacing = (SPACING[stored.axes[0]], SPACING[stored.axes[1]], SPACING[stored.axes[2]])
        turn = choose_turn(other, spacing, stored.axes.index(axis), stored.apply(labels))
        np.testing.assert_array_equal(turn.apply(other), expected)


def test_the_slices_lead_and_the_finer_axis_follows() -> None:
    turn = choose_turn(image(), (3.0, 1.0, 0.5), 1, np.zeros((9, 7, 5), np.uint8))
    assert turn.axes == (1, 2, 0)


def test_every_axis_runs_towards_its_lighter_side() -> None:
    voxels = image((8, 8, 8))
    turned = choose_turn(voxels, (1, 1, 1), 0, np.zeros(voxels.shape)).apply(voxels)
    for axis in range(3):
        profile = turned.mean(axis=tuple({0, 1, 2} - {axis}))
        place = np.arange(8) - 3.5
        assert ((profile - profile.min()) * place).sum() < 0


def test_where_the_image_is_symmetric_the_annotation_decides() -> None:
    flat = np.full((6, 6, 6), 3, np.int16)
    labels = np.zeros(flat.shape, np.uint8)
    labels[1:3, 2:5, 4:6] = 1
    expected = choose_turn(flat, (1, 1, 2), 2, labels).apply(labels)
    for stored in (Turn((0, 1, 2), flips) for flips in product((False, True), repeat=3)):
        other = stored.apply(labels)
        np.testing.assert_array_equal(choose_turn(flat, (1, 1, 2), 2, other).apply(other), expected)


def test_integers_do_not_overflow_and_rounding_does_not_decide() -> None:
    voxels = np.full((300, 40, 40), 65535, np.uint16)
    voxels[:150] = 65000
    assert choose_turn(voxels, (1, 1, 1), 0, voxels).flips[0]
    symmetric = np.concatenate([image((5, 6, 4)), image((5, 6, 4))[::-1]])
    assert not choose_turn(symmetric, (1, 1, 1), 0, np.zeros(symmetric.shape)).flips[0]
