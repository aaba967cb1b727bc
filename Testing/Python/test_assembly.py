"""Soft aggregation against its published formula, written out in full."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from pgt.propagation.assembly import SMALLEST_PROBABILITY, SoftAggregation

VALUES = (3, 7, 12)
WHOLE = (slice(0, 12), slice(0, 10))


def published(logits: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Place 0 is background: p = prod(1 - p_o); odds p / (1 - p) normalised to 1 (STCN, soft aggregation)."""
    p = 1 / (1 + np.exp(-logits))
    p = np.concatenate([np.prod(1 - p, axis=0, keepdims=True), p])
    p = np.clip(p, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    odds = p / (1 - p)
    shares = odds / odds.sum(axis=0)
    return shares.argmax(axis=0), 1 - shares.max(axis=0)


@pytest.mark.parametrize("spread", [0.3, 2.0, 6.0, 30.0])
def test_it_is_the_published_formula(spread: float) -> None:
    logits = np.random.default_rng(0).normal(0, spread, (3, 12, 10)).astype(np.float32)
    aggregation = SoftAggregation((2, 12, 10), np.uint8)
    for value, plane in zip(VALUES, logits, strict=True):
        aggregation.add(value, 1, WHOLE, plane)
    labels, doubt = aggregation.result(1)
    winner, expected = published(logits.astype(np.float64))
    np.testing.assert_allclose(doubt, expected, atol=1e-5)
    clear = expected < 0.5 - 1e-6
    np.testing.assert_array_equal(labels[clear], np.array((0, *VALUES))[winner][clear])


def test_the_order_of_labels_does_not_matter() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (3, 12, 10)).astype(np.float32)
    found = []
    for order in permutations(range(3)):
        aggregation = SoftAggregation((1, 12, 10), np.uint8)
        for number in order:
            aggregation.add(VALUES[number], 0, WHOLE, logits[number])
        found.append(aggregation.result(0))
    for labels, doubt in found:
        np.testing.assert_array_equal(labels, found[0][0])
        np.testing.assert_allclose(doubt, found[0][1], atol=1e-6)


def test_a_label_counts_only_in_its_box() -> None:
    aggregation = SoftAggregation((1, 12, 10), np.uint8)
    aggregation.add(3, 0, (slice(2, 5), slice(4, 8)), np.full((3, 4), 9.0, np.float32))
    labels, doubt = aggregation.result(0)
    expected = np.zeros((12, 10), np.uint8)
    expected[2:5, 4:8] = 3
    np.testing.assert_array_equal(labels, expected)
    assert doubt[expected == 0].max() < 1e-6


def test_one_label_wins_where_it_is_more_likely_than_not() -> None:
    aggregation = SoftAggregation((1, 1, 5), np.uint8)
    logits = np.array([[-50, -0.1, 0.1, 2.0, 50]], np.float32)
    aggregation.add(9, 0, (slice(0, 1), slice(0, 5)), logits)
    labels, doubt = aggregation.result(0)
    np.testing.assert_array_equal(labels, [[0, 0, 9, 9, 9]])
    assert (doubt[0, 1:3] > 0.4).all()
    assert doubt[0, [0, 4]].max() < 1e-6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_labels_have_the_type_asked_for(dtype: type) -> None:
    largest = int(np.iinfo(dtype).max)
    aggregation = SoftAggregation((1, 1, 1), dtype)
    aggregation.add(largest, 0, (slice(0, 1), slice(0, 1)), np.ones((1, 1), np.float32))
    labels, _ = aggregation.result(0)
    assert labels.dtype == dtype
    assert labels[0, 0] == largest
