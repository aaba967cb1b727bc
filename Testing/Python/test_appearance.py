"""Evidence from intensities: it tells what can be told, whatever scale the intensities are on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pgt.propagation.appearance import AppearanceModel, evidence, separation, surroundings

ROWS, COLUMNS = np.mgrid[:48, :48] - 23.5
DISC = np.hypot(ROWS, COLUMNS) < 10
INSIDE = np.stack([DISC, np.roll(DISC, 3, axis=1)])


def images(contrast: float, seed: int = 0, inside: NDArray[np.bool_] = INSIDE) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 10, inside.shape)
    return (100 + contrast * inside + noise).astype(np.float32)


def test_the_surroundings_are_a_ring() -> None:
    ring = surroundings(INSIDE)
    assert not (ring & INSIDE).any()
    distance = np.hypot(ROWS, COLUMNS)
    assert ring[0][(distance > 10) & (distance < 16)].all()
    assert not ring[0][distance > 17.5].any()


@pytest.mark.parametrize("contrast", [40.0, -40.0])
def test_a_bright_or_dark_structure_is_recognised_on_slices_never_seen(contrast: float) -> None:
    model = AppearanceModel(images(contrast))
    moved = np.roll(INSIDE, 6, axis=2)
    found = evidence(
        model.bins(images(contrast, seed=1, inside=moved)), model.ratios(INSIDE, surroundings(INSIDE))
    )
    assert found.shape == (2, 2, 48, 48)
    assert np.abs(found).max() <= 1
    smoothed = found[:, 1]
    assert ((smoothed > 0) == moved).mean() > 0.95


def test_without_contrast_there_is_hardly_any_evidence() -> None:
    model = AppearanceModel(images(0))
    ratios = model.ratios(INSIDE, surroundings(INSIDE))
    assert np.abs(evidence(model.bins(images(0, seed=1)), ratios)).mean() < 0.2


@pytest.mark.parametrize(
    "mapping",
    [lambda x: 3 * x - 1000, lambda x: 0.01 * x, lambda x: 5e4 + 40 * x],
    ids=["window", "scale", "large"],
)
def test_linear_maps_of_intensity_change_nothing(mapping: object) -> None:
    found = []
    for change in (lambda x: x, mapping):
        memory, query = (change(images(30, seed).astype(np.float64)).astype(np.float32) for seed in (0, 1))
        model = AppearanceModel(memory)
        found.append(evidence(model.bins(query), model.ratios(INSIDE, surroundings(INSIDE))))
    np.testing.assert_allclose(found[0], found[1], atol=0.02)


def test_any_increasing_map_leaves_the_unsmoothed_evidence() -> None:
    found = []
    for change in (lambda x: x, lambda x: np.exp(x / 40)):
        memory, query = (np.round(change(images(30, seed).astype(np.float64)), 6) for seed in (0, 1))
        model = AppearanceModel(memory.astype(np.float32))
        ratios = model.ratios(INSIDE, surroundings(INSIDE))
        found.append(evidence(model.bins(query.astype(np.float32)), ratios)[:, 0])
    # The edges of bins lie between voxels' own intensities, so a few voxels may fall on their other side.
    assert np.mean(np.abs(found[0] - found[1]) > 0.02) < 0.02


def test_separation_grows_with_contrast() -> None:
    ring = surroundings(INSIDE)
    found = []
    for contrast in (0, 8, 20, 60):
        model = AppearanceModel(images(contrast))
        found.append(separation(model.of_memory(model.ratios(INSIDE, ring)), INSIDE, ring))
    assert found[0] < found[1] < found[2]
    assert found[0] < 0.3
    assert min(found[2:]) > 1.2


def test_an_empty_or_full_slice_separates_nothing_and_breaks_nothing() -> None:
    for inside in (np.zeros_like(INSIDE), np.ones_like(INSIDE)):
        ring = surroundings(inside)
        model = AppearanceModel(images(30))
        ratios = model.ratios(inside, ring)
        assert all(np.isfinite(ratio).all() for ratio in ratios)
        assert separation(model.of_memory(ratios), inside, ring) == 0


def test_a_constant_image_says_nothing() -> None:
    flat = np.full(INSIDE.shape, 5, np.float32)
    model = AppearanceModel(flat)
    found = evidence(model.bins(flat), model.ratios(INSIDE, surroundings(INSIDE)))
    assert np.abs(found).max() < 0.05
