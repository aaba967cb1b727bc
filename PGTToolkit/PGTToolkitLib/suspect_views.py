"""A suspicious training case in the views: its label on the left, the proposal on the right."""

from __future__ import annotations

import slicer

from pgt.agreement.masks import CroppedMask
from pgt.styles.correction_job import Proposal
from pgt.volume import LabelMap
from PGTToolkitLib.contour_comparison import jump_to, worst_slice
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.sample_data import add_volume
from PGTToolkitLib.scene import nodes_of
from PGTToolkitLib.slice_views import patient_orientation

_ATTRIBUTE = "PGTToolkit.SuspiciousCase"
_LAYOUT_BEFORE = "PGTToolkit.LayoutBefore"
_LEFT, _RIGHT = "Red", "Yellow"


def show_suspect(scene: slicer.vtkMRMLScene, proposal: Proposal) -> None:
    """Open a case with its label and the proposal side by side, instead of the one before.

    Raises:
        InputError: its image cannot be read.
    """
    from pgt.planning import usual_axis
    from pgt.volume_io import read_volume

    volume = read_volume(proposal.image)
    close_suspect(scene)
    image = add_volume(scene, volume, proposal.case)
    label = _segmentation(scene, f"{proposal.case}: label", proposal.label, _LEFT)
    proposed = _segmentation(scene, f"{proposal.case}: proposal", proposal.proposal, _RIGHT)
    for node in (image, label, proposed):
        node.SetAttribute(_ATTRIBUTE, proposal.case)
    for layers in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
        layers.SetBackgroundVolumeID(image.GetID())
        layers.SetLinkedControl(True)
    _side_by_side(scene)
    axis = usual_axis(volume.geometry)
    views = [node for node in nodes_of(scene, "vtkMRMLSliceNode") if node.GetLayoutName() in (_LEFT, _RIGHT)]
    for view in views:
        view.SetOrientation(patient_orientation(image, axis).capitalize())
    masks = [CroppedMask.of(one.voxels > 0) for one in (proposal.label, proposal.proposal)]
    index = worst_slice(masks[0], masks[1], axis)
    if index is not None:
        jump_to(scene, volume.geometry, masks, axis, index)


def suspect_in_view(scene: slicer.vtkMRMLScene) -> str:
    """The case that is open; empty without one."""
    nodes = nodes_of(scene, "vtkMRMLScalarVolumeNode")
    return next((str(node.GetAttribute(_ATTRIBUTE)) for node in nodes if node.GetAttribute(_ATTRIBUTE)), "")


def close_suspect(scene: slicer.vtkMRMLScene) -> None:
    """Take the case out of the scene, and give the views back their layout."""
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode"):
        for node in nodes_of(scene, kind):
            if node.GetAttribute(_ATTRIBUTE):
                scene.RemoveNode(node)
    for layout in nodes_of(scene, "vtkMRMLLayoutNode"):
        before = layout.GetAttribute(_LAYOUT_BEFORE)
        if before:
            layout.SetViewArrangement(int(before))
            layout.RemoveAttribute(_LAYOUT_BEFORE)
            _turn_back(scene)


def _segmentation(
    scene: slicer.vtkMRMLScene, name: str, label_map: LabelMap, view_name: str
) -> slicer.vtkMRMLSegmentationNode:
    masks = {segment.name: CroppedMask.of(label_map.mask(segment.value)) for segment in label_map.segments}
    node = add_segmentation(scene, name, label_map.geometry, masks)
    display = node.GetDisplayNode()
    views = [one for one in nodes_of(scene, "vtkMRMLSliceNode") if one.GetLayoutName() == view_name]
    for view in views:
        display.AddViewNodeID(view.GetID())
    for number in range(node.GetSegmentation().GetNumberOfSegments()):
        segment = node.GetSegmentation().GetNthSegment(number)
        display.SetSegmentOpacity2DFill(node.GetSegmentation().GetNthSegmentID(number), 0.25)
        segment.SetColor(*label_map.segments[number].color)
    return node


def _side_by_side(scene: slicer.vtkMRMLScene) -> None:
    for layout in nodes_of(scene, "vtkMRMLLayoutNode"):
        if not layout.GetAttribute(_LAYOUT_BEFORE):
            layout.SetAttribute(_LAYOUT_BEFORE, str(layout.GetViewArrangement()))
        layout.SetViewArrangement(layout.SlicerLayoutSideBySideView)


def _turn_back(scene: slicer.vtkMRMLScene) -> None:
    usual = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
    for view in nodes_of(scene, "vtkMRMLSliceNode"):
        if view.GetLayoutName() in usual:
            view.SetOrientation(usual[view.GetLayoutName()])
