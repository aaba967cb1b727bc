"""Where the slice states live in the scene: each segment carries its own, in a tag.

Slicer copies segment tags with the voxels when it saves a state for undo, writes them into .seg.nrrd files
and scenes, and keeps them when a segment is copied. So one undo step takes back voxels and states together,
whoever asks for it, and a segmentation sent to a colleague brings its states along.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import slicer
import vtk

from pgt.annotation import LEDGER_TAG, SliceLedger
from pgt.errors import InputError
from PGTToolkitLib.scene import segment_ids, segment_name


def read_tag(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> str:
    """The text of a segment's slice states, empty where it has none."""
    text = vtk.reference("")
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    return str(text) if segment.GetTag(LEDGER_TAG, text) else ""


def read_ledger(segmentation_node: slicer.vtkMRMLSegmentationNode) -> SliceLedger:
    """The slice states of all segments.

    Raises:
        InputError: a segment's states were damaged, or written by a later version.
    """
    ledger = SliceLedger()
    for segment_id in segment_ids(segmentation_node):
        text = read_tag(segmentation_node, segment_id)
        if not text:
            continue
        try:
            records = list(SliceLedger.from_json(text))
        except InputError as error:
            name = segment_name(segmentation_node, segment_id)
            raise InputError(f"The slice states of segment {name} cannot be read: {error}") from error
        for record in records:
            # A copied or imported segment may have another ID than the one that it was drawn under.
            ledger.mark(replace(record, segment=segment_id))
    return ledger


def write_ledger(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    ledger: SliceLedger,
    segments: Iterable[str] | None = None,
) -> None:
    """Store the slice states with their segments.

    Args:
        segmentation_node: where the segments are.
        ledger: the states of all segments.
        segments: IDs of those that changed; None for all.
    """
    segmentation = segmentation_node.GetSegmentation()
    for segment_id in segment_ids(segmentation_node) if segments is None else segments:
        records = [record for record in ledger if record.segment == segment_id]
        segment = segmentation.GetSegment(segment_id)
        if not records:
            segment.RemoveTag(LEDGER_TAG)
            continue
        # Slicer separates tags by "|" in files; inside JSON text it can be written as an escape.
        segment.SetTag(LEDGER_TAG, SliceLedger(records).to_json().replace("|", "\\u007c"))
