"""The slices that a rater means to draw, kept with the segmentation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import slicer

from PGTToolkitLib.scene import volume_of

_PLAN_ATTRIBUTE = "PGTToolkit.SlicePlan"


@dataclass(frozen=True)
class StoredPlan:
    """Slices to draw.

    Args:
        axis: 0, 1 or 2 for slices across i, j or k.
        slices: their indices, ascending.
    """

    axis: int
    slices: tuple[int, ...]


def store_plan(segmentation_node: slicer.vtkMRMLSegmentationNode, axis: int, slices: Iterable[int]) -> None:
    """Keep a plan with the segmentation, instead of any other."""
    plan = {"axis": axis, "slices": sorted({int(index) for index in slices})}
    segmentation_node.SetAttribute(_PLAN_ATTRIBUTE, json.dumps(plan))


def read_plan(segmentation_node: slicer.vtkMRMLSegmentationNode) -> StoredPlan | None:
    """The plan kept with the segmentation; None where there is none."""
    text = segmentation_node.GetAttribute(_PLAN_ATTRIBUTE)
    if not text:
        return None
    plan = json.loads(text)
    return StoredPlan(plan["axis"], tuple(plan["slices"]))


def plan_volume(
    volume_node: slicer.vtkMRMLScalarVolumeNode, axis: int, count: int, strategy: str
) -> tuple[int, ...]:
    """The slices to draw in a volume.

    Args:
        volume_node: the image.
        axis: 0, 1 or 2 for slices across i, j or k.
        count: how many slices.
        strategy: fixed, random or representative.
    """
    from pgt.planning import plan_slices

    return plan_slices(volume_of(volume_node), axis, count=count, strategy=strategy).slices


def plan_from_file(path: str, volume_node: slicer.vtkMRMLScalarVolumeNode) -> StoredPlan:
    """The slices that a plan file names for a volume."""
    raise NotImplementedError
