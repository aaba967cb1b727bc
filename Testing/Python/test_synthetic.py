"""Volumes made for training: reproducible, finite, of many kinds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgt.propagation.synthetic import SyntheticVolume, make_volume, smooth_field

SHAPE = (16, 56, 48)


@pytest.fixture(scope="module")
def volumes() -> list[SyntheticVolume]:
    torch.set_num_threads(1)
    return [make_volume(np.random.default_rng(seed), SHAPE) for seed in range(8)]


def test_the_seed_decides_everything(volumes: list[SyntheticVolume]) -> None:
    again = make_volume(np.random.default_rng(3), SHAPE)
    np.testing.assert_array_equal(again.image, volumes[3].image)
    np.testing.assert_array_equal(again.labels, volumes[3].labels)
    assert again.thickness == volumes[3].thickness
    assert not np.array_equal(volumes[2].image, volumes[3].image)


def test_images_are_finite_and_show_something(volumes: list[SyntheticVolume]) -> None:
    for volume in volumes:
        assert volume.image.shape == volume.labels.shape == SHAPE
        assert (volume.image.dtype, volume.labels.dtype) == (np.float32, np.uint8)
        assert np.isfinite(volume.image).all()
        assert volume.image.std() > 0.01
        assert 0.1 < volume.thickness < 20


def test_several_structures_stand_in_background(volumes: list[SyntheticVolume]) -> None:
    counts = [len(np.unique(volume.labels)) - 1 for volume in volumes]
    assert min(counts) >= 2
    assert np.mean(counts) >= 4
    assert np.mean([np.mean(volume.labels == 0) for volume in volumes]) > 0.2


def test_structures_begin_and_end_within_some_volumes(volumes: list[SyntheticVolume]) -> None:
    ended = 0
    for volume in volumes:
        for value in np.unique(volume.labels)[1:]:
            used = np.flatnonzero((volume.labels == value).any(axis=(1, 2)))
            ended += used[0] > 0 or used[-1] < SHAPE[0] - 1
    assert ended > 5


def test_the_number_of_structures_can_be_bounded() -> None:
    for seed in range(3):
        labels = make_volume(np.random.default_rng(seed), (8, 32, 32), bodies=(2, 2)).labels
        assert set(np.unique(labels)) <= {0, 1, 2}


@pytest.mark.parametrize("shape", [(16, 40, 48), (30, 36)])
def test_smooth_fields_are_standardised_and_smooth(shape: tuple[int, ...]) -> None:
    scales = (6.0,) * len(shape)
    field = smooth_field(np.random.default_rng(0), shape, scales)
    assert field.shape == shape
    assert abs(field.mean()) < 1e-4
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(field, axis=0)).mean() < 0.35
