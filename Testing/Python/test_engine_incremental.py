"""Going on from a previous result gives what a run from scratch gives, with less work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from propagation_cases import assert_same, drawn, drawn_together, made_case

import pgt.propagation.engine as engine
from pgt.annotation import SparseAnnotation
from pgt.propagation.engine import PropagationSettings, propagate
from pgt.propagation.slabs import Slab
from pgt.volume import Volume

VOLUME, TRUTH = made_case()
SHAPE_ONLY = PropagationSettings(axis=2, method="shape")
EVERY_THIRD = tuple(range(1, 29, 3))


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[Slab]:
    """The slabs that were really computed; the core does its work as ever."""
    torch.set_num_threads(1)
    slabs: list[Slab] = []
    compute = engine.fill_slab

    def noting(stack: Any, slab: Slab, *rest: Any) -> Any:
        slabs.append(slab)
        return compute(stack, slab, *rest)

    monkeypatch.setattr(engine, "fill_slab", noting)
    return slabs


def changed(annotation: SparseAnnotation, index: int) -> SparseAnnotation:
    """The same slices, one of them redrawn a little wider."""
    voxels = annotation.label_map.voxels.copy()
    plane = voxels[..., index]
    wider = np.roll(plane == 1, 1, axis=0) & (plane == 0)
    assert wider.any()
    plane[wider] = 1
    return SparseAnnotation(replace(annotation.label_map, voxels=voxels), annotation.slices)


BEFORE = drawn_together(TRUTH, 2, EVERY_THIRD)
EDITS = {
    "one more": drawn_together(TRUTH, 2, (*EVERY_THIRD, 2)),
    "one changed": changed(BEFORE, 25),
    "one removed": drawn_together(TRUTH, 2, EVERY_THIRD[1:]),
    "one drawn across": drawn(TRUTH, {v: {2: EVERY_THIRD, 0: (20,)} for v in TRUTH.values}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_gives_what_a_full_run_gives(filled: list[Slab], edit: str) -> None:
    previous = propagate(VOLUME, BEFORE, SHAPE_ONLY)
    filled.clear()
    full = propagate(VOLUME, EDITS[edit], SHAPE_ONLY)
    everything = len(filled)
    filled.clear()
    result = propagate(VOLUME, EDITS[edit], SHAPE_ONLY, previous=previous)
    assert_same(result, full)
    if edit == "one drawn across":
        assert len(filled) == everything
    else:
        # A gap learns from three annotated slices on either side, so an edit concerns a few gaps about it.
        assert 0 < len(filled) <= 6 < everything


def test_nothing_changed_computes_nothing(filled: list[Slab]) -> None:
    previous = propagate(VOLUME, BEFORE, SHAPE_ONLY)
    filled.clear()
    assert_same(propagate(VOLUME, BEFORE, SHAPE_ONLY, previous=previous), previous)
    assert not filled


def test_the_network_goes_on_from_a_previous_result_too(filled: list[Slab]) -> None:
    settings = PropagationSettings(axis=2, method="auto")
    previous = propagate(VOLUME, drawn_together(TRUTH, 2, range(1, 26, 4)), settings)
    edited = drawn_together(TRUTH, 2, (*range(1, 26, 4), 27))
    full = propagate(VOLUME, edited, settings)
    filled.clear()
    result = propagate(VOLUME, edited, settings, previous=previous)
    assert len(filled) < 6
    np.testing.assert_array_equal(result.label_map.voxels, full.label_map.voxels)
    np.testing.assert_allclose(result.uncertainty, full.uncertainty, atol=1e-6)
    assert result.next_slice == full.next_slice


def test_filled_voxels_given_back_as_the_label_map_compute_nothing_anew(filled: list[Slab]) -> None:
    """As in Slicer, where what was filled lies in the same segmentation as what was drawn."""
    slices = {1: {2: (2, 14, 27)}, 2: {2: (2, 14, 27)}, 3: {2: (4, 12)}}
    previous = propagate(VOLUME, drawn(TRUTH, slices), SHAPE_ONLY)
    filled.clear()
    again = SparseAnnotation(previous.label_map, slices)
    assert_same(propagate(VOLUME, again, SHAPE_ONLY, previous=previous), previous)
    assert not filled


@pytest.mark.parametrize("without", ["crossing slice of a label known only there", "slice of a cohort"])
def test_removing_what_other_labels_were_drawn_on_leaves_no_trace(without: str) -> None:
    """What was locked into a slab by one label must not survive there once it is no longer annotated."""
    if without == "slice of a cohort":
        before = {1: {2: (2, 27)}, 2: {2: (2, 27)}, 3: {2: (3, 6, 7, 8, 9, 10, 11, 12)}}
        after = {1: {2: (2, 27)}, 2: {2: (2, 27)}, 3: {2: (3, 6, 7, 8, 10, 11, 12)}}
    else:
        before = {1: {2: (2, 14, 27)}, 2: {2: (2, 14, 27)}, 3: {0: (34,)}}
        after = {1: {2: (2, 14, 27)}, 2: {2: (2, 14, 27)}}
    previous = propagate(VOLUME, drawn(TRUTH, before), SHAPE_ONLY)
    full = propagate(VOLUME, drawn(TRUTH, after), SHAPE_ONLY)
    assert_same(propagate(VOLUME, drawn(TRUTH, after), SHAPE_ONLY, previous=previous), full)


def test_confidence_of_annotated_slices_within_another_labels_slab_is_kept() -> None:
    slices = {1: {2: (10, 27)}, 3: {2: (5, 9, 14, 29)}}
    annotation = drawn(TRUTH, slices)
    previous = propagate(VOLUME, annotation, SHAPE_ONLY)
    assert_same(propagate(VOLUME, annotation, SHAPE_ONLY, previous=previous), previous)


@pytest.mark.parametrize("other", ["image", "method", "axis"])
def test_a_result_of_something_else_is_not_used(filled: list[Slab], other: str) -> None:
    previous = propagate(VOLUME, BEFORE, SHAPE_ONLY)
    volume, settings, annotation = VOLUME, SHAPE_ONLY, BEFORE
    if other == "image":
        voxels = VOLUME.voxels.copy()
        voxels[0, 0, 0] += 1
        volume = Volume(voxels, VOLUME.geometry)
    elif other == "method":
        settings = replace(settings, method="network")
        annotation = drawn_together(TRUTH, 2, (13, 16))
        previous = propagate(VOLUME, annotation, SHAPE_ONLY)
    else:
        settings = replace(settings, axis=1)
        annotation = drawn_together(TRUTH, 1, (8, 20, 30))
    filled.clear()
    full = propagate(volume, annotation, settings)
    everything = len(filled)
    filled.clear()
    assert_same(propagate(volume, annotation, settings, previous=previous), full)
    assert len(filled) == everything
