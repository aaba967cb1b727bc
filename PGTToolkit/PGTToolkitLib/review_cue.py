"""Making unreviewed slices look unreviewed.

Copied contours make people tolerate errors. While a view shows a slice that a machine filled and nobody has
accepted, the segment is drawn as an outline without fill; once accepted it looks like a drawn one.
"""

from __future__ import annotations

import slicer

from pgt.annotation import SliceLedger, SliceState
from PGTToolkitLib.scene import segment_ids


class ReviewCue:
    """Takes the fill from segments on unreviewed slices, and gives it back."""

    def __init__(self, segmentation_node: slicer.vtkMRMLSegmentationNode) -> None:
        self._node = segmentation_node
        self._outlined: set[str] = set()

    def update(self, ledger: SliceLedger, axis: int, index: int | None) -> tuple[str, ...]:
        """Draw the segments as befits their states on the slice that is shown.

        Args:
            ledger: the slice states.
            axis: the axis that the view looks along.
            index: the slice shown; None outside the volume.

        Returns:
            The IDs of the segments that are unreviewed there.
        """
        unreviewed = {
            segment
            for segment in segment_ids(self._node)
            if index is not None and ledger.state(segment, axis, index) is SliceState.PROPAGATED
        }
        self._fill(self._outlined - unreviewed, True)
        self._fill(unreviewed - self._outlined, False)
        self._outlined = unreviewed
        return tuple(sorted(unreviewed))

    def clear(self) -> None:
        """Give every segment its fill back."""
        self._fill(self._outlined, True)
        self._outlined = set()

    def _fill(self, segments: set[str], visible: bool) -> None:
        display = self._node.GetDisplayNode()
        for segment in segments & set(segment_ids(self._node)):
            if display is not None:
                display.SetSegmentVisibility2DFill(segment, visible)
