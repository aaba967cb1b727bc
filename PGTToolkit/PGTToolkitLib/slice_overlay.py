"""A volume as heat over the image in every slice view."""

from __future__ import annotations

import slicer

from PGTToolkitLib.scene import nodes_of

_VIEW_LAYERS = "vtkMRMLSliceCompositeNode"
_COLORS = "vtkMRMLColorTableNodeIron"
_OPACITY = 0.5


def shown_as_heat(node: slicer.vtkMRMLScalarVolumeNode, lowest: float, highest: float) -> None:
    """Color a volume by its values: clear below the lowest, brightest from the highest on."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_COLORS)
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0, highest)
    display.ApplyThresholdOn()
    display.SetThreshold(lowest, 100)


def lay_over(node: slicer.vtkMRMLScalarVolumeNode, visible: bool) -> None:
    """Lay a volume over the image in all slice views, or take it away; other overlays stay."""
    for view in nodes_of(node.GetScene(), _VIEW_LAYERS):
        shown = view.GetForegroundVolumeID() == node.GetID()
        if visible and not shown:
            view.SetForegroundVolumeID(node.GetID())
            view.SetForegroundOpacity(_OPACITY)
        elif shown and not visible:
            view.SetForegroundVolumeID(None)
