"""Putting masks into a segmentation without touching anything else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import slicer

from PGTToolkitLib.boxes import Box, bounding_box
from PGTToolkitLib.scene import Mask, SegmentationGrid


class SegmentWriter:
    """Writes through Slicer's segment editor logic, with settings of its own.

    The user's mask and overwrite settings live in another parameter node and have no effect here: other
    segments are never overwritten and nothing is masked.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._settings = slicer.vtkMRMLSegmentEditorNode()
        self._settings.SetHideFromEditors(True)
        self._settings.SetSaveWithScene(False)
        self._settings.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        self._settings.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        self._editor = slicer.vtkSlicerSegmentEditorLogic()
        self._editor.SetMRMLScene(scene)
        scene.AddNode(self._settings)
        self._editor.SetSegmentEditorNode(self._settings)

    def write(self, grid: SegmentationGrid, masks: Mapping[str, Mask]) -> tuple[str, ...]:
        """Give segments new voxels; only the box that changes is written.

        Args:
            grid: the segmentation on its volume's grid.
            masks: the whole new mask, boolean [i, j, k], of each segment ID that may change.

        Returns:
            The IDs of the segments that did change.
        """
        changes = {segment: _changes(grid.mask(segment), mask) for segment, mask in masks.items()}
        changed = {segment: change for segment, change in changes.items() if change is not None}
        modifying = grid.segmentation_node.StartModify()
        try:
            # All removals first: a voxel that passes to another segment is then free when it is taken.
            for segment, (box, removed, _) in changed.items():
                self._modify(grid, segment, box, removed, self._editor.ModificationModeRemove)
            for segment, (box, _, added) in changed.items():
                self._modify(grid, segment, box, added, self._editor.ModificationModeAdd)
        finally:
            grid.segmentation_node.EndModify(modifying)
        return tuple(changed)

    def _modify(self, grid: SegmentationGrid, segment: str, box: Box, voxels: Mask, mode: int) -> None:
        if not np.any(voxels):
            return
        image = grid.oriented_image(voxels, [side.start for side in box])
        per_segment, bypass_masking = False, True
        self._editor.ModifySegmentByLabelmap(
            grid.segmentation_node, segment, image, mode, per_segment, bypass_masking
        )


def _changes(before: Mask, after: Mask) -> tuple[Box, Mask, Mask] | None:
    """The box of the voxels that differ, with those removed and those added inside; None without any."""
    box = bounding_box(before ^ after)
    if box is None:
        return None
    return box, before[box] & ~after[box], after[box] & ~before[box]
