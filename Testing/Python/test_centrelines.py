"""Centrelines: on tubes whose middle is known, on masks of any shape, and against the paper's formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import euler_number
from skimage.morphology import skeletonize

from pgt.agreement.centrelines import centreline, centreline_scores, cl_dice
from pgt.agreement.masks import Mask
from pgt.agreement.thinning import skeleton

CORNERS = np.ones((3, 3, 3))
masks = arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=7))
pairs = array_shapes(min_dims=3, max_dims=3, max_side=7).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


def tube(
    radius: float, along: NDArray[np.float64], centre: NDArray[np.float64], half_length: float = 14
) -> Mask:
    """A straight round tube in a grid of 40 voxels each way."""
    apart = np.moveaxis(np.indices((40, 40, 40)), 0, -1) - centre
    position = apart @ along
    away = np.linalg.norm(apart - position[..., None] * along, axis=-1)
    return (away <= radius) & (np.abs(position) <= half_length)


def pieces(mask: Mask) -> int:
    return int(ndimage.label(mask, CORNERS)[1])


@pytest.mark.parametrize("radius", [0.9, 1, 1.5, 2, 2.5, 3, 4])
@pytest.mark.parametrize("seed", range(8))
def test_a_tube_thins_to_its_axis_over_its_whole_length(radius: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    along = np.eye(3)[seed % 3] if seed < 4 else rng.normal(size=3)
    along = along / np.linalg.norm(along)
    centre = np.full(3, 19.5) if seed < 4 else rng.uniform(19, 20, 3)
    found = np.argwhere(skeleton(tube(radius, along, centre))) - centre
    position = found @ along
    away = np.linalg.norm(found - position[:, None] * along, axis=1)
    inner = np.abs(position) < 14 - 2 * radius - 1
    assert np.median(away[inner]) < 1
    assert away[inner].max() < 2
    steps = np.diff(np.sort(position))
    assert steps.max() < 2
    assert position.max() > 14 - 2 * radius - 4
    assert position.min() < -(14 - 2 * radius - 4)


def test_even_tubes_do_not_vanish_as_they_do_in_scikit_image() -> None:
    beam = np.zeros((10, 10, 40), dtype=bool)
    beam[3:7, 3:7, 2:38] = True
    assert not skeletonize(beam).any()  # when this fails, the library is mended and thinning.py can go
    found = np.argwhere(skeleton(beam))
    assert set(found[:, 2]) >= set(range(5, 35))
    assert np.all((found[:, :2] >= 3) & (found[:, :2] < 7))


@given(mask=masks)
def test_thinning_keeps_pieces_tunnels_and_cavities(mask: Mask) -> None:
    thin = skeleton(mask)
    assert not (thin & ~mask).any()
    assert pieces(thin) == pieces(mask)
    assert euler_number(np.pad(thin, 1), 3) == euler_number(np.pad(mask, 1), 3)
    assert np.array_equal(skeleton(thin), thin)


def test_a_ring_stays_a_ring() -> None:
    i, j, k = np.indices((33, 33, 13)) - np.array([16, 16, 6])[:, None, None, None]
    ring = (np.hypot(i, j) - 10) ** 2 + k**2 <= 3.2**2
    thin = skeleton(ring)
    assert euler_number(thin, 3) == 0
    away = np.abs(np.hypot(*(np.argwhere(thin)[:, :2] - 16).T) - 10)
    assert away.max() < 1.5
    assert 50 <= thin.sum() <= 80  # the circle of radius 10 is 62.8 long


@given(mask=masks, across=st.integers(0, 2))
def test_slices_apart_are_thinned_each_in_its_plane(mask: Mask, across: int) -> None:
    apart = np.insert(mask, range(1, mask.shape[across]), False, axis=across)
    thin = skeleton(apart)
    for index in range(0, apart.shape[across], 2):
        alone = thin.take(index, axis=across)
        drawn = apart.take(index, axis=across)
        assert np.array_equal(alone, skeleton(drawn[None])[0])
        assert ndimage.label(alone, CORNERS[0])[1] == ndimage.label(drawn, CORNERS[0])[1]
        assert euler_number(np.pad(alone, 1), 2) == euler_number(np.pad(drawn, 1), 2)


@pytest.mark.parametrize("radius", [3, 5, 8, 12])
def test_a_ball_thins_to_its_middle(radius: int) -> None:
    """No branch grows towards the bumps of a digital ball."""
    ball = ((np.indices((27, 27, 27)) - 13) ** 2).sum(axis=0) <= radius**2
    found = np.argwhere(skeleton(ball))
    assert len(found) <= 2
    assert np.abs(found - 13).max() <= 1


def test_cldice_of_the_published_formula() -> None:
    """cl_score(v, s) = sum(v * s) / sum(s); 2 tprec tsens / (tprec + tsens): Shit et al., their listing."""
    long = tube(2.4, np.array([0.0, 0, 1]), np.full(3, 20.0), half_length=15)
    short = tube(2.4, np.array([0.0, 0, 1]), np.array([20.0, 20, 23]), half_length=9)
    precision = np.sum(long * skeleton(short)) / np.sum(skeleton(short))
    sensitivity = np.sum(short * skeleton(long)) / np.sum(skeleton(long))
    scores = centreline_scores(long, short)
    assert (scores.topology_precision, scores.topology_sensitivity) == (precision, sensitivity)
    assert cl_dice(long, short) == 2 * precision * sensitivity / (precision + sensitivity)
    assert precision == 1
    assert sensitivity == pytest.approx(19 / 29, abs=0.08)


def test_cldice_follows_the_course_not_the_calibre() -> None:
    """A break in a vessel costs what its length is; a wall one voxel out costs nothing."""
    along = np.array([0.0, 0, 1])
    vessel = tube(3, along, np.full(3, 20.0))
    assert cl_dice(vessel, tube(2, along, np.full(3, 20.0))) == 1
    broken = vessel.copy()
    broken[:, :, 15:25] = False
    assert centreline_scores(vessel, broken).topology_precision == 1
    assert centreline_scores(vessel, broken).topology_sensitivity == pytest.approx(1 - 10 / 26, abs=0.06)
    beside = tube(3, along, np.array([28.0, 20, 20]))
    assert cl_dice(vessel, beside) == 0


@given(pair=pairs)
def test_cldice_is_symmetric_finite_and_one_for_the_same(pair: tuple[Mask, Mask]) -> None:
    a, b = pair
    value = cl_dice(a, b)
    assert 0 <= value <= 1
    assert cl_dice(b, a) == value
    assert cl_dice(a, a) == 1
    if a.any() != b.any():
        assert value == 0


@pytest.mark.parametrize("shape", [(0, 0, 0), (1, 1, 1), (3, 4, 5), (1, 6, 6)])
def test_cldice_of_empty_full_and_single_voxels(shape: tuple[int, int, int]) -> None:
    nothing, everything = np.zeros(shape, dtype=bool), np.ones(shape, dtype=bool)
    assert cl_dice(nothing, nothing) == 1
    assert cl_dice(everything, everything) == 1
    if everything.size:
        one = nothing.copy()
        one[0, 0, 0] = True
        assert cl_dice(one, one) == 1
        assert cl_dice(one, nothing) == cl_dice(nothing, one) == 0
        assert cl_dice(nothing, everything) == 0


def test_drawn_slices_are_compared_in_their_plane() -> None:
    """Discs of a tube, set apart as drawn slices are: each has its own skeleton, and counts alike."""
    vessel = tube(3, np.array([0.0, 0, 1]), np.full(3, 20.0))
    stack = np.zeros((40, 40, 6), dtype=bool)
    stack[:, :, ::2] = vessel[:, :, [10, 20, 30]]
    shifted = stack.copy()
    shifted[:, :, 0] = np.roll(shifted[:, :, 0], 12, axis=0)
    line = centreline(stack)
    assert line[20, 20].tolist() == [True, False, True, False, True, False]
    assert len(set(line[:, :, ::2].sum(axis=(0, 1)))) == 1
    assert cl_dice(stack, shifted) == pytest.approx(2 / 3)
