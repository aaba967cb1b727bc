"""The segmentations that are selected in a tree of the scene."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from pgt.errors import InputError


def selected_segmentations(tree: Any) -> list[Any]:
    """The segmentation nodes selected in a subject hierarchy tree.

    Raises:
        InputError: none is.
    """
    items = vtk.vtkIdList()
    tree.currentItems(items)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    nodes = [hierarchy.GetItemDataNode(items.GetId(n)) for n in range(items.GetNumberOfIds())]
    chosen = [node for node in nodes if node is not None and node.IsA("vtkMRMLSegmentationNode")]
    if not chosen:
        raise InputError(_("Select one or more segmentations in the list first."))
    return chosen
