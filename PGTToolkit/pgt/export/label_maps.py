"""The voxels of a case in the labels of the export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.export.case_state import CaseState
from pgt.export.export_settings import ExportSettings
from pgt.export.labels import IGNORE, ExportLabel, labels_of_case, overlap_sentence
from pgt.export.segment_states import unannotated
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment
from pgt.volume_io import LayeredSegmentation, read_layers

_IGNORE_COLOR = (0.5, 0.5, 0.5)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CaseMasks:
    """The segments of one case, each on its own, so that they may overlap.

    Args:
        case: what the case list says.
        stored: its segmentation as it was read.
        labels: of the export.
        masks: voxels [i, j, k] of every label by its value; a label that the case lacks is empty.
    """

    case: CaseState
    stored: LayeredSegmentation
    labels: tuple[ExportLabel, ...]
    masks: Mapping[int, Mask]

    @property
    def geometry(self) -> Geometry:
        """The grid that the segments were drawn on."""
        return self.stored.layers[0].geometry

    def label_map(self, settings: ExportSettings) -> LabelMap:
        """All labels in one map, unannotated voxels as the highest value where that is asked for.

        Raises:
            InputError: two segments overlap.
        """
        return self._mapped(self.labels, settings)

    def label_map_of(self, label: ExportLabel, settings: ExportSettings) -> LabelMap:
        """One label in a map of its own, with value 1; unannotated voxels have value 2."""
        voxels = self.masks[label.value].astype(np.uint8)
        segments = [Segment(1, label.name, label.color, label.terminology)]
        if settings.ignore_unannotated:
            voxels[self._unannotated([label], settings)] = 2
            segments.append(Segment(2, IGNORE, _IGNORE_COLOR))
        return LabelMap(voxels, self.geometry, tuple(segments))

    def overlap(self) -> tuple[ExportLabel, ExportLabel] | None:
        """Two labels that claim one voxel, None where there are none."""
        taken: Mask = np.zeros(self.geometry.shape, dtype=bool)
        for label in self.labels:
            mask = self.masks[label.value]
            if np.any(taken & mask):
                return self._owner(taken & mask, label), label
            taken |= mask
        return None

    def _owner(self, shared: Mask, other: ExportLabel) -> ExportLabel:
        return next(one for one in self.labels if one is not other and np.any(self.masks[one.value] & shared))

    def _mapped(self, labels: Sequence[ExportLabel], settings: ExportSettings) -> LabelMap:
        overlap = self.overlap()
        if overlap:
            raise InputError(overlap_sentence(self.case.case, overlap[0].name, overlap[1].name))
        highest = max((label.value for label in labels), default=0) + 1
        voxels: NDArray[Any] = np.zeros(self.geometry.shape, np.min_scalar_type(highest))
        for label in labels:
            voxels[self.masks[label.value]] = label.value
        segments = [Segment(one.value, one.name, one.color, one.terminology) for one in labels]
        if settings.ignore_unannotated:
            voxels[self._unannotated(labels, settings)] = highest
            segments.append(Segment(highest, IGNORE, _IGNORE_COLOR))
        return LabelMap(voxels, self.geometry, tuple(segments))

    def _unannotated(self, labels: Sequence[ExportLabel], settings: ExportSettings) -> Mask:
        masks = {
            segment.identifier: self.masks[label.value]
            for label, segment in labels_of_case(self.case, labels, settings)
            if segment
        }
        return unannotated(masks, self.case.records, self.geometry.shape)


def read_masks(
    case: CaseState, file: Path, labels: Sequence[ExportLabel], settings: ExportSettings
) -> CaseMasks:
    """Read the segments of a case.

    Args:
        case: what the case list says.
        file: where its label can be read.
        labels: of the export.
        settings: of the export.

    Raises:
        InputError: the file cannot be read, or is not what the case list saw.
    """
    stored = read_layers(file)
    masks = {}
    for label, segment in labels_of_case(case, labels, settings):
        if segment is None:
            masks[label.value] = np.zeros(stored.layers[0].geometry.shape, dtype=bool)
            continue
        if segment.layer >= len(stored.layers):
            raise InputError(f"{case.label} has changed since the case list was read.")
        masks[label.value] = stored.layers[segment.layer].mask(segment.value)
    return CaseMasks(case, stored, tuple(labels), masks)
