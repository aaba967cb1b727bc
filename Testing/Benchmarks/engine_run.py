"""The product itself, asked for one structure drawn on a few slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pgt.propagation.engine import Method, PropagationResult


def propagate_structure(
    voxels: NDArray[Any],
    spacing: tuple[float, float, float],
    drawn: NDArray[np.bool_],
    axis: int,
    annotated: Sequence[int],
    method: Method,
    previous: PropagationResult | None = None,
) -> PropagationResult:
    """Propagate a structure, arrays [i, j, k], from its annotated slices along an axis. Its label is 1."""
    from pgt.annotation import SparseAnnotation
    from pgt.geometry import Geometry
    from pgt.propagation.engine import PropagationSettings, propagate
    from pgt.volume import LabelMap, Segment, Volume

    geometry = Geometry(drawn.shape, spacing)
    segment = Segment(value=1, name="structure", color=(0.9, 0.3, 0.2))
    label_map = LabelMap(drawn.astype(np.uint8), geometry, (segment,))
    annotation = SparseAnnotation.from_label_map(label_map, axis, slices=tuple(annotated))
    settings = PropagationSettings(axis=axis, method=method)
    return propagate(Volume(voxels, geometry), annotation, settings, previous=previous)
