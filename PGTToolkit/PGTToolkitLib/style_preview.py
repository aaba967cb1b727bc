"""Segmentations in a style, shown before anybody decides to use one: a preview, or several styles at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask
from pgt.geometry import Geometry
from pgt.styles.segment_job import StyledVolume, StyledVolumes
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.scene import ijk_to_world, nodes_of, segment_ids, shape_of
from PGTToolkitLib.slice_overlay import lay_over, shown_as_heat

Color = tuple[float, float, float]

_PREVIEW = "PGTToolkit.StylePreview"
_SPREAD = "PGTToolkit.StyleSpread"

# With two styles any disagreement is a split in half; one of six who differs is at a third.
_LOWEST_SHOWN, _HIGHEST_SHOWN = 10, 100


def show_preview(
    volume_node: slicer.vtkMRMLScalarVolumeNode, found: StyledVolumes, colors: Sequence[Color]
) -> slicer.vtkMRMLSegmentationNode:
    """Show segmentations over the image as outlines, instead of those shown before.

    Args:
        volume_node: what was segmented.
        found: in one style or several.
        colors: one for each style.
    """
    scene = volume_node.GetScene()
    remove_preview(scene)
    several = len(found.volumes) > 1
    masks: dict[str, CroppedMask] = {}
    outlined: list[Color] = []
    for one, color in zip(found.volumes, colors, strict=True):
        for name, mask in _structures(one, several):
            masks[name] = mask
            outlined.append(color)
    title = (
        f"{volume_node.GetName()} in {len(found.volumes)} styles"
        if several
        else f"{volume_node.GetName()}, style {found.volumes[0].style.name}"
    )
    node = add_segmentation(scene, title, _world(volume_node), masks)
    node.SetAttribute(_PREVIEW, volume_node.GetID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    display = node.GetDisplayNode()
    for segment, color in zip(segment_ids(node), outlined, strict=True):
        if several:
            node.GetSegmentation().GetSegment(segment).SetColor(*color)
        display.SetSegmentVisibility2DFill(segment, not several)
        display.SetSegmentOpacity2DFill(segment, 0.3)
    if found.spread is not None:
        _store_spread(volume_node, found.spread)
    return node


def preview_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSegmentationNode | None:
    """What is shown; None where nothing is."""
    return _tagged(scene, "vtkMRMLSegmentationNode", _PREVIEW)


def spread_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """How far the styles that were compared disagree, in percent; None before a comparison."""
    return _tagged(scene, "vtkMRMLScalarVolumeNode", _SPREAD)


def show_spread(scene: slicer.vtkMRMLScene, visible: bool) -> None:
    """Lay the spread over the image in all slice views, or take it away; other overlays stay."""
    node = spread_node(scene)
    if node is not None:
        lay_over(node, visible)


def remove_preview(scene: slicer.vtkMRMLScene) -> None:
    """Take preview and spread out of the scene."""
    show_spread(scene, False)
    for node in (preview_node(scene), spread_node(scene)):
        if node is not None:
            scene.RemoveNode(node)


def _structures(one: StyledVolume, several: bool) -> list[tuple[str, CroppedMask]]:
    style = f" ({one.style.name})" if several else ""
    return [
        (f"{segment.name}{style}", CroppedMask.of(one.label_map.mask(segment.value)))
        for segment in one.label_map.segments
    ]


def _store_spread(volume_node: slicer.vtkMRMLScalarVolumeNode, spread: NDArray[np.float32]) -> None:
    scene = volume_node.GetScene()
    name = scene.GenerateUniqueName(f"{volume_node.GetName()} spread of styles")
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAttribute(_SPREAD, volume_node.GetID())
    percent = np.rint(100 * spread).astype(np.uint8)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(percent.T))
    node.CopyOrientation(volume_node)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    shown_as_heat(node, _LOWEST_SHOWN, _HIGHEST_SHOWN)


def _world(volume_node: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    return Geometry.from_ijk_to_ras(ijk_to_world(volume_node), shape_of(volume_node))


def _tagged(scene: slicer.vtkMRMLScene, kind: str, attribute: str) -> slicer.vtkMRMLNode | None:
    return next((node for node in nodes_of(scene, kind) if node.GetAttribute(attribute)), None)
