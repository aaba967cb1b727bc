"""Small volumes with a known truth, and raters who draw some of their slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.engine import PropagationResult
from pgt.volume import LabelMap, Volume

SHAPE = (44, 38, 30)
SPACING = (0.9, 1.1, 2.5)
CONTRAST = (20.0, 120.0, 190.0, 70.0)
"""Mean intensity of background and of labels 1 to 3."""


def made_labels(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    """A leaning ellipsoid (1), a tube along k through its side (2) and a ball that ends early (3)."""
    i, j, k = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    labels = np.zeros(shape, np.uint8)
    lean = i - 0.15 - 0.2 * k
    labels[(lean / 0.5) ** 2 + ((j + 0.1) / 0.6) ** 2 + (k / 0.9) ** 2 < 1] = 1
    labels[(i + 0.55 - 0.1 * k) ** 2 + (j - 0.3 * np.sin(2 * k)) ** 2 < 0.03] = 2
    labels[((i - 0.6) / 0.3) ** 2 + ((j - 0.6) / 0.3) ** 2 + ((k + 0.4) / 0.4) ** 2 < 1] = 3
    return labels


def made_case(spacing: tuple[float, float, float] = SPACING, seed: int = 0) -> tuple[Volume, LabelMap]:
    """The bodies, each with an intensity of its own, under noise; and their truth."""
    labels = made_labels()
    noise = np.random.default_rng(seed).normal(0, 12, labels.shape)
    voxels = (np.array(CONTRAST)[labels] + noise).astype(np.float32)
    geometry = Geometry(labels.shape, spacing)
    return Volume(voxels, geometry), LabelMap.from_voxels(labels, geometry)


def across(axis: int, index: int) -> tuple[Any, ...]:
    """The array index of one slice."""
    return (*[slice(None)] * axis, index)


def drawn(truth: LabelMap, slices: Mapping[int, Mapping[int, Sequence[int]]]) -> SparseAnnotation:
    """``slices`` of the truth as a rater drew them, by label and axis; elsewhere the label map is empty."""
    voxels = np.zeros_like(truth.voxels)
    for value, by_axis in slices.items():
        for axis, indices in by_axis.items():
            for index in indices:
                place = across(axis, index)
                voxels[place][truth.voxels[place] == value] = value
    annotated = {
        value: {axis: tuple(indices) for axis, indices in by_axis.items()}
        for value, by_axis in slices.items()
    }
    return SparseAnnotation(replace(truth, voxels=voxels), annotated)


def drawn_together(truth: LabelMap, axis: int, indices: Sequence[int]) -> SparseAnnotation:
    """Every label drawn on the same slices."""
    return drawn(truth, {value: {axis: indices} for value in truth.values})


def dice(found: NDArray[Any], truth: NDArray[Any], value: int) -> float:
    """Overlap of one label."""
    a, b = found == value, truth == value
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def assert_annotated_unchanged(result: PropagationResult, annotation: SparseAnnotation) -> None:
    """Every voxel that was drawn is there, and no label came to where it was drawn absent."""
    for value in annotation.slices:
        known = annotation.known(value)
        expected = annotation.label_map.mask(value)[known]
        np.testing.assert_array_equal(result.label_map.mask(value)[known], expected)


def assert_same(result: PropagationResult, expected: PropagationResult) -> None:
    """The same in everything that a user sees."""
    np.testing.assert_array_equal(result.label_map.voxels, expected.label_map.voxels)
    np.testing.assert_array_equal(result.uncertainty, expected.uncertainty)
    assert result.slices == expected.slices
    assert result.next_slice == expected.next_slice
    assert result.annotated == expected.annotated
