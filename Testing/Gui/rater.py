"""A rater in front of the Annotate panel."""

from __future__ import annotations

import numpy as np
import slicer
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from person import Person


class Rater(Person):
    """Clicks, draws and looks."""

    def __init__(self, application, module, truth):
        super().__init__(application, module)
        self.truth = truth

    @property
    def session(self):
        return self.panel.workplace.session

    def begin(self, *names: str) -> None:
        """A new segmentation with segments of these names."""
        self.ui.raterEdit.text = "Ada"
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        self.ui.volumeSelector.setCurrentNode(volumes[0])
        self.click("newSegmentationButton")
        segmentation = self.session.segmentation_node.GetSegmentation()
        segmentation.RemoveAllSegments()
        for name in names:
            color = next(segment.color for segment in self.truth.segments if segment.name == name)
            segmentation.AddEmptySegment(name, name, color)
        self.application.events()

    def draw(self, name: str, index: int) -> None:
        """Draw a segment's true outline on a slice, with the paint effect."""
        value = next(segment.value for segment in self.truth.segments if segment.name == name)
        self.panel.editor.setCurrentSegmentID(name)
        mask = self.truth.voxels[:, :, index : index + 1] == value
        self.panel.editor.paint(self.session.grid.oriented_image(mask, (0, 0, index)))
        self.application.events()

    @property
    def busy(self) -> bool:
        return not self.ui.propagateButton.enabled

    def method(self, name: str) -> None:
        """Choose how to fill."""
        self.ui.methodBox.currentIndex = ["auto", "network", "shape", "contour"].index(name)

    def draw_some(self, name: str, count: int = 4) -> list[int]:
        """Draw a structure on a few slices from its first to its last."""
        value = next(segment.value for segment in self.truth.segments if segment.name == name)
        present = np.flatnonzero((self.truth.voxels == value).any(axis=(0, 1)))
        slices = sorted({int(index) for index in np.linspace(present[0], present[-1], count)})
        for index in slices:
            self.draw(name, index)
        return slices
