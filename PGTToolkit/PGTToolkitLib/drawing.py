"""Noticing what a rater drew: which slices of which segments changed since the last look.

The segment editor says only that a segmentation changed. The tracker keeps the labels it saw last and
compares. A change that lies in one slice is taken as drawn there. A change across several slices (a ball
brush, a threshold, a filter) says nothing about any slice being finished and is left to the rater to confirm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import slicer
import vtk
from numpy.typing import NDArray

from PGTToolkitLib.boxes import Box, bounding_box, filled, shifted, start_of, union
from PGTToolkitLib.ledger_tags import read_tag
from PGTToolkitLib.scene import SegmentationGrid, segment_ids


@dataclass(frozen=True)
class Edit:
    """What changed in one segment.

    Args:
        segment: its ID.
        box: the smallest box [i, j, k] around the voxels that changed.
        gained: whether any voxel was added.
    """

    segment: str
    box: Box
    gained: bool

    def drawn_slice(self, preferred_axis: int) -> tuple[int, int] | None:
        """Axis and index of the one slice that the edit lies in; None where it spans several.

        An edit so small that it is one voxel thick in several directions counts for the preferred axis.
        """
        flat = [axis for axis, side in enumerate(self.box) if side.stop - side.start == 1]
        if not flat:
            return None
        axis = preferred_axis if preferred_axis in flat else flat[-1]
        return axis, int(self.box[axis].start)


@dataclass(frozen=True)
class _Layer:
    """A copy of one labelmap of the segmentation, which several segments may share."""

    values: dict[str, int]
    content: tuple[Box, NDArray[Any]] | None


class DrawingTracker:
    """Watches one segmentation; call :meth:`edits` after Slicer has finished a stroke."""

    def __init__(self, grid: SegmentationGrid, changed: Callable[[], None]) -> None:
        """Start watching.

        Args:
            grid: the segmentation on its volume's grid.
            changed: called on every change of voxels or states, several times within one stroke.
        """
        self._grid = grid
        self._changed = changed
        self._ignoring = False
        self._segmentation = grid.segmentation_node.GetSegmentation()
        events = (
            slicer.vtkSegmentation.SourceRepresentationModified,
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
            slicer.vtkSegmentation.SegmentModified,
        )
        self._observers = [self._segmentation.AddObserver(event, self._notice) for event in events]
        self.remember()

    def stop(self) -> None:
        """Stop watching."""
        for observer in self._observers:
            self._segmentation.RemoveObserver(observer)
        self._observers = []

    @contextmanager
    def ignoring(self) -> Iterator[None]:
        """Changes within this context are the program's own; they are remembered at its end."""
        self._ignoring = True
        try:
            yield
        finally:
            self._ignoring = False
            self.remember()

    def remember(self) -> None:
        """Take the present voxels and slice states as seen."""
        self._layers = self._read_layers()
        self._tags = self._read_tags()

    def edits(self) -> tuple[Edit, ...]:
        """What a rater changed since the last look; the present is remembered.

        Nothing after an undo or redo: Slicer has then put back the slice states together with the voxels.
        """
        layers_before, tags_before = self._layers, self._tags
        self.remember()
        if self._tags != tags_before:
            return ()
        edits = list(_edits(layers_before, self._layers))
        # Painting over a neighbour takes voxels from it; only the segment that was painted was drawn.
        return tuple([edit for edit in edits if edit.gained] or edits)

    def _notice(self, caller: vtk.vtkObject, event: str) -> None:
        if not self._ignoring:
            self._changed()

    def _read_tags(self) -> dict[str, str]:
        node = self._grid.segmentation_node
        return {segment: read_tag(node, segment) for segment in segment_ids(node)}

    def _read_layers(self) -> list[_Layer]:
        if self._grid.difference():
            return []
        layers: dict[slicer.vtkOrientedImageData, dict[str, int]] = {}
        for segment in segment_ids(self._grid.segmentation_node):
            image = self._grid.segmentation_node.GetBinaryLabelmapInternalRepresentation(segment)
            if image is not None:
                value = self._segmentation.GetSegment(segment).GetLabelValue()
                layers.setdefault(image, {})[segment] = value
        return [_Layer(values, _copy(self._grid.layer_on_grid(image))) for image, values in layers.items()]


def _copy(content: tuple[Box, NDArray[Any]] | None) -> tuple[Box, NDArray[Any]] | None:
    return None if content is None else (content[0], content[1].copy(order="F"))


def _edits(before: list[_Layer], after: list[_Layer]) -> Iterator[Edit]:
    """Differences of the segments that exist before and after."""
    for old in before:
        for new in after:
            segments = old.values.keys() & new.values.keys()
            if segments:
                yield from _edits_between(old, new, sorted(segments))


def _edits_between(old: _Layer, new: _Layer, segments: list[str]) -> Iterator[Edit]:
    boxes = [layer.content[0] for layer in (old, new) if layer.content is not None]
    if not boxes:
        return
    whole = union(boxes[0], boxes[-1])
    labels_before, labels_after = filled(whole, old.content), filled(whole, new.content)
    # Most strokes change a few voxels of one layer: find those once, not once for each segment.
    if old.values == new.values:
        changed = bounding_box(labels_before != labels_after)
        if changed is None:
            return
    else:
        changed = shifted(whole, start_of(whole), -1)
    for segment in segments:
        was = labels_before[changed] == old.values[segment]
        is_now = labels_after[changed] == new.values[segment]
        box = bounding_box(was ^ is_now)
        if box is not None:
            place = shifted(shifted(box, start_of(changed)), start_of(whole))
            yield Edit(segment, place, gained=bool((is_now & ~was).any()))
