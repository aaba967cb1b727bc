"""The made volume: repeatable, quick, and like an abdomen in what matters to the tests that use it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage

from pgt.sample_volume import NOISE_HU, SEGMENTS, make_sample
from pgt.volume import LabelMap, Volume

SHAPE = (80, 64, 40)


@pytest.fixture(scope="module")
def sample() -> tuple[Volume, LabelMap]:
    return make_sample(SHAPE, seed=3)


def test_the_same_seed_makes_the_same_patient(sample: tuple[Volume, LabelMap]) -> None:
    again = make_sample(SHAPE, seed=3)
    np.testing.assert_array_equal(sample[0].voxels, again[0].voxels)
    np.testing.assert_array_equal(sample[1].voxels, again[1].voxels)
    assert np.any(make_sample(SHAPE, seed=4)[1].voxels != sample[1].voxels)


def test_full_size_is_made_within_seconds() -> None:
    start = time.process_time()
    volume, label_map = make_sample()
    assert time.process_time() - start < 8
    assert volume.voxels.dtype == np.int16
    assert label_map.values == tuple(range(1, 9))
    assert volume.geometry.difference(label_map.geometry) is None


@pytest.mark.parametrize("seed", range(4))
def test_every_organ_is_there_in_one_piece_and_of_a_likely_size(seed: int) -> None:
    _, label_map = make_sample((120, 96, 60), seed)
    millilitres = {
        segment.name: label_map.mask(segment.value).sum() * label_map.geometry.voxel_volume / 1000
        for segment in SEGMENTS
    }
    likely = {
        "Liver": (900, 2300),
        "Spleen": (60, 400),
        "Right kidney": (80, 260),
        "Left kidney": (80, 260),
        "Vertebral column": (300, 650),
        "Aorta": (50, 160),
        "Portal vein": (10, 60),
        "Gallbladder": (8, 60),
    }
    assert all(low < millilitres[name] < high for name, (low, high) in likely.items()), millilitres
    for segment in SEGMENTS:
        pieces, count = ndimage.label(label_map.mask(segment.value), np.ones((3, 3, 3)))
        largest = np.bincount(pieces.ravel())[1:].max()
        assert largest > 0.8 * np.count_nonzero(pieces), (segment.name, count)


def test_the_grid_is_oblique_and_anisotropic_but_nearly_lps(sample: tuple[Volume, LabelMap]) -> None:
    geometry = sample[0].geometry
    assert geometry.orientation == "LPS"
    assert len(set(geometry.spacing)) > 1
    assert np.abs(geometry.ijk_to_ras[:3, :3]).min() > 0
    straight = make_sample(SHAPE, seed=3, oblique=False)[0].geometry
    assert straight.direction == ((-1, 0, 0), (0, -1, 0), (0, 0, 1))


def test_oblique_and_straight_grids_show_the_same_patient(sample: tuple[Volume, LabelMap]) -> None:
    straight = make_sample(SHAPE, seed=3, oblique=False)[1]
    for value in (1, 3, 5):
        centres = [
            (m.geometry.ijk_to_ras @ [*np.argwhere(m.mask(value)).mean(axis=0), 1])[:3]
            for m in (sample[1], straight)
        ]
        assert np.linalg.norm(centres[0] - centres[1]) < 12


def test_intensities_are_those_of_ct(sample: tuple[Volume, LabelMap]) -> None:
    volume, label_map = sample
    values = volume.voxels.astype(float)
    core = {value: ndimage.binary_erosion(label_map.mask(value)) for value in (1, 3, 6)}
    assert 90 < values[core[1]].mean() < 125
    assert values[core[3]].mean() > values[core[1]].mean() + 20
    assert 0.6 * NOISE_HU < values[core[1]].std() < 3 * NOISE_HU
    assert np.median(values[:, :3, 0]) == pytest.approx(-1000, abs=15)


def test_edges_have_partial_volume(sample: tuple[Volume, LabelMap]) -> None:
    volume, label_map = sample
    kidney = label_map.mask(3)
    rim = kidney & ~ndimage.binary_erosion(kidney)
    assert volume.voxels[rim].mean() < volume.voxels[ndimage.binary_erosion(kidney)].mean() - 15
