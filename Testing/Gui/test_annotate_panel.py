"""The Annotate panel, driven as a rater drives it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import slicer
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer

from pgt.annotation import SliceState
from pgt.sample_volume import make_sample

K = 2


@pytest.fixture(scope="module")
def sample():
    """A small made abdomen whose slices are axial, with its truth."""
    return make_sample(shape=(96, 80, 48), oblique=False)


@pytest.fixture
def module(application):
    """The module, opened on an empty scene."""
    slicer.mrmlScene.Clear()
    widget = application.open_module("PGTAnnotate")
    widget.enter()
    yield widget
    widget.exit()
    widget.cleanup()


@pytest.fixture
def rater(application, module, sample):
    """A rater in front of the panel, with the made abdomen loaded."""
    from PGTToolkitLib.sample_data import add_volume

    volume, truth = sample
    add_volume(slicer.mrmlScene, volume, "Made abdomen CT")
    application.events()
    return Rater(application, module, truth)


class Rater:
    """Clicks, draws and looks."""

    def __init__(self, application, module, truth):
        self.application = application
        self.module = module
        self.ui = module.ui
        self.panel = module.panel
        self.truth = truth

    @property
    def session(self):
        return self.panel.workplace.session

    def click(self, name: str) -> None:
        button = getattr(self.ui, name)
        assert button.enabled, f"{name} cannot be clicked: {self.ui.statusLabel.text}"
        button.click()
        self.application.events()

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

    def wait(self, seconds: float = 60.0) -> None:
        """Until the propagation is over."""
        deadline = time.monotonic() + seconds
        while not self.ui.propagateButton.enabled and time.monotonic() < deadline:
            self.application.events()
            time.sleep(0.01)
        assert self.ui.propagateButton.enabled, "the propagation did not end"

    def rows(self, table: str) -> list[list[str]]:
        widget = getattr(self.ui, table)
        return [
            [widget.item(row, column).text() for column in range(widget.columnCount)]
            for row in range(widget.rowCount)
        ]

    @property
    def status(self) -> str:
        return self.ui.statusLabel.text


def picture(rater: Rater, name: str) -> None:
    """Keep a picture of the panel where `make screenshots` asked for it."""
    folder = os.environ.get("PGT_SCREENSHOTS")
    if folder:
        rater.application.photograph(Path(folder) / name)


def test_the_whole_path(rater):
    rater.begin("Liver", "Spleen")
    rater.ui.sliceCountBox.value = 7
    rater.ui.methodBox.currentIndex = 2
    rater.click("planButton")
    assert rater.status == "7 axial slices to draw."
    planned = [int(row[0]) for row in rater.rows("planTable")]
    assert len(planned) == 7
    assert rater.panel.workplace.shown == planned[0]

    liver = next(segment.value for segment in rater.truth.segments if segment.name == "Liver")
    for index in planned:
        rater.panel.editor.setCurrentSegmentID("Liver")
        if (rater.truth.voxels[:, :, index] == liver).any():
            rater.draw("Liver", index)
            assert rater.status == f"Slice {index}: Liver annotated."
        else:
            rater.panel.workplace.show(index)
            rater.click("confirmButton")
            assert rater.status == f"Liver is absent from slice {index}."
    states = {row[1] for row in rater.rows("planTable")}
    assert states == {"● Annotated", "● Annotated, empty"}
    assert rater.ui.planSection.text == "2. Plan: 7 of 7 slices drawn"
    before = rater.session.grid.mask("Liver")

    rater.click("propagateButton")
    assert rater.ui.cancelButton.enabled
    assert not rater.ui.propagateButton.enabled
    rater.wait()
    assert rater.status.startswith("Propagated."), rater.status
    assert "cpu" in rater.ui.progressLabel.text
    after = rater.session.grid.mask("Liver")
    np.testing.assert_array_equal(after[:, :, planned], before[:, :, planned])
    review = rater.rows("reviewTable")
    assert review
    assert all(row[1] == "● Not reviewed" for row in review)

    rater.ui.reviewTable.cellClicked.emit(0, 0)
    shown = rater.panel.workplace.shown
    assert shown == int(review[0][0])
    display = rater.session.segmentation_node.GetDisplayNode()
    assert not display.GetSegmentVisibility2DFill("Liver")
    assert "not reviewed" in rater.ui.reviewLabel.text
    picture(rater, "annotate-panel.png")
    rater.click("acceptButton")
    assert rater.session.ledger.state("Liver", K, shown) is SliceState.REVIEWED
    rater.panel.workplace.show(shown)
    assert display.GetSegmentVisibility2DFill("Liver")

    rater.ui.acceptAboveBox.value = 0
    rater.click("acceptAllButton")
    assert {row[1] for row in rater.rows("reviewTable")} == {"● Reviewed"}

    rater.click("undoButton")
    np.testing.assert_array_equal(rater.session.grid.mask("Liver"), before)
    assert rater.rows("reviewTable") == []
    assert rater.session.ledger.annotated("Liver", K) == tuple(planned)
