"""What the network sees is the same however a volume is stored, exact, and lands where it came from."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch
from geometries import DIRECTIONS
from hypothesis import given
from hypothesis import strategies as st

from pgt.geometry import Geometry
from pgt.resampling import reoriented
from pgt.styles.preparation import Preparation
from pgt.volume import LabelMap, Volume

PREPARATION = Preparation((2.0, 1.5, 4.0), (1, 3))


def a_case(geometry: Geometry) -> tuple[Volume, LabelMap]:
    draw = np.random.default_rng(7)
    labels = draw.integers(0, 4, geometry.shape).astype(np.uint8)
    return Volume(draw.normal(size=geometry.shape), geometry), LabelMap.from_voxels(labels, geometry)


def stored_otherwise(volume, order, flips):
    """The same places with axes in another order and counted from the other end."""
    geometry, voxels = volume.geometry.permuted(order), volume.voxels.transpose(order)
    for axis in flips:
        geometry, voxels = geometry.flipped(axis), np.flip(voxels, axis)
    if isinstance(volume, LabelMap):
        return LabelMap(np.ascontiguousarray(voxels), geometry, volume.segments)
    return Volume(np.ascontiguousarray(voxels), geometry)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_twins_look_the_same_to_the_network(direction):
    volume, labels = a_case(Geometry((9, 14, 6), (0.8, 1.9, 3.0), (40, -3, 9), DIRECTIONS[direction]))
    image, shares = PREPARATION.image(volume), PREPARATION.labels(labels)
    assert image.shape[1:] == shares.shape[1:] == PREPARATION.shape_of(volume.geometry)
    for order, flips in product(permutations(range(3)), [(), (0,), (1, 2), (0, 1, 2)]):
        twin, twin_labels = stored_otherwise(volume, order, flips), stored_otherwise(labels, order, flips)
        assert torch.equal(PREPARATION.image(twin), image)
        assert torch.equal(PREPARATION.labels(twin_labels), shares)
        back = PREPARATION.on_grid(shares, twin.geometry)
        expected = PREPARATION.on_grid(shares, volume.geometry).transpose(0, *(1 + axis for axis in order))
        assert np.array_equal(back, np.flip(expected, [1 + axis for axis in flips]))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_labels_put_back_are_on_the_voxels_they_were_on(direction):
    """At the volume's own spacing nothing is lost on the way."""
    geometry = Geometry((7, 11, 5), (0.8, 1.9, 3.0), (40, -3, 9), DIRECTIONS[direction])
    _, labels = a_case(geometry)
    order, _ = geometry.turn_to("RAS")
    exact = Preparation(tuple(geometry.spacing[axis] for axis in order), (1, 2, 3))
    put_back = exact.labelled(exact.on_grid(exact.labels(labels), geometry))
    assert np.array_equal(put_back, labels.voxels)


def test_a_large_label_put_back_from_coarser_voxels_keeps_its_place():
    geometry = Geometry((30, 24, 40), (1, 1.2, 0.7), (5, 6, 7), DIRECTIONS["oblique and mirrored"])
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[4:16, 12:22, 20:36] = 1
    coarse = Preparation((2.0, 2.0, 2.0), (1,))
    put_back = coarse.labelled(
        coarse.on_grid(coarse.labels(LabelMap.from_voxels(voxels, geometry)), geometry)
    )
    overlap = 2 * np.count_nonzero(put_back & voxels) / (put_back.sum() + voxels.sum())
    assert overlap > 0.93
    middles = [np.argwhere(array).mean(axis=0) for array in (put_back, voxels)]
    assert np.abs(middles[0] - middles[1]).max() < 0.25


@given(
    size=st.integers(1, 9),
    wanted=st.floats(0.5, 12),
)
def test_averages_are_exact(size, wanted):
    """Against sums over voxels split into many equal parts."""
    geometry = Geometry((size, 2, 3))
    values = np.random.default_rng(size).integers(0, 2, geometry.shape).astype(np.uint8)
    preparation = Preparation((wanted, 1.0, 1.0), (1,))
    shares = preparation.labels(LabelMap(values, geometry, ()))[1].numpy()
    count = preparation.shape_of(geometry)[0]
    if count <= size:
        fine = np.repeat(values.astype(float), count, axis=0)
        expected = fine.reshape(count, size, 2, 3).mean(axis=1)
        np.testing.assert_allclose(shares, expected, atol=1e-6)


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 5)] * 3),
    direction=st.sampled_from(sorted(DIRECTIONS)),
)
def test_shares_add_up_to_one_and_keep_the_amount(shape, spacing, direction):
    geometry = Geometry(shape, spacing, direction=DIRECTIONS[direction])
    draw = np.random.default_rng(sum(shape))
    labels = LabelMap(draw.integers(0, 4, shape).astype(np.uint8), geometry, ())
    shares = PREPARATION.labels(labels)
    assert shares.dtype == torch.float32
    assert float((shares.sum(dim=0) - 1).abs().max()) < 1e-5
    assert float(shares.min()) > -1e-6
    order, _ = geometry.turn_to("RAS")
    if all(new <= shape[axis] for new, axis in zip(shares.shape[1:], order, strict=True)):
        assert float(shares[2].mean()) == pytest.approx(np.mean(labels.voxels == 3), abs=1e-5)


def test_intensities_are_told_by_the_volume_itself():
    volume, _ = a_case(Geometry((20, 20, 20), PREPARATION.spacing))
    image = PREPARATION.image(volume)
    assert image.dtype == torch.float32
    assert float(image.mean()) == pytest.approx(0, abs=1e-5)
    assert float(image.std()) == pytest.approx(1, abs=1e-3)
    brighter = Volume(volume.voxels * 40 + 1000, volume.geometry)
    torch.testing.assert_close(PREPARATION.image(brighter), image, rtol=0, atol=1e-5)
    outlier = volume.voxels.copy()
    outlier[0, 0, 0] = 1e9
    assert float(PREPARATION.image(Volume(outlier, volume.geometry)).max()) < 4
    flat = PREPARATION.image(Volume(np.full((4, 4, 4), 7), Geometry((4, 4, 4))))
    assert float(flat.abs().max()) == 0


def test_other_orientation_and_scale():
    volume, _ = a_case(Geometry((6, 7, 8), (2, 3, 4)))
    official = Preparation((4.0, 3.0, 2.0), (1,), "SPL", "unit")
    image = official.image(volume)
    assert float(image.min()) == 0
    assert float(image.max()) == pytest.approx(1)
    turned = reoriented(volume, "SPL").voxels
    assert np.corrcoef(image[0].numpy().ravel(), turned.ravel())[0, 1] > 0.99
