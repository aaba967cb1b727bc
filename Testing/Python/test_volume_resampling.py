"""Turning keeps every voxel in its place; resampling agrees with the field that was sampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS, any_geometry
from hypothesis import given
from hypothesis import strategies as st

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.resampling import placed_on, reoriented, resampled, with_spacing
from pgt.volume import LabelMap, Segment, Volume

OBLIQUE = Geometry((14, 12, 10), (0.8, 1.1, 3.0), (-31, 12, 7), DIRECTIONS["oblique and mirrored"])


def places(geometry: Geometry) -> np.ndarray:
    """RAS position of every voxel, [i, j, k, coordinate]."""
    indices = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1)
    return indices @ geometry.ijk_to_ras[:3, :3].T + geometry.ijk_to_ras[:3, 3]


def field(geometry: Geometry) -> np.ndarray:
    """A function linear in RAS, which linear interpolation must reproduce."""
    return places(geometry) @ np.array([2.0, -3.0, 0.5]) + 100


@given(any_geometry(largest=5), st.sampled_from(["RAS", "LPS", "PIR", "SRA"]))
def test_a_turned_volume_shows_the_same_value_at_the_same_place(geometry: Geometry, wanted: str) -> None:
    turned = reoriented(Volume(field(geometry), geometry), wanted)
    assert turned.geometry.orientation == wanted
    np.testing.assert_allclose(turned.voxels, field(turned.geometry), atol=1e-6)
    back = reoriented(turned, geometry.orientation)
    np.testing.assert_array_equal(back.voxels, field(geometry))
    assert back.geometry.difference(geometry, tolerance=1e-6) is None


def test_a_turned_label_map_keeps_its_segments() -> None:
    segments = (Segment(3, "liver", (1, 0, 0)),)
    voxels = np.zeros(OBLIQUE.shape, np.uint8)
    voxels[2, 3, 4] = 3
    turned = reoriented(LabelMap(voxels, OBLIQUE, segments), "LPS")
    assert turned.segments == segments
    assert turned.voxels.sum() == 3
    np.testing.assert_allclose(
        places(turned.geometry)[turned.voxels == 3], places(OBLIQUE)[voxels == 3], atol=1e-9
    )


@pytest.mark.parametrize("orientation", ["RA", "RRA", "RAX", "RLS"])
def test_what_is_no_orientation_is_refused(orientation: str) -> None:
    with pytest.raises(InputError, match="is no orientation"):
        reoriented(Volume(field(OBLIQUE), OBLIQUE), orientation)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_images_are_interpolated_linearly_at_any_angle(name: str) -> None:
    source = Geometry((30, 30, 30), (2, 2, 2), (-30, -30, -30), DIRECTIONS["RAS"])
    wanted = Geometry((9, 8, 7), (0.7, 1.3, 2.1), (-5, -4, 3), DIRECTIONS[name])
    result = resampled(Volume(field(source), source), wanted)
    np.testing.assert_allclose(result.voxels, field(wanted), atol=1e-5)
    assert result.geometry == wanted


def test_integers_are_rounded_not_cut() -> None:
    source = Geometry((4, 1, 1))
    volume = Volume(np.array([-3, -2, 2, 3], np.int16).reshape(4, 1, 1), source)
    result = resampled(volume, Geometry((4, 1, 1), origin=(0.8, 0, 0)), outside=-1000)
    assert result.voxels.dtype == np.int16
    assert result.voxels.ravel().tolist() == [-2, 1, 3, -1000]  # of -2.2, 1.2, 2.8 and nothing


def test_labels_take_the_nearest_voxel_and_no_new_value() -> None:
    generator = np.random.default_rng(0)
    labels = LabelMap.from_voxels(generator.choice([0, 2, 900], OBLIQUE.shape).astype(np.uint16), OBLIQUE)
    fine = with_spacing(OBLIQUE, (0.4, 0.55, 1.0))
    result = resampled(labels, fine)
    assert result.voxels.dtype == np.uint16
    nearest = np.rint(places(fine) @ OBLIQUE.ras_to_ijk[:3, :3].T + OBLIQUE.ras_to_ijk[:3, 3] + 1e-9)
    i, j, k = np.moveaxis(nearest.astype(int), -1, 0)
    assert np.mean(result.voxels == labels.voxels[i, j, k]) > 0.999
    np.testing.assert_array_equal(resampled(result, OBLIQUE).voxels, labels.voxels)


def test_beyond_the_grid_is_background() -> None:
    far = replace(OBLIQUE, origin=(900, 900, 900))
    labels = LabelMap.from_voxels(np.ones(OBLIQUE.shape, np.uint8), OBLIQUE)
    assert not resampled(labels, far).voxels.any()
    image = Volume(field(OBLIQUE), OBLIQUE)
    assert np.all(resampled(image, far).voxels == image.voxels.min())


@given(any_geometry(), st.tuples(*[st.floats(0.3, 5)] * 3))
def test_another_spacing_covers_the_same_field_of_view(
    geometry: Geometry, spacing: tuple[float, float, float]
) -> None:
    again = with_spacing(geometry, spacing)
    assert again.spacing == spacing
    corner, again_corner = (grid.ijk_to_ras @ [-0.5, -0.5, -0.5, 1] for grid in (geometry, again))
    np.testing.assert_allclose(again_corner, corner, atol=1e-6)
    field_of_view = np.array(geometry.shape) * geometry.spacing
    assert np.all(np.abs(np.array(again.shape) * spacing - field_of_view) <= np.array(spacing))


class TestPlacing:
    """A label map cropped from a grid goes back to it voxel by voxel."""

    LABELS = LabelMap.from_voxels(np.pad(np.ones((4, 3, 2), np.uint8), 3), Geometry((10, 9, 8)))

    def grid(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Geometry:
        return replace(OBLIQUE, shape=self.LABELS.geometry.shape).cropped(start, shape)

    @given(st.tuples(*[st.integers(-3, 3)] * 3), st.tuples(*[st.integers(8, 14)] * 3))
    def test_there_and_back(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
        labels = replace(self.LABELS, geometry=self.grid((0, 0, 0), self.LABELS.geometry.shape))
        placed = placed_on(labels, self.grid(start, shape))
        there = np.argwhere(labels.voxels) - start
        fits = np.all(there >= 0) and np.all(there < shape)
        assert (placed is not None) == fits
        if placed is not None:
            np.testing.assert_array_equal(np.argwhere(placed.voxels), there)
            back = placed_on(placed, labels.geometry)
            assert back is not None
            np.testing.assert_array_equal(back.voxels, labels.voxels)

    def test_grids_between_each_others_voxels_are_told_apart(self) -> None:
        labels = self.LABELS
        assert placed_on(labels, replace(labels.geometry, origin=(0.5, 0, 0))) is None
        assert placed_on(labels, replace(labels.geometry, spacing=(1, 1, 1.1))) is None
        assert placed_on(labels, labels.geometry.flipped(0)) is None
        assert placed_on(labels, replace(labels.geometry, origin=(100, 0, 0))) is None
