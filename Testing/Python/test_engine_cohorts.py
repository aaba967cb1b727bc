"""Labels that were drawn on different slices, and labels drawn only across the others."""

from __future__ import annotations

import numpy as np
import torch
from propagation_cases import assert_annotated_unchanged, dice, drawn, made_case

from pgt.annotation import SliceState
from pgt.propagation.engine import PropagationSettings, propagate

VOLUME, TRUTH = made_case()
SHAPE_ONLY = PropagationSettings(axis=2, method="shape")


def test_each_label_is_filled_from_its_own_slices() -> None:
    torch.set_num_threads(1)
    annotation = drawn(TRUTH, {1: {2: (3, 9, 15, 21, 27)}, 2: {2: (0, 10, 20, 29)}, 3: {2: (3, 7, 13)}})
    for method in ("shape", "auto"):
        result = propagate(VOLUME, annotation, PropagationSettings(axis=2, method=method))
        assert_annotated_unchanged(result, annotation)
        assert result.annotated == (0, 3, 7, 9, 10, 13, 15, 20, 21, 27, 29)
        for value in (1, 2, 3):
            assert dice(result.label_map.voxels, TRUTH.voxels, value) > 0.7, (method, value)


def test_a_slice_drawn_for_some_labels_only_is_still_propagated_for_the_others() -> None:
    annotation = drawn(TRUTH, {1: {2: (3, 15, 27)}, 2: {2: (3, 27)}})
    result = propagate(VOLUME, annotation, SHAPE_ONLY)
    states = {entry.index: entry.state for entry in result.slices}
    assert states[3] is SliceState.ANNOTATED
    assert states[27] is SliceState.ANNOTATED
    assert states[15] is SliceState.PROPAGATED
    assert (result.label_map.voxels[..., 15] == 2).any()
    np.testing.assert_array_equal(result.label_map.mask(1)[..., 15], TRUTH.mask(1)[..., 15])


def test_a_label_drawn_only_across_the_others_is_kept_and_not_invented() -> None:
    annotation = drawn(TRUTH, {1: {2: (3, 15, 27)}, 3: {0: (34, 36)}})
    result = propagate(VOLUME, annotation, SHAPE_ONLY)
    assert_annotated_unchanged(result, annotation)
    elsewhere = np.delete(result.label_map.mask(3), [34, 36], axis=0)
    assert not elsewhere.any()


def test_a_label_without_a_voxel_on_its_slices_stays_absent() -> None:
    annotation = drawn(TRUTH, {1: {2: (3, 15, 27)}, 3: {2: (25, 28)}})
    result = propagate(VOLUME, annotation, SHAPE_ONLY)
    assert not result.label_map.mask(3).any()
    assert result.label_map.values == TRUTH.values


def test_what_one_label_was_drawn_on_another_does_not_take() -> None:
    """A label filled from far away gives way to what was drawn of its neighbour."""
    annotation = drawn(TRUTH, {1: {2: (3, 27)}, 2: {2: tuple(range(30))}})
    result = propagate(VOLUME, annotation, SHAPE_ONLY)
    np.testing.assert_array_equal(result.label_map.mask(2), TRUTH.mask(2))
