"""Cases of the scene as the core knows cases before they are exported: segments, slice states, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import slicer
import vtk

from pgt.agreement.results import PairKind
from pgt.annotation import SliceLedger, SliceState
from pgt.export.case_state import CaseAgreement, CaseFile, CaseState, SegmentState
from PGTToolkitLib.agreement_store import StoredAgreement, stored_agreement
from PGTToolkitLib.export_scene import SceneCase, series_files
from PGTToolkitLib.ledger_tags import read_ledger
from PGTToolkitLib.reading_nodes import suggested
from PGTToolkitLib.scene import SegmentationGrid, segment_ids
from PGTToolkitLib.segmentation_readings import own_grid

_METRIC = "dice"
_IN_SCENE = CaseFile(Path())


def scene_states(cases: Sequence[SceneCase]) -> tuple[CaseState, ...]:
    """What is known of cases of the scene; nothing is written for it.

    Raises:
        InputError: a segmentation has no voxels, lies under a deformable transform, or its slice states or
            the comparison kept in the scene cannot be read.
    """
    stored = stored_agreement(cases[0].node.GetScene()) if cases else None
    return tuple(_state(one, stored) for one in cases)


def agreement_on(stored: StoredAgreement | None, case: str) -> CaseAgreement | None:
    """The mean Dice of different raters on a case; None where nobody compared them."""
    pairs = stored.agreement.pairs if stored is not None else ()
    values = [
        one.values[_METRIC]
        for one in pairs
        if one.case == case and one.kind is not PairKind.INTRA and _METRIC in one.values
    ]
    return CaseAgreement(float(np.mean(values)), _METRIC, len(values)) if values else None


def _state(one: SceneCase, stored: StoredAgreement | None) -> CaseState:
    node, ledger = one.node, read_ledger(one.node)
    node.CreateBinaryLabelmapRepresentation()
    grid = own_grid(node)
    entry = suggested(node) if len(ledger) else None
    files = series_files(one.image) if one.image is not None else ()
    # In a comparison a case is called as its image.
    compared = one.image.GetName() if one.image is not None else one.case
    return CaseState(
        case=one.case,
        label=_IN_SCENE,
        image=None if one.image is None else _IN_SCENE,
        series=files[0].parent if files else None,
        segments=tuple(_segment(grid, segment, ledger) for segment in segment_ids(node)),
        records=tuple(ledger),
        overlapping=_overlapping(grid),
        rater=entry.rater if entry is not None else "",
        session=entry.session if entry is not None else "",
        agreement=agreement_on(stored, compared),
    )


def _segment(grid: SegmentationGrid, segment_id: str, ledger: SliceLedger) -> SegmentState:
    segment = grid.segmentation_node.GetSegmentation().GetSegment(segment_id)
    terminology = vtk.reference("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), terminology)
    axis = _axis(ledger, segment_id)
    found = {state: ledger.slices(segment_id, axis, state) for state in SliceState}
    return SegmentState(
        identifier=segment_id,
        name=segment.GetName(),
        value=segment.GetLabelValue(),
        layer=0,
        terminology=str(terminology),
        color=tuple(segment.GetColor()),
        axis=axis,
        shown=_shown(grid, segment_id, axis),
        annotated=found[SliceState.ANNOTATED],
        propagated=found[SliceState.PROPAGATED],
        reviewed=found[SliceState.REVIEWED],
    )


def _axis(ledger: SliceLedger, segment_id: str) -> int:
    """The axis that most slice states are on; k before j before i when equal."""
    counts = [sum((one.segment, one.axis) == (segment_id, axis) for one in ledger) for axis in range(3)]
    return max(range(3), key=lambda axis: (counts[axis], axis))


def _shown(grid: SegmentationGrid, segment_id: str, axis: int) -> tuple[int, ...]:
    part = grid.part(segment_id)
    if part is None:
        return ()
    box, mask = part
    others = tuple(other for other in range(3) if other != axis)
    return tuple(int(index) + box[axis].start for index in np.flatnonzero(mask.any(axis=others)))


def _overlapping(grid: SegmentationGrid) -> bool:
    """Whether two segments claim one voxel; those of one layer cannot."""
    node = grid.segmentation_node
    layers: dict[slicer.vtkOrientedImageData, list[str]] = {}
    for segment_id in segment_ids(node):
        layer = node.GetBinaryLabelmapInternalRepresentation(segment_id)
        if layer is not None:
            layers.setdefault(layer, []).append(segment_id)
    if len(layers) < 2:
        return False
    claimed = np.zeros(grid.shape, dtype=bool, order="F")
    for segment_ids_of_layer in layers.values():
        here = np.zeros(grid.shape, dtype=bool, order="F")
        for segment_id in segment_ids_of_layer:
            here |= grid.mask(segment_id)
        if np.any(claimed & here):
            return True
        claimed |= here
    return False
