"""Putting masks into a segmentation without touching anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer

from PGTToolkitLib.boxes import Box, bounding_box
from PGTToolkitLib.scene import Mask, SegmentationGrid


@dataclass(frozen=True)
class SegmentChange:
    """What is to change in one segment.

    Args:
        segment: its ID.
        box: the smallest box [i, j, k] around the change; None where nothing changes.
        removed: the voxels of the box that the segment loses.
        added: the voxels of the box that it gains.
    """

    segment: str
    box: Box | None
    removed: Mask
    added: Mask

    @classmethod
    def between(cls, segment: str, before: Mask, after: Mask) -> SegmentChange:
        """The change from one mask [i, j, k] of the whole volume to another."""
        box = bounding_box(before ^ after)
        inside = box or (slice(0, 0), slice(0, 0), slice(0, 0))
        return cls(segment, box, before[inside] & ~after[inside], after[inside] & ~before[inside])


class SegmentWriter:
    """Writes through Slicer's segment editor logic, with settings of its own.

    The user's mask and overwrite settings live in another parameter node and have no effect here: other
    segments are never overwritten and nothing is masked.
    """

    def __init__(self) -> None:
        settings = slicer.vtkMRMLSegmentEditorNode()
        settings.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        settings.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        self._editor = slicer.vtkSlicerSegmentEditorLogic()
        self._editor.SetSegmentEditorNode(settings)

    def write(self, grid: SegmentationGrid, changes: Sequence[SegmentChange]) -> None:
        """Change segments; nothing outside the boxes of the changes is written."""
        modifying = grid.segmentation_node.StartModify()
        try:
            # All removals first: a voxel that passes to another segment is then free when it is taken.
            for change in changes:
                self._modify(grid, change, change.removed, self._editor.ModificationModeRemove)
            for change in changes:
                self._modify(grid, change, change.added, self._editor.ModificationModeAdd)
        finally:
            grid.segmentation_node.EndModify(modifying)

    def _modify(self, grid: SegmentationGrid, change: SegmentChange, voxels: Mask, mode: int) -> None:
        if change.box is None or not np.any(voxels):
            return
        image = grid.oriented_image(voxels, [side.start for side in change.box])
        per_segment, bypass_masking = False, True
        self._editor.ModifySegmentByLabelmap(
            grid.segmentation_node, change.segment, image, mode, per_segment, bypass_masking
        )
