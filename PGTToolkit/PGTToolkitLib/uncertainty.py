"""The uncertainty of a propagation as a volume over the image."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray

from PGTToolkitLib.slice_overlay import lay_over, shown_as_heat

_REFERENCE_ROLE = "PGTToolkit.Uncertainty"

# A voxel of which the propagation is this unsure (percent) is worth a look; below it the image stays clear.
LOWEST_SHOWN = 10
# Half the voxels being right is the worst there is: what is at 50 percent shines brightest.
HIGHEST_SHOWN = 50


def uncertainty_node(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The uncertainty volume of a segmentation; None before the first propagation."""
    return segmentation_node.GetNodeReference(_REFERENCE_ROLE)


def store_uncertainty(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    uncertainty: NDArray[np.float32],
) -> slicer.vtkMRMLScalarVolumeNode:
    """Keep the uncertainty of the newest propagation in the scene, in whole percent.

    Args:
        segmentation_node: what was propagated.
        volume_node: the image; the uncertainty gets its grid and its transform.
        uncertainty: 0 to 1 as array [i, j, k].
    """
    scene = segmentation_node.GetScene()
    node = uncertainty_node(segmentation_node)
    if node is None:
        node = scene.AddNewNodeByClass(
            "vtkMRMLScalarVolumeNode", f"{segmentation_node.GetName()} uncertainty"
        )
        segmentation_node.SetNodeReferenceID(_REFERENCE_ROLE, node.GetID())
    slicer.util.updateVolumeFromArray(node, _in_percent(uncertainty).T)
    node.CopyOrientation(volume_node)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    shown_as_heat(node, LOWEST_SHOWN, HIGHEST_SHOWN)
    return node


def _in_percent(uncertainty: NDArray[np.float32]) -> NDArray[np.uint8]:
    percent = np.empty(uncertainty.shape, dtype=np.uint8, order="F")
    # Slice by slice, because the float copies of a whole volume would be many times its size.
    for index in range(uncertainty.shape[2]):
        percent[:, :, index] = np.rint(np.clip(uncertainty[:, :, index], 0, 1) * 100)
    return percent


def show_uncertainty(segmentation_node: slicer.vtkMRMLSegmentationNode, visible: bool) -> None:
    """Lay the uncertainty over the image in all slice views, or take it away; other overlays stay."""
    node = uncertainty_node(segmentation_node)
    if node is not None:
        lay_over(node, visible)
