"""The slices that a rater means to draw, kept with the segmentation."""

from __future__ import annotations

import json
from pathlib import Path

import slicer

from pgt.annotation import AXIS_NAMES
from pgt.errors import InputError
from pgt.planning import SLICE_PLAN_SCHEMA, SlicePlan, plan_slices
from PGTToolkitLib.scene import shape_of, volume_of

_PLAN_ATTRIBUTE = "PGTToolkit.SlicePlan"


def plan_volume(
    volume_node: slicer.vtkMRMLScalarVolumeNode, axis: int, count: int, strategy: str
) -> SlicePlan:
    """Choose the slices to draw in a volume.

    Args:
        volume_node: the image.
        axis: 0, 1 or 2 for slices across i, j or k.
        count: how many slices.
        strategy: fixed, random or representative.
    """
    return plan_slices(volume_of(volume_node), axis, count=count, strategy=strategy)


def store_plan(segmentation_node: slicer.vtkMRMLSegmentationNode, plan: SlicePlan) -> None:
    """Keep a plan with the segmentation, instead of any other."""
    segmentation_node.SetAttribute(_PLAN_ATTRIBUTE, plan.to_json())


def stored_plan(segmentation_node: slicer.vtkMRMLSegmentationNode) -> SlicePlan | None:
    """The plan kept with the segmentation; None where there is none."""
    text = segmentation_node.GetAttribute(_PLAN_ATTRIBUTE)
    return SlicePlan.from_json(text) if text else None


def plan_from_file(path: str | Path, volume_node: slicer.vtkMRMLScalarVolumeNode) -> SlicePlan:
    """The slices of a volume in a plan file, be it of one volume or of a set of cases.

    A case is the volume's if its image is the file that the volume was read from, or if one of the two has
    the other's name.

    Raises:
        InputError: the file is no plan, does not name the volume, or names slices that the volume lacks.
    """
    plan = _plan_in(Path(path), volume_node)
    size = shape_of(volume_node)[plan.axis]
    if plan.slices[-1] >= size:
        raise InputError(
            f"{path} plans slice {plan.slices[-1]}, but {volume_node.GetName()} has slices 0 to {size - 1} "
            f"across {AXIS_NAMES[plan.axis]}."
        )
    return plan


def _plan_in(path: Path, volume_node: slicer.vtkMRMLScalarVolumeNode) -> SlicePlan:
    from pgt.case_planning import read_plan

    if _schema_of(path) == SLICE_PLAN_SCHEMA:
        return SlicePlan.from_json(path.read_text(encoding="utf-8"))
    cases = read_plan(path).cases
    storage = volume_node.GetStorageNode()
    file = Path(storage.GetFullNameFromFileName()) if storage is not None and storage.GetFileName() else None
    names = {volume_node.GetName(), *((file.name, _stem(file)) if file is not None else ())}
    exact = [case for case in cases if file is not None and case.image == file]
    named = [case for case in cases if names & {case.case, case.image.name, _stem(case.image)}]
    found = exact or named
    if len(found) != 1:
        known = ", ".join(case.case for case in cases)
        how_many = "does not name" if not found else "names more than once"
        raise InputError(f"{path} {how_many} the volume {volume_node.GetName()}; its cases are {known}.")
    return found[0].plan


def _schema_of(path: Path) -> str | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("schema") if isinstance(content, dict) else None


def _stem(path: Path) -> str:
    """The file's name without endings such as .nii.gz."""
    return path.name.partition(".")[0]
