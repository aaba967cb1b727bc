"""Two readings of a structure as two outlines over the image, on the slice where they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer

from pgt.agreement.masks import CroppedMask, common_box
from pgt.geometry import Geometry
from PGTToolkitLib.scene import nodes_of, segment_ids

FIRST_COLOR = (0.34, 0.71, 0.91)
SECOND_COLOR = (1.0, 0.69, 0.0)

_KIND = "vtkMRMLSegmentationNode"


@dataclass(frozen=True)
class Shown:
    """A segment that is to be outlined."""

    node: slicer.vtkMRMLSegmentationNode
    segment: str


def worst_slice(first: CroppedMask, second: CroppedMask, axis: int) -> int | None:
    """The slice along an axis on which two masks of one grid differ most; None where they do not."""
    box = common_box((first, second))
    if box is None:
        return None
    others = tuple(other for other in range(3) if other != axis)
    counts = (first.within(box) ^ second.within(box)).sum(axis=others)
    return box[axis].start + int(np.argmax(counts)) if counts.any() else None


def jump_to(
    scene: slicer.vtkMRMLScene, geometry: Geometry, masks: Sequence[CroppedMask], axis: int, index: int
) -> None:
    """Move all slice views to where masks lie on a slice of their grid."""
    box = common_box(masks) or tuple(slice(0, size) for size in geometry.shape)
    centre = np.array([*((side.start + side.stop - 1) / 2 for side in box), 1.0])
    centre[axis] = index
    r, a, s = (geometry.ijk_to_ras @ centre)[:3]
    slice_node = slicer.vtkMRMLSliceNode
    slice_node.JumpAllSlices(scene, r, a, s, slice_node.CenteredJumpSlice)


class ContourComparison:
    """Shows two segments as outlines in colors of their own, and gives all segmentations their looks back.

    Only the display changes: the segments keep their own colors.
    """

    def __init__(self) -> None:
        self._before: list[_Looks] = []

    @property
    def shown(self) -> bool:
        """Whether two outlines are shown."""
        return bool(self._before)

    def show(self, scene: slicer.vtkMRMLScene, first: Shown, second: Shown) -> None:
        """Outline two segments, and hide everything else that is drawn."""
        self.clear()
        self._before = [_Looks(node) for node in nodes_of(scene, _KIND) if node.GetDisplayNode()]
        wanted = {(one.node.GetID(), one.segment) for one in (first, second)}
        for looks in self._before:
            for segment in segment_ids(looks.node):
                looks.display.SetSegmentVisibility(segment, (looks.node.GetID(), segment) in wanted)
        for one, color in ((first, FIRST_COLOR), (second, SECOND_COLOR)):
            display = one.node.GetDisplayNode()
            display.SetVisibility(True)
            display.SetSegmentVisibility2DFill(one.segment, False)
            display.SetSegmentVisibility2DOutline(one.segment, True)
            display.SetSegmentOverrideColor(one.segment, *color)

    def clear(self) -> None:
        """Give every segmentation that is still there its looks back."""
        before, self._before = self._before, []
        for looks in before:
            looks.restore()


class _Looks:
    """How a segmentation is displayed."""

    def __init__(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        self.node = node
        self.display = node.GetDisplayNode()
        self._visible = self.display.GetVisibility()
        self._segments = {
            segment: (
                self.display.GetSegmentVisibility(segment),
                self.display.GetSegmentVisibility2DFill(segment),
                self.display.GetSegmentVisibility2DOutline(segment),
            )
            for segment in segment_ids(node)
        }

    def restore(self) -> None:
        if self.node.GetScene() is None or self.node.GetDisplayNode() is not self.display:
            return
        self.display.SetVisibility(self._visible)
        for segment, (visible, filled, outlined) in self._segments.items():
            if segment in segment_ids(self.node):
                self.display.SetSegmentVisibility(segment, visible)
                self.display.SetSegmentVisibility2DFill(segment, filled)
                self.display.SetSegmentVisibility2DOutline(segment, outlined)
                self.display.UnsetSegmentOverrideColor(segment)
