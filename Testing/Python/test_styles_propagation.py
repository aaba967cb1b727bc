"""Propagation that listens to a style, as far as left-out slices bear it out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from style_cases import LOOSE, TIGHT, made_case
from trained_style_model import trained_style_model

from pgt.annotation import SparseAnnotation
from pgt.errors import Cancelled, InputError
from pgt.progress import Progress
from pgt.propagation.engine import PropagationSettings, propagate
from pgt.styles.propagation_prior import MOST_BETWEEN, left_out_slices, propagate_with_style
from pgt.volume import LabelMap, Segment

SHAPE_ONLY = PropagationSettings(axis=2, method="shape", device="cpu")


def wrong(found: LabelMap, truth: LabelMap) -> int:
    return int(np.count_nonzero(found.voxels != truth.voxels))


@pytest.mark.parametrize(("style", "size"), [("tight", TIGHT), ("loose", LOOSE)])
def test_a_fitting_style_helps_and_drawn_slices_stay(style: str, size: float) -> None:
    model = trained_style_model()
    better = 0
    for number in (500, 501, 502):
        volume, truth = made_case(number, size)
        drawn = [4, 6, 8] if style == "loose" else [4, 5, 7]
        annotation = SparseAnnotation.from_label_map(truth, 2, drawn)
        alone = propagate(volume, annotation, SHAPE_ONLY)
        joined = propagate_with_style(volume, annotation, model, model.styles[style], SHAPE_ONLY)
        better += wrong(alone.label_map, truth) - wrong(joined.result.label_map, truth)
        np.testing.assert_array_equal(joined.result.label_map.voxels[:, :, drawn], truth.voxels[:, :, drawn])
        assert np.all(joined.result.uncertainty[:, :, drawn] == 0)
        assert joined.result.uncertainty.min() >= 0
        assert joined.result.uncertainty.max() <= 1
        weights = joined.weights[1]
        assert (weights.between.slices, weights.beyond.slices) == (3, 2)
        assert weights.between.weight <= MOST_BETWEEN
        assert weights.beyond.joined >= weights.beyond.propagated
    assert better > 0


def test_a_style_that_does_not_fit_changes_nothing() -> None:
    model = trained_style_model()
    volume, truth = made_case(503, LOOSE)
    sparse = SparseAnnotation(truth, {1: {2: (2, 4, 6, 8, 10)}})
    alone = propagate(volume, sparse, SHAPE_ONLY)
    joined = propagate_with_style(volume, sparse, model, model.styles["tight"], SHAPE_ONLY)
    assert joined.weights[1].between.weight == 0
    indices = list(range(2, 11))
    np.testing.assert_array_equal(
        joined.result.label_map.voxels[:, :, indices], alone.label_map.voxels[:, :, indices]
    )


def test_structures_that_the_model_does_not_know_are_propagated_alone() -> None:
    model = trained_style_model()
    volume, truth = made_case(504, 1.0)
    voxels = np.where(truth.voxels > 0, 5, 0).astype(np.uint8)
    voxels[:2, :2, 2:10] = 3
    segments = (Segment(3, "Vessel", (1, 0, 0)), Segment(5, "Structure", (0, 1, 0)))
    both = LabelMap(voxels, truth.geometry, segments)
    annotation = SparseAnnotation.from_label_map(both, 2, [3, 5, 8])
    alone = propagate(volume, annotation, SHAPE_ONLY)
    joined = propagate_with_style(volume, annotation, model, model.main_style, SHAPE_ONLY)
    np.testing.assert_array_equal(joined.result.label_map.mask(3), alone.label_map.mask(3))
    assert set(joined.weights) == {5}
    assert joined.result.label_map.segments == segments


def test_progress_cancelling_and_refusals() -> None:
    model = trained_style_model()
    volume, truth = made_case(505, 1.0)
    annotation = SparseAnnotation.from_label_map(truth, 2, [4, 6, 8])
    told: list[Progress] = []
    propagate_with_style(volume, annotation, model, (0.0, 0.0), SHAPE_ONLY, told.append)
    assert any("left out" in step.message for step in told)
    with pytest.raises(Cancelled):
        propagate_with_style(volume, annotation, model, (0.0, 0.0), SHAPE_ONLY, cancelled=lambda: True)
    other = replace(truth, segments=(Segment(9, "Liver", (0, 0, 0)),), voxels=9 * truth.voxels)
    with pytest.raises(InputError, match="none of it is annotated"):
        propagate_with_style(
            volume, SparseAnnotation.from_label_map(other, 2, [4, 6]), model, (0.0, 0.0), SHAPE_ONLY
        )


def test_few_slices_are_left_out_of_many() -> None:
    _, truth = made_case(506, LOOSE)
    annotation = SparseAnnotation(truth, {1: {2: tuple(range(12))}})
    chosen = left_out_slices(annotation, 2)
    assert len(chosen) <= 6
    assert (chosen[0], chosen[-1]) == (0, 11)
