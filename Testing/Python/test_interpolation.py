"""Signed-distance interpolation against shapes whose form is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pgt.propagation.interpolation import (
    EMPTY_DISTANCE,
    ShapeInterpolator,
    interpolate_shape,
    signed_distance,
)

ROWS, COLUMNS = np.mgrid[:64, :80].astype(float)
EMPTY = np.zeros((64, 80), dtype=bool)


def disc(radius: float, row: float = 32, column: float = 40) -> NDArray[np.bool_]:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2


def brute_force_distance(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """To the nearest voxel of the other kind, less half a voxel, pair by pair."""
    centres = np.stack(np.indices(mask.shape), axis=-1) * np.asarray(spacing)
    result = np.empty(mask.shape)
    for voxel in np.ndindex(mask.shape):
        others = centres[mask != mask[voxel]]
        distance = np.linalg.norm(others - centres[voxel], axis=-1).min() - 0.5 * min(spacing)
        result[voxel] = distance if mask[voxel] else -distance
    return result


masks = arrays(bool, st.tuples(st.integers(2, 7), st.integers(2, 7))).filter(
    lambda mask: mask.any() and not mask.all()
)
steps = st.floats(0.3, 5.0)


class TestSignedDistance:
    @given(masks, st.tuples(steps, steps))
    def test_is_the_distance_to_the_edges_between_voxels(
        self, mask: NDArray[np.bool_], spacing: tuple[float, float]
    ) -> None:
        expected = brute_force_distance(mask, spacing)
        np.testing.assert_allclose(signed_distance(mask, spacing), expected, rtol=1e-5, atol=1e-5)

    @given(masks, st.tuples(steps, steps))
    def test_treats_inside_and_outside_alike(
        self, mask: NDArray[np.bool_], spacing: tuple[float, float]
    ) -> None:
        np.testing.assert_array_equal(signed_distance(mask, spacing), -signed_distance(~mask, spacing))

    def test_is_zero_half_way_between_the_voxels_of_a_straight_edge(self) -> None:
        distance = signed_distance(COLUMNS >= 30, (2.0, 2.0))
        np.testing.assert_array_equal(distance[5], 2.0 * np.arange(80) - 59.0)

    def test_of_a_disc_is_radius_less_distance_from_the_centre(self) -> None:
        truth = 20 - np.hypot(ROWS - 32, COLUMNS - 40)
        assert np.abs(signed_distance(disc(20), (1.0, 1.0)) - truth).max() < 1.0

    def test_of_nothing_is_far_outside(self) -> None:
        assert (signed_distance(EMPTY, (1.0, 1.0)) == EMPTY_DISTANCE).all()

    def test_of_a_full_slice_counts_from_the_border(self) -> None:
        distance = signed_distance(np.ones((5, 9), dtype=bool), (1.0, 1.0))
        assert distance[0].tolist() == [0.5] * 9
        assert distance.max() == 2.5


class TestBetweenAnnotatedSlices:
    def test_a_cylinder_is_exact(self) -> None:
        filled = interpolate_shape({0: disc(12), 10: disc(12), 17: disc(12)}, range(18), (1.0, 1.0), 2.5) > 0
        assert (filled == disc(12)).all()

    def test_a_cone_narrows_evenly(self) -> None:
        filled = interpolate_shape({0: disc(20), 16: disc(4)}, range(17), (1.0, 1.0), 1.0) > 0
        radii = np.sqrt(filled.sum(axis=(1, 2)) / np.pi)
        np.testing.assert_allclose(radii, 20 - np.arange(17), atol=0.6)

    def test_a_sphere_lies_between_its_inscribed_cones_and_itself(self) -> None:
        sphere = {index: disc(np.sqrt(20**2 - index**2)) for index in range(-19, 20)}
        annotated = (-19, -10, 0, 10, 19)
        filled = interpolate_shape(
            {index: sphere[index] for index in annotated}, list(sphere), (1.0, 1.0), 1.0
        )
        for place, index in enumerate(sphere):
            inside = filled[place] > 0
            assert not (inside & ~disc(np.sqrt(20**2 - index**2) + 0.8)).any()
            below = max(at for at in annotated if at <= index)
            above = min(at for at in annotated if at >= index)
            share = (index - below) / (above - below) if above > below else 0
            cone = (1 - share) * np.sqrt(20**2 - below**2) + share * np.sqrt(20**2 - above**2)
            assert not (disc(cone - 1) & ~inside).any()

    @pytest.mark.parametrize("half_gap", [1, 2, 4])
    def test_discs_that_overlap_meet_half_way(self, half_gap: int) -> None:
        masks = {0: disc(12, column=36), 2 * half_gap: disc(12, column=44)}
        middle = interpolate_shape(masks, [half_gap], (1.0, 1.0), 1.0)[0] > 0
        rows, columns = np.nonzero(middle)
        assert columns.mean() == pytest.approx(40)
        assert rows.mean() == pytest.approx(32)
        assert 0.6 * disc(12).sum() < middle.sum() <= disc(12).sum()

    def test_annotated_slices_come_back(self) -> None:
        masks = {3: disc(9, row=20), 8: disc(4, column=70), 9: EMPTY, 15: disc(15)}
        filled = interpolate_shape(masks, list(masks), (0.7, 1.3), 3.0) > 0
        for place, mask in enumerate(masks.values()):
            np.testing.assert_array_equal(filled[place], mask)

    def test_spacing_in_plane_decides_what_is_near(self) -> None:
        masks = {0: disc(14, column=34), 4: disc(10, row=28)}
        stretched = {at: np.repeat(mask, 3, axis=1) for at, mask in masks.items()}
        coarse = interpolate_shape(masks, [2], (3.0, 3.0), 1.0)[0] > 0
        fine = interpolate_shape(stretched, [2], (3.0, 1.0), 1.0)[0] > 0
        assert (np.repeat(coarse, 3, axis=1) != fine).mean() < 0.03

    @settings(max_examples=25)
    @given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
    def test_turned_slices_give_the_turned_result(self, seed: int, transposed: bool, reversed_: bool) -> None:
        random = np.random.default_rng(seed)
        masks = {int(at): disc(random.uniform(3, 15), *random.uniform(16, 48, 2)) for at in (0, 4, 9)}
        plain = interpolate_shape(masks, range(10), (0.8, 1.7), 2.0)

        def turn(array: NDArray[np.generic]) -> NDArray[np.generic]:
            array = array[..., ::-1, :]
            return np.swapaxes(array, -1, -2) if transposed else array

        spacing = (1.7, 0.8) if transposed else (0.8, 1.7)
        order = range(9, -1, -1) if reversed_ else range(10)
        turned_masks = {9 - at if reversed_ else at: turn(mask) for at, mask in masks.items()}
        turned = interpolate_shape(turned_masks, order, spacing, 2.0)
        np.testing.assert_allclose(turned, turn(plain), atol=1e-4)


class TestAreaProfile:
    """The interpolation whose area follows the annotated slices."""

    @staticmethod
    def filled(masks: dict[int, NDArray[np.bool_]], indices: range) -> NDArray[np.bool_]:
        return interpolate_shape(masks, indices, (1.0, 1.0), 1.0, "area") > 0

    def test_a_cylinder_is_exact(self) -> None:
        assert (self.filled({0: disc(12), 10: disc(12), 17: disc(12)}, range(18)) == disc(12)).all()

    def test_a_sphere_is_rounder_than_by_distance(self) -> None:
        sphere = np.stack([disc(np.sqrt(20**2 - index**2)) for index in range(-19, 20)])
        drawn = {at: sphere[at] for at in (0, 19, 38)}
        by_area = self.filled(drawn, range(39))
        by_distance = interpolate_shape(drawn, range(39), (1.0, 1.0), 1.0) > 0
        assert (by_area != sphere).sum() < 0.4 * (by_distance != sphere).sum()

    @pytest.mark.parametrize("apart", [6, 14, 30])
    def test_discs_apart_meet_half_way_and_keep_their_size(self, apart: int) -> None:
        middle = self.filled(
            {0: disc(6, column=40 - apart / 2), 8: disc(6, column=40 + apart / 2)}, range(4, 5)
        )
        rows, columns = np.nonzero(middle[0])
        assert middle.sum() == pytest.approx(disc(6).sum(), rel=0.1)
        assert columns.mean() == pytest.approx(40)
        assert rows.mean() == pytest.approx(32)

    def test_the_area_never_leaves_the_range_of_the_bounding_slices(self) -> None:
        areas = [disc(radius).sum() for radius in (4, 15, 14, 5)]
        masks = {0: disc(4), 9: disc(15), 14: disc(14), 25: disc(5)}
        sizes = self.filled(masks, range(26)).sum(axis=(1, 2))
        for (low, high), ends in zip(((0, 9), (9, 14), (14, 25)), pairwise(areas), strict=True):
            assert sizes[low : high + 1].min() >= 0.95 * min(ends) - 4
            assert sizes[low : high + 1].max() <= 1.05 * max(ends) + 4
            assert (np.diff(sizes[low : high + 1]) * np.sign(ends[1] - ends[0]) >= -4).all()

    def test_ends_and_annotated_slices_are_kept(self) -> None:
        masks = {4: disc(10, row=20), 10: disc(16), 18: EMPTY, 20: disc(3)}
        filled = self.filled(masks, range(-20, 40))
        for index, mask in masks.items():
            np.testing.assert_array_equal(filled[index + 20], mask)
        used = np.flatnonzero(filled.any(axis=(1, 2))) - 20
        assert used.tolist() == [*range(2, 14), 20]
        assert np.diff(filled[30:35].sum(axis=(1, 2))).max() < 0

    def test_a_full_slice_stays_full(self) -> None:
        full = np.ones((9, 11), dtype=bool)
        assert (interpolate_shape({0: full, 4: full}, [2], (1.0, 1.0), 1.0, "area") > 0).all()

    def test_mirrored_slices_give_the_mirrored_result(self) -> None:
        masks = {0: disc(5, row=30, column=31), 7: disc(11, row=20, column=50)}
        mirrored = {index: mask[::-1, ::-1] for index, mask in masks.items()}
        np.testing.assert_array_equal(
            self.filled(mirrored, range(8)), self.filled(masks, range(8))[:, ::-1, ::-1]
        )


class TestEnds:
    def test_towards_an_empty_slice_the_shape_shrinks_and_is_gone_half_way(self) -> None:
        filled = interpolate_shape({0: disc(16), 8: EMPTY}, range(9), (1.0, 1.0), 1.0) > 0
        sizes = filled.sum(axis=(1, 2))
        assert (np.diff(sizes[:5]) < 0).all()
        assert sizes[3] > 0
        assert not sizes[4:].any()

    def test_no_shape_grows_between_empty_slices(self) -> None:
        masks = {0: disc(16), 4: EMPTY, 9: EMPTY, 12: disc(16)}
        assert not (interpolate_shape(masks, range(4, 10), (1.0, 1.0), 1.0) > 0).any()

    def test_an_empty_slice_at_the_end_is_never_crossed(self) -> None:
        assert not (interpolate_shape({5: EMPTY, 6: disc(16)}, range(6), (1.0, 1.0), 1.0) > 0).any()
        assert not (interpolate_shape({5: disc(16), 6: EMPTY}, range(6, 20), (1.0, 1.0), 1.0) > 0).any()

    @pytest.mark.parametrize(("thickness", "reach"), [(1.0, 9), (2.0, 4), (5.0, 1)])
    def test_a_single_slice_is_gone_after_its_largest_radius(self, thickness: float, reach: int) -> None:
        filled = interpolate_shape({30: disc(10)}, range(61), (1.0, 1.0), thickness) > 0
        used = np.flatnonzero(filled.any(axis=(1, 2)))
        assert used[0] == 30 - reach
        assert used[-1] == 30 + reach
        np.testing.assert_array_equal(filled, filled[::-1])

    def test_beyond_the_last_slice_it_reaches_no_farther_than_half_a_gap(self) -> None:
        filled = interpolate_shape({0: disc(20), 8: disc(20)}, range(-10, 30), (1.0, 1.0), 1.0) > 0
        used = np.flatnonzero(filled.any(axis=(1, 2))) - 10
        assert used[0] == -3
        assert used[-1] == 11

    def test_nothing_at_all_stays_nothing(self) -> None:
        assert not (interpolate_shape({2: EMPTY, 5: EMPTY}, range(9), (1.0, 1.0), 1.0) > 0).any()


class TestShapeInterpolator:
    def test_asked_slice_by_slice_or_at_once_it_answers_the_same(self) -> None:
        interpolator = ShapeInterpolator({0: disc(8), 6: disc(14, row=20)}, (1.0, 1.5), 2.0)
        at_once = interpolator.distances([4, 1, 9])
        for place, index in enumerate([4, 1, 9]):
            np.testing.assert_array_equal(interpolator.distances([index])[0], at_once[place])

    def test_outside_of_the_masks_box_the_distance_goes_on_falling(self) -> None:
        distance = interpolate_shape({0: disc(5)}, [0], (1.0, 2.0), 1.0)[0]
        exact = signed_distance(disc(5), (1.0, 2.0))
        np.testing.assert_array_equal(distance > 0, exact > 0)
        assert (np.diff(distance[32, 60:]) == -2.0).all()
        assert (distance <= exact + 1e-4).all()
        assert (distance >= 2 * exact.min()).all()

    def test_says_what_it_cannot_work_with(self) -> None:
        with pytest.raises(ValueError, match="at least one annotated slice"):
            ShapeInterpolator({}, (1.0, 1.0), 1.0)
        with pytest.raises(ValueError, match="differ in shape"):
            ShapeInterpolator({0: EMPTY, 1: EMPTY[:5]}, (1.0, 1.0), 1.0)
