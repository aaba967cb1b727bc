"""Where raters disagree, as a volume over the image: entropy of their votes, in percent of one bit."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray

from pgt.geometry import Geometry, Shape
from PGTToolkitLib.scene import nodes_of
from PGTToolkitLib.slice_overlay import lay_over, shown_as_heat

_TAG = "PGTToolkitDisagreement"
_LABEL_ATTRIBUTE = "PGTToolkit.Label"

# Raters of whom one in ten differs are at 47 percent; below this a voxel is all but settled.
_LOWEST_SHOWN, _HIGHEST_SHOWN = 10, 100


def disagreement_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume in the scene; None before there is one."""
    for node in nodes_of(scene, "vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(_TAG):
            return node
    return None


def store_disagreement(
    scene: slicer.vtkMRMLScene,
    label: str,
    geometry: Geometry,
    start: Shape,
    bits: NDArray[np.float32],
) -> slicer.vtkMRMLScalarVolumeNode:
    """Keep the disagreement on a label in the scene, instead of the one before, in whole percent.

    Args:
        scene: where to keep it.
        label: what the raters disagree on.
        geometry: the grid that was compared on, in world RAS.
        start: index of the first voxel of ``bits`` on that grid.
        bits: entropy from 0 to 1 as array [i, j, k]; it is 0 around it.
    """
    node = disagreement_node(scene)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        node.SetAttribute(_TAG, "1")
    node.SetName(f"Disagreement on {label}")
    node.SetAttribute(_LABEL_ATTRIBUTE, label)
    percent = np.zeros(geometry.shape, dtype=np.uint8, order="F")
    box = tuple(slice(first, first + size) for first, size in zip(start, bits.shape, strict=True))
    percent[box] = np.rint(100 * bits)
    slicer.util.updateVolumeFromArray(node, percent.T)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
    shown_as_heat(node, _LOWEST_SHOWN, _HIGHEST_SHOWN)
    return node


def show_disagreement(scene: slicer.vtkMRMLScene, visible: bool) -> None:
    """Lay the disagreement over the image in all slice views, or take it away; other overlays stay."""
    node = disagreement_node(scene)
    if node is not None:
        lay_over(node, visible)


def disagreement_label(scene: slicer.vtkMRMLScene) -> str:
    """The label that the volume in the scene is about; empty without one."""
    node = disagreement_node(scene)
    return (node.GetAttribute(_LABEL_ATTRIBUTE) or "") if node is not None else ""
