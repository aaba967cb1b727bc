"""A styled segmentation in the terms of a rater: the rater's labels, and the drawn slices locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pgt.annotation import SparseAnnotation
from pgt.volume import LabelMap


def in_drawn_labels(found: LabelMap, drawn: LabelMap, matched: Mapping[int, int]) -> LabelMap:
    """A segmentation with the labels of a drawn one.

    Args:
        found: a model's, on the same grid.
        drawn: the rater's.
        matched: the model's label value for each of the rater's (`matched_classes`).

    Returns:
        The rater's segments, then those of the model's that the rater has not, at their values where these
        are free.
    """
    values = {model: rater for rater, model in matched.items()}
    segments = list(drawn.segments)
    for segment in found.segments:
        if segment.value not in values:
            taken = {one.value for one in segments}
            value = segment.value if segment.value not in taken else max(taken) + 1
            values[segment.value] = value
            segments.append(replace(segment, value=value, identifier=""))
    largest = max([*values.values(), *drawn.values])
    table = np.zeros(
        int(max(found.values)) + 1, np.result_type(drawn.voxels.dtype, np.min_scalar_type(largest))
    )
    for model, value in values.items():
        table[model] = value
    return LabelMap(table[found.voxels], found.geometry, tuple(segments))


def with_drawn_slices(found: LabelMap, annotation: SparseAnnotation) -> LabelMap:
    """A label map in the rater's labels whose annotated slices are as they were drawn, label by label."""
    voxels = found.voxels.copy()
    drawn = annotation.label_map.voxels
    for value in annotation.slices:
        known = annotation.known(value)
        voxels[known & (voxels == value)] = 0
        voxels[known & (drawn == value)] = value
    return replace(found, voxels=voxels)
