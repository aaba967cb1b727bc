"""Between a style model's structures and the segments of a segmentation: what was drawn, what is filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import slicer
from numpy.typing import NDArray

from pgt.annotation import SliceState, SparseAnnotation
from pgt.errors import InputError
from pgt.styles.segment_job import StyledVolume, StyledVolumes
from PGTToolkitLib.propagation import apply_result
from PGTToolkitLib.scene import Mask, segment_ids, segment_name
from PGTToolkitLib.segment_writer import SegmentWriter
from PGTToolkitLib.session import AnnotationSession

if TYPE_CHECKING:
    from pgt.propagation.engine import SliceResult

METHOD = "style"
"""What the slice states name as the method, before the style's name."""

_UNDO_STEPS = 5


class StyleUndo:
    """Steps back for what this module writes into a segmentation, voxels and slice states together."""

    def __init__(self) -> None:
        self._history: slicer.vtkSegmentationHistory | None = None
        self._node: slicer.vtkMRMLSegmentationNode | None = None

    def save(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Remember a segmentation as it is; call it before writing."""
        if node is not self._node:
            self.forget()
            self._node, self._history = node, slicer.vtkSegmentationHistory()
            self._history.SetMaximumNumberOfStates(_UNDO_STEPS)
            self._history.SetSegmentation(node.GetSegmentation())
        self._history.SaveState()

    def can_undo(self, node: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether there is a step back for this segmentation."""
        history = self._history
        return history is not None and node is self._node and history.IsRestorePreviousStateAvailable()

    def undo(self) -> None:
        """Give the segmentation back as it was before the last step."""
        if self._history is not None:
            self._history.RestorePreviousState()

    def forget(self) -> None:
        """Let go of the segmentation."""
        if self._history is not None:
            self._history.SetSegmentation(None)
        self._node = self._history = None


def annotated_slices(session: AnnotationSession, classes: Mapping[int, str]) -> SparseAnnotation:
    """The annotated slices of the segments that the model knows, with the model's label values.

    Raises:
        InputError: nothing is annotated, no annotated segment is one of the model's, segments overlap on
            annotated slices, or the grids differ.
    """
    session.grid.check()
    ledger = session.ledger
    drawn = {record.segment for record in ledger if record.state is SliceState.ANNOTATED}
    present = [segment for segment in segment_ids(session.segmentation_node) if segment in drawn]
    if not present:
        raise InputError("No slice is annotated yet: draw a few slices in Annotate first.")
    known = matching_segments(session.segmentation_node, classes)
    values = {segment: value for value, segment in known.items() if segment in present}
    if not values:
        names = ", ".join(segment_name(session.segmentation_node, segment) for segment in present)
        raise InputError(
            f"The model knows {', '.join(classes.values())}, but annotated is {names}: rename the segment."
        )
    label_map = session.grid.label_map(values, lambda segment: session.drawn(segment, ledger))
    return SparseAnnotation.from_ledger(label_map, ledger, values)


def matching_segments(node: slicer.vtkMRMLSegmentationNode, classes: Mapping[int, str]) -> dict[int, str]:
    """The segment of each structure that has one: of its name, or the only one for the only structure."""
    named = {segment_name(node, segment).casefold(): segment for segment in segment_ids(node)}
    found = {value: named[name.casefold()] for value, name in classes.items() if name.casefold() in named}
    if not found and len(classes) == len(named) == 1:
        return dict(zip(classes, named.values(), strict=True))
    return found


def write_style(
    session: AnnotationSession,
    found: StyledVolumes,
    one: StyledVolume,
    axis: int,
    writer: SegmentWriter,
    undo: StyleUndo,
) -> tuple[str, ...]:
    """Write a style into the session's segmentation, as propagated slices, in one undo step.

    Annotated slices keep every voxel, and segments that the model does not know are not touched.

    Args:
        session: where to write.
        found: what came from the worker.
        one: the style to use, of ``found``.
        axis: 0, 1 or 2: the axis along which slices are reviewed.
        writer: writes.
        undo: remembers what was there.

    Returns:
        Names of the structures that were written.

    Raises:
        InputError: segmentation and volume are on different grids.
    """
    from pgt.propagation.engine import PropagationResult

    session.grid.check()
    undo.save(session.segmentation_node)
    classes = {segment.value: segment.name for segment in one.label_map.segments}
    values = {segment: value for value, segment in _all_segments(session, classes).items()}
    unsure = found.uncertainty
    if unsure is None:
        unsure = np.zeros(one.label_map.voxels.shape, np.float32)
    result = PropagationResult(
        label_map=one.label_map,
        uncertainty=unsure,
        slices=_slices(one.label_map.voxels > 0, unsure, axis),
        next_slice=None,
        axis=axis,
        annotated=(),
        method=f"{METHOD} {one.style.name}",
        model=found.model.name,
        device=found.device,
        seconds=found.seconds,
    )
    apply_result(session, values, result, writer)
    return tuple(classes.values())


def _all_segments(session: AnnotationSession, classes: Mapping[int, str]) -> dict[int, str]:
    """The segment of every structure; those that are missing are added."""
    node = session.segmentation_node
    found = matching_segments(node, classes)
    with session.own_changes():
        for value, name in classes.items():
            if value not in found:
                found[value] = node.GetSegmentation().AddEmptySegment("", name)
    return found


def _slices(filled: Mask, unsure: NDArray[np.float32], axis: int) -> tuple[SliceResult, ...]:
    """Every slice as propagated; its confidence is the Dice that the model expects of itself there."""
    from pgt.propagation.engine import SliceResult

    others = tuple(other for other in range(3) if other != axis)
    right = np.where(filled, 1 - unsure, 0).sum(axis=others)
    # A voxel that is unsure may belong to the structure inside as well as outside of what was filled.
    wrong = unsure.sum(axis=others)
    expected = np.where(right + wrong > 0, 2 * right / np.maximum(2 * right + wrong, 1e-9), 1.0)
    return tuple(
        SliceResult(index, SliceState.PROPAGATED, float(confidence))
        for index, confidence in enumerate(expected)
    )
