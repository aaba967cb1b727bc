"""Surfaces and their distances, against DeepMind's surface-distance, brute force and plain geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from mask_cases import SPACINGS, blob, two_masks
from scipy.spatial.distance import cdist
from surface_distance import lookup_tables

from Benchmarks.agreement_peers import deepmind, deepmind_values
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices
from pgt.agreement.surface import Surface, SurfaceDistances, surface_values
from pgt.agreement.surfel_areas import contour_lengths, neighbourhood_code, surfel_areas

SPACING = (0.9, 1.3, 2.5)


def _between(a: np.ndarray, b: np.ndarray, spacing=SPACING) -> SurfaceDistances:
    return SurfaceDistances.between(*(Surface.of(CroppedMask.of(mask), spacing) for mask in (a, b)))


def _ball(shape, centre, radius_mm, spacing) -> np.ndarray:
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    squares = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, spacing, strict=True))
    return np.asarray(squares < radius_mm**2)


@given(SPACINGS)
def test_areas_of_all_256_neighbourhoods_are_deepminds(spacing):
    areas = surfel_areas(spacing)
    theirs = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    kernel = lookup_tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL
    for code in range(256):
        corners = [tuple(corner) for corner in np.argwhere(kernel & code)]
        assert areas[neighbourhood_code(corners)] == pytest.approx(theirs[code], rel=1e-12, abs=1e-12), (
            corners
        )


@given(SPACINGS)
def test_lengths_of_all_16_contours_are_deepminds(spacing):
    lengths = contour_lengths(spacing[:2])
    theirs = lookup_tables.create_table_neighbour_code_to_contour_length(spacing[:2])
    for code in range(16):
        inside = np.argwhere(lookup_tables.ENCODE_NEIGHBOURHOOD_2D_KERNEL & code)
        ours = lengths[sum(1 << (u + 2 * v) for u, v in inside)]
        assert ours == pytest.approx(theirs[code], rel=1e-12), inside


@given(two_masks(), SPACINGS)
def test_every_metric_is_deepminds_wherever_the_masks_lie(masks, spacing):
    a, b = masks
    assume(a.any() and b.any())
    found = _between(a, b, spacing)
    theirs = deepmind_values(a, b, spacing, 1.2345678)
    assert found.surface_dice(1.2345678) == pytest.approx(theirs["nsd"], abs=1e-9)
    assert found.hausdorff_mm == pytest.approx(theirs["hd_mm"], abs=1e-9)
    assert found.average_mm == pytest.approx(theirs["assd_mm"], abs=1e-9)
    # 38 of 40 equal surfels are 95 %, up to rounding, which decides for them; no such tie at this percentage.
    distances = deepmind().compute_surface_distances(a, b, spacing)
    theirs_at = deepmind().compute_robust_hausdorff(distances, 94.98765)
    assert found.percentile_mm(94.98765) == pytest.approx(theirs_at, abs=1e-9)


def test_a_percentile_that_is_reached_exactly_is_reached():
    found = SurfaceDistances(np.arange(40.0), np.zeros(1), np.full(40, 0.1), np.ones(1))
    assert found.percentile_mm(95) == 37.0


def test_distances_are_those_of_brute_force():
    a, b = blob((14, 15, 12), 1, share=0.3), np.roll(blob((14, 15, 12), 1, share=0.2), 2, axis=0)
    first, second = (Surface.of(CroppedMask.of(mask), SPACING) for mask in (a, b))
    apart = cdist(first.points * np.array(SPACING), second.points * np.array(SPACING))
    assert first.distances_to(second) == pytest.approx(apart.min(axis=1), abs=1e-9)
    assert second.distances_to(first) == pytest.approx(apart.min(axis=0), abs=1e-9)


def test_a_box_that_moves_is_as_far_away_as_it_moved():
    a, b = np.zeros((2, 30, 20, 20), bool)
    a[5:15, 5:15, 5:15] = True
    b[8:18, 5:15, 5:15] = True
    found = _between(a, b, (2.0, 1.0, 1.0))
    assert found.hausdorff_mm == 6.0
    assert found.percentile_mm(95) == 6.0
    assert found.surface_dice(6.0) == 1.0
    assert 0 < found.average_mm < 6.0


def test_balls_within_each_other_lie_apart_by_the_difference_of_their_radii():
    spacing, shape, centre = (0.5, 0.5, 0.7), (90, 90, 66), (44.3, 45.1, 32.6)
    found = _between(*(_ball(shape, centre, radius, spacing) for radius in (20, 15)), spacing)
    # A little less: a surfel's nearest partner is one that sticks out.
    assert 5 - 0.5 < found.average_mm < 5.0
    assert found.hausdorff_mm == pytest.approx(5.0, abs=0.7)
    assert found.surface_dice(4.0) == 0.0
    assert found.surface_dice(5.7) == 1.0


def test_a_plate_has_the_area_of_its_sides():
    plate = np.zeros((40, 50, 5), bool)
    plate[:, :, 2] = True
    spacing = (1.0, 2.0, 0.001)
    assert Surface.of(CroppedMask.of(plate), spacing).size == pytest.approx(2 * 40 * 100, rel=0.03)


def test_the_tolerance_forgives_the_rounding_of_a_turned_spacing_but_nothing_more():
    a, b = np.zeros((2, 9, 9, 9), bool)
    a[3:6, 3:6, 3:5] = True
    b[3:6, 3:6, 3:6] = True
    for slip in (0.0, 1e-7, -1e-7):
        assert _between(a, b, (1.0, 1.0, 2.0 + slip)).surface_dice(2.0) == 1.0
    assert _between(a, b, (1.0, 1.0, 2.0001)).surface_dice(2.0) < 1.0


def test_contours_on_drawn_slices_are_deepminds_slice_by_slice():
    a, b = blob((24, 20, 12), 5), blob((24, 20, 12), 6)
    for axis in range(3):
        drawn = DrawnSlices(axis, (1, 4, 5, 9))
        u, v = (other for other in range(3) if other != axis)
        spacing = SPACING[u], SPACING[v]
        pooled = [
            deepmind().compute_surface_distances(
                np.ascontiguousarray(np.take(a, k, axis)), np.ascontiguousarray(np.take(b, k, axis)), spacing
            )
            for k in drawn.indices
        ]
        names = ("distances_gt_to_pred", "distances_pred_to_gt", "surfel_areas_gt", "surfel_areas_pred")
        theirs = SurfaceDistances(*(np.concatenate([one[name] for one in pooled]) for name in names))
        first, second = (Surface.on_slices(CroppedMask.of(mask), SPACING, drawn) for mask in (a, b))
        found = SurfaceDistances.between(first, second)
        assert found.values(1.7) == pytest.approx(theirs.values(1.7), abs=1e-9)


def test_a_contour_without_partner_in_its_slice_looks_in_the_other_slices():
    a, b = np.zeros((2, 20, 20, 20), bool)
    a[5:10, 5:10, 4:9] = True
    b[5:10, 5:10, 4:13] = True
    a[12:15, 5:10, 12] = False
    drawn = DrawnSlices(2, (4, 8, 12))
    first, second = (Surface.on_slices(CroppedMask.of(mask), SPACING, drawn) for mask in (a, b))
    found = SurfaceDistances.between(first, second)
    assert found.hausdorff_mm == pytest.approx(4 * SPACING[2])
    assert found.a_to_b.max() == 0.0
    assert set(np.round(found.b_to_a, 9)) == {0.0, 4 * SPACING[2]}


def test_a_contour_looks_in_its_own_slice_first():
    a, b = np.zeros((2, 40, 20, 4), bool)
    a[2:6, 5:10, 0] = True
    b[20:24, 5:10, 0] = True
    b[2:6, 5:10, 1] = True
    a[2:6, 5:10, 1] = True
    drawn = DrawnSlices(2, (0, 1))
    first, second = (Surface.on_slices(CroppedMask.of(mask), SPACING, drawn) for mask in (a, b))
    assert first.distances_to(second).max() == pytest.approx(18 * SPACING[0])


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0, 0, (1, 0, 0, 0)), (1, 0, (0, 99, 99, 99)), (0, 1, (0, 99, 99, 99))]
)
def test_what_is_said_of_empty_masks(first, second, expected):
    masks = [CroppedMask.of(np.full((3, 4, 5), bool(filled))) for filled in (first, second)]
    surfaces = [Surface.of(mask, SPACING) for mask in masks]
    assert tuple(surface_values(*surfaces, tolerance_mm=1, diagonal_mm=99).values()) == expected
