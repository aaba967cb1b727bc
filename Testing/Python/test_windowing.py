"""Which windows a volume is seen through: CT by Hounsfield units however stored, anything else by itself."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from pgt.propagation.windowing import CT_WINDOWS, choose_windowing
from pgt.sample_volume import make_sample


@pytest.fixture(scope="module")
def ct() -> NDArray[np.int16]:
    return make_sample((48, 40, 30))[0].voxels


@pytest.fixture(scope="module")
def mr() -> NDArray[np.float32]:
    """A dark background, fat and water, and a shading."""
    random = np.random.default_rng(0)
    i, j, k = np.meshgrid(*[np.linspace(-1, 1, size) for size in (48, 40, 30)], indexing="ij")
    body = i**2 + j**2 < 0.8
    tissue = np.where(i + j + k > 0.2, 420.0, 230.0) * (1 + 0.2 * j)
    return np.abs(np.where(body, tissue, 0) + random.normal(0, 15, i.shape)).astype(np.float32)


def test_ct_is_seen_through_the_published_windows(ct: NDArray[np.int16]) -> None:
    found = choose_windowing(ct)
    assert (found.modality, found.windows) == ("ct", CT_WINDOWS)


def test_ct_stored_without_negative_numbers_is_recognised(ct: NDArray[np.int16]) -> None:
    stored = np.clip(ct + 1000, 0, None).astype(np.uint16)
    found = choose_windowing(stored)
    assert found.modality == "ct"
    assert found.windows == tuple((low + 1000, high + 1000) for low, high in CT_WINDOWS)
    slices = stored[None, 20].astype(np.float32), np.maximum(ct, -1000)[None, 20].astype(np.float32)
    np.testing.assert_allclose(found.channels(slices[0]), choose_windowing(ct).channels(slices[1]), atol=1e-5)


def test_mr_is_seen_between_its_own_percentiles(mr: NDArray[np.float32]) -> None:
    found = choose_windowing(mr)
    assert found.modality == "mr"
    channels = found.channels(np.moveaxis(mr, 2, 0))
    assert channels.shape == (30, 3, 48, 40)
    assert channels.min() == -1
    assert channels.max() == 1
    body = mr.transpose(2, 0, 1) > 150
    for channel in range(3):
        assert channels[:, channel][body].std() > 0.2


@pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (7.0, 0.0), (3.0, 5.0)])
def test_the_scale_of_an_mr_does_not_matter(mr: NDArray[np.float32], gain: float, offset: float) -> None:
    scaled = (mr * gain + offset).astype(np.float32)
    expected = choose_windowing(mr, "mr").channels(mr)
    np.testing.assert_allclose(choose_windowing(scaled, "mr").channels(scaled), expected, atol=0.02)


def test_eight_bits_are_no_ct(mr: NDArray[np.float32]) -> None:
    eight = np.clip(mr / 3, 0, 255).astype(np.uint8)
    found = choose_windowing(eight)
    assert found.modality == "mr"
    assert np.ptp(found.channels(eight.astype(np.float32))) == 2


def test_the_user_has_the_last_word(ct: NDArray[np.int16], mr: NDArray[np.float32]) -> None:
    assert choose_windowing(ct, "mr").modality == "mr"
    assert choose_windowing(mr, "ct").windows == CT_WINDOWS


@pytest.mark.parametrize("value", [-1000, 0, 1000, 65535])
def test_a_constant_image_has_finite_channels(value: int) -> None:
    flat = np.full((6, 7, 8), value, np.int32)
    channels = choose_windowing(flat).channels(flat.astype(np.float32))
    assert np.isfinite(channels).all()
    assert np.abs(channels).max() <= 1


@pytest.mark.parametrize("shape", [(48, 40, 30), (100, 90, 110)])
def test_the_order_of_axes_does_not_matter(shape: tuple[int, int, int]) -> None:
    voxels = np.random.default_rng(0).gamma(2, 100, shape)
    expected = choose_windowing(voxels)
    for axes in permutations(range(3)):
        assert choose_windowing(np.ascontiguousarray(voxels.transpose(axes))) == expected
