"""The Styles panel, driven as a radiologist drives it who wants labels in the department's style."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import slicer
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from person import Person
from PySide6 import QtCore, QtGui, QtWidgets

from made_style_model import train_made_model
from pgt.case_table import read_case_table, write_case_table
from pgt.styles.model_card import read_card
from pgt.volume_io import read_label_map, read_volume


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return train_made_model(tmp_path_factory.mktemp("styles") / "hippocampi")


@pytest.fixture
def model(trained, tmp_path):
    folder = tmp_path / "hippocampi"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("*.nrrd"))
    return folder


@pytest.fixture
def module(opened_warm):
    """The module, opened on an empty scene, on workers that stay warm between tests."""
    return opened_warm("PGTStyles", "styles_panel")


class Radiologist(Person):
    """Clicks on the map and reads."""

    def open(self, folder):
        self.panel.model.open(folder)
        self.application.events()
        self.wait()

    def choose(self, row):
        self.ui.stylesTable.cellClicked.emit(row, 0)
        self.application.events()

    def mouse(self, kind, x, y, button=QtCore.Qt.MouseButton.LeftButton):
        place = QtCore.QPointF(x, y)
        moving = kind == QtCore.QEvent.Type.MouseMove
        pressed = QtCore.Qt.MouseButton.NoButton if moving else button
        event = QtGui.QMouseEvent(kind, place, place, pressed, button, QtCore.Qt.KeyboardModifier.NoModifier)
        QtWidgets.QApplication.sendEvent(self.ui.mapLabel, event)
        self.application.events()

    def click_map(self, x, y):
        self.mouse(QtCore.QEvent.Type.MouseButtonPress, x, y)
        self.mouse(QtCore.QEvent.Type.MouseButtonRelease, x, y)

    def hover(self, x, y):
        self.mouse(QtCore.QEvent.Type.MouseMove, x, y)

    def wheel(self, turns):
        event = QtGui.QWheelEvent(
            QtCore.QPointF(5, 5), QtCore.QPointF(5, 5), QtCore.QPoint(), QtCore.QPoint(0, 120 * turns),
            QtCore.Qt.MouseButton.NoButton, QtCore.Qt.KeyboardModifier.NoModifier,
            QtCore.Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        assert self.panel.map.picture.eventFilter(self.ui.mapLabel, event)
        self.application.events()


@pytest.fixture
def radiologist(application, module):
    return Radiologist(application, module)


@pytest.fixture
def scan(radiologist, trained):
    """A new volume and an empty segmentation."""
    from PGTToolkitLib.sample_data import add_volume

    node = add_volume(slicer.mrmlScene, read_volume(trained / "new.nrrd"), "New case")
    radiologist.ui.volumeSelector.setCurrentNode(node)
    radiologist.application.events()
    radiologist.click("newSegmentationButton")
    return node


def current(radiologist):
    return radiologist.panel.desk.style()


def test_the_whole_path(radiologist, model, scan, application):
    assert radiologist.ui.cardLabel.text == "No model is open."
    radiologist.open(model)
    assert radiologist.ui.cardLabel.text.startswith("22 cases · Structure · 0 named styles")
    assert radiologist.ui.mapHint.text == "3 styles found."
    table = radiologist.rows("stylesTable")
    assert [(row[0], row[1]) for row in table] == [("main", "10"), ("style 2", "6"), ("style 3", "6")]

    named = ["tight" if "case10" in group.cases else "loose"
             for group in radiologist.panel.desk.map().clusters[1:]]  # fmt: skip
    for row, name in enumerate(named, start=1):
        radiologist.ui.stylesTable.item(row, 0).setText(name)
        radiologist.application.events()
    assert set(read_card(model).styles) == {"tight", "loose"}
    for row in range(3):
        radiologist.ui.stylesTable.item(row, 0).setCheckState(QtCore.Qt.CheckState.Checked)
        radiologist.application.events()
    radiologist.click("compareButton")
    assert radiologist.ui.cancelButton.enabled
    radiologist.wait()
    volumes = {row[0]: float(row[1]) for row in radiologist.rows("volumesTable")}
    assert volumes["tight"] < volumes["main"] < volumes["loose"]
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert "spread" in slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID()).GetName()
    radiologist.choose(1 + named.index("tight"))
    assert radiologist.ui.currentStyleLabel.text == "Current style: <b>tight</b>"
    radiologist.panel.map.ring("case12")
    radiologist.ui.suspectsSection.collapsed = radiologist.ui.trainSection.collapsed = False
    radiologist.click("lookButton")
    radiologist.wait()
    assert {row[2] for row in radiologist.rows("suspectsTable")[:12]} == {"another style"}
    radiologist.picture("styles-panel.png")
    radiologist.ui.spreadBox.checked = False
    assert layers.GetForegroundVolumeID() is None

    radiologist.click("previewButton")
    radiologist.wait()
    shown = radiologist.rows("volumesTable")
    assert [row[0] for row in shown] == ["tight"]
    radiologist.click("useButton")
    assert radiologist.status.startswith("Structure written in the style tight."), radiologist.status
    segmentation = radiologist.module._parameters.segmentation
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == [segmentation]
    names = [segmentation.GetSegmentation().GetNthSegment(n).GetName() for n in range(
        segmentation.GetSegmentation().GetNumberOfSegments())]  # fmt: skip
    radiologist.click("undoButton")
    assert radiologist.status == "Taken back."
    assert names
    assert not radiologist.ui.undoButton.enabled


def test_the_map_answers_the_mouse(radiologist, model):
    radiologist.open(model)
    picture = radiologist.panel.map.picture
    place = picture.plane.places["case16"]
    radiologist.hover(*picture.plane.to_pixel(place))
    assert picture.hovered in {f"case{n}" for n in range(16, 22)}
    radiologist.click_map(*picture.plane.to_pixel(place))
    assert current(radiologist).name.startswith("as in case")
    corner = picture.plane.to_point(3, 3)
    radiologist.click_map(3, 3)
    assert current(radiologist).latent == pytest.approx(corner)
    before = picture.plane.view
    radiologist.wheel(2)
    assert picture.plane.view.unit < before.unit
    style = current(radiologist)
    radiologist.mouse(QtCore.QEvent.Type.MouseButtonPress, 40, 40)
    radiologist.hover(90, 60)
    radiologist.mouse(QtCore.QEvent.Type.MouseButtonRelease, 90, 60)
    assert current(radiologist) == style, "dragging moves the map and chooses nothing"
    radiologist.mouse(QtCore.QEvent.Type.MouseButtonDblClick, 40, 40)
    assert picture.plane.view == before


def test_the_map_is_colored_by_a_column_of_the_cases(radiologist, model):
    rows = read_case_table(model / "cases.csv")
    known = [
        replace(row, others={"rater": "Ada" if n < 14 else "Ben" if n < 21 else "", "age": str(30 + n)})
        for n, row in enumerate(rows)
    ]
    write_case_table(model / "cases.csv", known, overwrite=True)
    radiologist.open(model)
    box = radiologist.ui.colorByBox
    assert [box.itemText(n) for n in range(box.count)] == ["Style", "rater", "age"]
    by_style = dict(radiologist.panel.map.picture.colors)
    box.currentIndex = 1
    radiologist.application.events()
    colors = radiologist.panel.map.picture.colors
    assert len({colors[f"case{n}"] for n in range(14)}) == 1
    assert len({colors["case0"], colors["case14"], colors["case21"]}) == 3
    hint = radiologist.ui.mapHint.text
    assert all(word in hint for word in ("Ada (14)", "Ben (7)", "not given (1)"))
    box.currentIndex = 2
    radiologist.application.events()
    assert len({radiologist.panel.map.picture.colors[row.case] for row in rows}) == len(rows)
    assert "30" in radiologist.ui.mapHint.text
    assert "51" in radiologist.ui.mapHint.text
    box.currentIndex = 0
    radiologist.application.events()
    assert radiologist.panel.map.picture.colors == by_style
    assert radiologist.ui.mapHint.text == "3 styles found."


def test_my_slices_have_a_style(radiologist, model, scan, trained):
    from PGTToolkitLib.segment_writer import SegmentChange, SegmentWriter
    from PGTToolkitLib.session import AnnotationSession, Identity

    radiologist.open(model)
    radiologist.click("fitButton")
    assert radiologist.status == "No slice is annotated yet: draw a few slices in Annotate first."
    truth = read_label_map(trained / "new-tight.nrrd").mask(1)
    node = radiologist.module._parameters.segmentation
    session = AnnotationSession(scan, node, Identity("Ada", "1"))
    (segment,) = node.GetSegmentation().GetSegmentIDs()
    for index in (4, 6, 8):
        before = session.grid.mask(segment)
        after = before.copy()
        after[:, :, index] = truth[:, :, index]
        SegmentWriter().write(session.grid, [SegmentChange.between(segment, before, after)])
        session.take_edits(2)
    session.close()
    radiologist.click("fitButton")
    radiologist.wait()
    assert radiologist.status.startswith("Your 3 slices: Dice 0."), radiologist.status
    assert radiologist.ui.currentStyleLabel.text == "Current style: <b>from my slices</b>"
    row = [line[0] for line in radiologist.rows("stylesTable")].index("from my slices")
    radiologist.ui.stylesTable.item(row, 0).setText("Ada")
    radiologist.application.events()
    assert "Ada" in read_card(model).styles
    radiologist.click("useButton")
    session = AnnotationSession(scan, node, Identity("Ada", "1"))
    mask = session.grid.mask(segment)
    np.testing.assert_array_equal(mask[:, :, [4, 6, 8]], truth[:, :, [4, 6, 8]])
    assert mask[:, :, 5].any()
    assert session.ledger.annotated(segment, 2) == (4, 6, 8)
    session.close()


def test_suspicious_labels_are_opened_and_decided(radiologist, model):
    radiologist.open(model)
    radiologist.click("openCaseButton")
    assert radiologist.status == "Select a case in the list first."
    first = radiologist.rows("suspectsTable")[0][0]
    radiologist.ui.suspectsTable.cellDoubleClicked.emit(0, 0)
    radiologist.wait()
    assert radiologist.ui.suspectLabel.text.startswith(f"{first}: label on the left")
    radiologist.click("acceptButton")
    assert radiologist.rows("suspectsTable")[0][3] == "proposal accepted"
    assert (model / "corrected" / f"{first}.nii.gz").exists()
    radiologist.click("keepButton")
    assert radiologist.rows("suspectsTable")[0][3] == "label kept"
    radiologist.click("closeCaseButton")
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_training_grows_the_map_and_stops(radiologist, trained, tmp_path):
    radiologist.click("trainButton")
    assert radiologist.status == "Choose a folder for the model."
    rows = read_case_table(trained / "cases.csv")
    write_case_table(tmp_path / "cases.csv", [rows[number] for number in (0, 1, 10, 16)])
    import qt

    qt.QFileDialog.answer = str(tmp_path / "cases.csv")
    radiologist.click("openCaseTableButton")
    assert radiologist.ui.trainingFolderEdit.text == str(tmp_path / "cases-styles")
    assert radiologist.ui.epochsSpin.text == "Automatic"
    radiologist.ui.epochsSpin.value = 777
    radiologist.application.events()
    radiologist.click("trainButton")
    deadline = time.monotonic() + 240
    while len(radiologist.panel.map.picture.plane.places) < 4:
        assert time.monotonic() < deadline, radiologist.status
        radiologist.application.events()
        time.sleep(0.02)
    assert radiologist.ui.trainingLabel.text.startswith("Loss ")
    assert radiologist.panel.desk.training.look().of == 777
    assert not radiologist.ui.trainButton.enabled
    started = time.monotonic()
    radiologist.click("stopTrainingButton")
    while radiologist.panel.desk.training.busy:
        radiologist.application.events()
    assert time.monotonic() - started < 1.0
    radiologist.application.events()
    assert radiologist.status.startswith("Stopped.")
    assert len(radiologist.panel.map.picture.plane.places) == 0


def test_cancelling_and_a_model_that_is_none(radiologist, model, scan, tmp_path):
    radiologist.panel.model.open(tmp_path)
    assert "no style model" in radiologist.status
    radiologist.open(model)
    radiologist.click("previewButton")
    started = time.monotonic()
    radiologist.click("cancelButton")
    radiologist.wait(5.0)
    assert time.monotonic() - started < 1.0
    assert radiologist.status == "Cancelled. Nothing was changed."


def test_state_comes_back_with_the_scene(radiologist, application, model, scan, tmp_path):
    radiologist.open(model)
    radiologist.choose(2)
    radiologist.ui.stylesTable.item(1, 0).setCheckState(QtCore.Qt.CheckState.Checked)
    radiologist.application.events()
    table, style = radiologist.rows("stylesTable"), current(radiologist)
    bundle = tmp_path / "case.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(bundle), None)
    slicer.mrmlScene.Clear()
    application.events()
    assert radiologist.ui.cardLabel.text == "No model is open."
    assert slicer.mrmlScene.ReadFromMRB(str(bundle), True)
    application.events()
    radiologist.wait()
    assert radiologist.rows("stylesTable") == table
    assert current(radiologist) == style
    item = radiologist.ui.stylesTable.item(1, 0)
    assert item.checkState() == QtCore.Qt.CheckState.Checked
