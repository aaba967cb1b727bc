"""Training examples: a gap as the engine would see it, its truth, and what counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from propagation_cases import made_labels

from pgt.propagation.sampling import LONGEST_WINDOW, Example, LabelledVolume, draw_example, random_windows

SIZE = 32


@pytest.fixture(scope="module")
def volume() -> LabelledVolume:
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    labels = np.ascontiguousarray(made_labels().transpose(2, 0, 1))
    image = (labels * 50 + random.normal(0, 8, labels.shape)).astype(np.float32)
    return LabelledVolume(image, random_windows(random, image), labels, thickness=2.5)


@pytest.fixture(scope="module")
def examples(volume: LabelledVolume) -> list[Example]:
    def draw() -> Iterator[Example]:
        for seed in range(40):
            example = draw_example(volume, np.random.default_rng(seed), SIZE)
            if example is not None:
                yield example

    found = list(draw())
    assert len(found) > 25
    return found


def test_shapes_agree(examples: list[Example]) -> None:
    for example in examples:
        gap, segments, slices = example.gap, len(example.truth), example.truth.shape[1]
        memory = len(gap.memory_images)
        assert slices <= LONGEST_WINDOW
        assert example.counted.shape == (segments, slices)
        assert gap.images.shape == (slices, 3, SIZE, SIZE)
        assert gap.memory_masks.shape == gap.memory_others.shape == (segments, memory, SIZE, SIZE)
        assert gap.prior.shape == gap.known.shape == example.truth.shape == (segments, slices, SIZE, SIZE)
        assert gap.appearance.shape == (segments, slices, 2, SIZE, SIZE)
        assert gap.position.shape == (segments, slices, 8)


def test_everything_is_finite_and_within_bounds(examples: list[Example]) -> None:
    for example in examples:
        for name, tensor in vars(example.gap).items():
            assert torch.isfinite(tensor).all(), name
        assert example.gap.images.abs().max() <= 1
        assert example.gap.appearance.abs().max() <= 1
        assert set(example.truth.unique().tolist()) <= {0.0, 1.0}


def test_annotated_slices_do_not_count_and_are_known(examples: list[Example]) -> None:
    given = 0
    for example in examples:
        for place in torch.nonzero(example.counted[0] == 0).flatten().tolist():
            known = example.gap.known[:, place]
            assert known.abs().min() == 1
            given += 1
            # A rater's outline wavers by about a pixel, never more.
            assert ((known > 0) == (example.truth[:, place] > 0.5)).float().mean() > 0.8
    assert given > 10


def test_the_slices_that_count_are_not_given_away(examples: list[Example]) -> None:
    for example in examples:
        assert example.counted.sum() > 0
        asked = example.gap.known[example.counted > 0]
        assert (asked == 0).float().mean() > 0.7


def test_what_is_known_of_crossing_slices_is_true(examples: list[Example]) -> None:
    seen = 0
    for example in examples:
        chosen = example.counted > 0
        known, truth = example.gap.known[chosen], example.truth[chosen]
        seen += int((known != 0).sum())
        assert torch.equal(known[known != 0] > 0, truth[known != 0] > 0.5)
    assert seen > 0


def test_the_seed_decides_everything(volume: LabelledVolume) -> None:
    first, second = (draw_example(volume, np.random.default_rng(5), SIZE) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first.truth, second.truth)
    for name, tensor in vars(first.gap).items():
        assert torch.equal(tensor, vars(second.gap)[name]), name


def test_a_volume_without_structures_has_no_example(volume: LabelledVolume) -> None:
    empty = LabelledVolume(volume.intensities, volume.channels, np.zeros_like(volume.labels), 2.5)
    assert draw_example(empty, np.random.default_rng(0), SIZE) is None


def test_random_windows_lie_between_minus_one_and_one(volume: LabelledVolume) -> None:
    for seed in range(5):
        channels = random_windows(np.random.default_rng(seed), volume.intensities)
        assert channels.shape == (30, 3, 44, 38)
        assert np.abs(channels).max() <= 1
        assert all(channels[:, channel].std() > 0.05 for channel in range(3))
