"""Slices as the networks see them: the same for every file of the same volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS, as_matrix, rotation
from reference_cases import made_case

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.reference.slices import (
    PLANES,
    anatomical_turn,
    plane_of_thickest_slices,
    relative_positions,
    windowed_slices,
)
from pgt.volume import Volume

SHAPE = (9, 12, 7)


def ramp(geometry: Geometry) -> Volume:
    """Intensities that tell every voxel from every other."""
    return Volume(np.arange(np.prod(geometry.shape), dtype=np.float32).reshape(geometry.shape), geometry)


def twins(volume: Volume) -> list[Volume]:
    """The same voxels in the same places, stored with other axes first and flipped."""
    found = []
    for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2)):
        voxels, geometry = volume.voxels.transpose(order), volume.geometry.permuted(order)
        for flips in ((), (0,), (1, 2), (0, 1, 2)):
            turned, place = voxels, geometry
            for axis in flips:
                turned, place = np.flip(turned, axis), place.flipped(axis)
            found.append(Volume(turned, place))
    return found


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("direction", ["RAS", "oblique", "LPS"])
def test_twins_give_the_same_slices(plane, direction):
    volume = ramp(Geometry(SHAPE, (1.0, 1.5, 3.0), (5, 6, 7), DIRECTIONS[direction]))
    first = windowed_slices(volume, plane)
    for twin in twins(volume):
        cut = windowed_slices(twin, plane)
        assert np.array_equal(cut.images, first.images)
        assert np.array_equal(cut.positions, first.positions)
        assert np.array_equal(cut.turn.undo(cut.turn.apply(twin.voxels)), twin.voxels)


def test_oblique_volumes_count_by_their_nearest_axes():
    straight = ramp(Geometry(SHAPE))
    tilted = Volume(straight.voxels, replace(straight.geometry, direction=as_matrix(rotation(20, -15, 25))))
    one, other = windowed_slices(straight, "axial"), windowed_slices(tilted, "axial")
    assert np.array_equal(one.images, other.images)


@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_slices_run_towards_the_patients_right_front_and_head(plane, axis):
    """On a volume stored the other way round (LPI): position 0 is left, back or below."""
    geometry = Geometry(SHAPE, direction=as_matrix(np.diag([-1.0, -1.0, -1.0])))
    places = np.indices(SHAPE)[axis]
    turn = anatomical_turn(geometry, plane)
    towards = turn.apply(places)
    assert towards.shape[0] == SHAPE[axis]
    assert (towards == np.arange(SHAPE[axis])[::-1, None, None]).all()


def test_positions_lie_within_the_axis():
    assert relative_positions(4).tolist() == [0.125, 0.375, 0.625, 0.875]
    assert relative_positions(1).tolist() == [0.5]
    volume, _ = made_case(0)
    assert len(windowed_slices(volume, "coronal").positions) == volume.voxels.shape[1]


def test_scanned_plane():
    assert plane_of_thickest_slices(Geometry(SHAPE, (0.8, 0.8, 5))) == "axial"
    assert plane_of_thickest_slices(Geometry(SHAPE, (1, 1, 1))) == "axial"
    thick_first = Geometry(SHAPE, (4, 1, 1), direction=DIRECTIONS["permuted"])
    letter = thick_first.orientation[0]
    assert plane_of_thickest_slices(thick_first) == {"R": "sagittal", "A": "coronal", "S": "axial"}[letter]


def test_ct_windows_are_the_papers():
    """Fat at -100 HU is in the abdomen's window from -160 to 240, water at 0 in all three."""
    voxels = np.full((6, 6, 6), -1000.0, np.float32)
    voxels[1:5, 1:5, 1:5] = 0
    voxels[2, 2, 2] = -100
    images = windowed_slices(Volume(voxels, Geometry(voxels.shape)), "axial", "ct").images
    water = images[3, :, 3, 3]
    assert water == pytest.approx([2 * 160 / 400 - 1, 2 * 1350 / 1500 - 1, 2 * 500 / 1800 - 1], abs=1e-6)
    assert images[2, 0, 2, 2] == pytest.approx(2 * 60 / 400 - 1, abs=1e-6)
    assert images[0, :, 0, 0].tolist() == pytest.approx([-1, 2 * 350 / 1500 - 1, -1])


def test_intensities_that_are_no_numbers_are_refused():
    voxels = np.zeros((4, 4, 4), np.float32)
    voxels[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        windowed_slices(Volume(voxels, Geometry(voxels.shape)), "axial")
