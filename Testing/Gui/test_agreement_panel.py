"""The Agreement panel, driven as somebody drives it who wants to know how far raters agree."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import slicer
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from PySide6 import QtGui, QtWidgets
from reader import Reader

from pgt.agreement.masks import CroppedMask
from pgt.geometry import Geometry
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap
from pgt.volume_io import write_label_map

GRID = Geometry((40, 36, 24), (1.5, 1.5, 3.0))


@pytest.fixture
def module(opened_warm):
    """The module, opened on an empty scene, on a worker that stays warm between tests."""
    return opened_warm("PGTAgreement", "agreement_panel")


@pytest.fixture
def reader(application, module):
    return Reader(application, module)


def organ(radius, shift=0.0, centre=(28.0, 26.0, 35.0)):
    points = np.moveaxis(np.indices(GRID.shape), 0, -1) * np.array(GRID.spacing)
    return CroppedMask.of(((points - centre - [shift, 0, 0]) ** 2).sum(axis=-1) <= radius**2)


def segmentation(name, radius, shift=0.0, labels=("Liver", "Spleen")):
    from PGTToolkitLib.new_segmentation import add_segmentation

    masks = {labels[0]: organ(radius, shift), labels[1]: organ(radius / 2, 0, (12, 40, 35))}
    return add_segmentation(slicer.mrmlScene, name, GRID, masks)


@pytest.fixture
def four(reader):
    """Two raters, one of them twice, and a model."""
    nodes = [
        segmentation("case7_Ada", 20),
        segmentation("case7_Ada_again", 20.7),
        segmentation("case7_Ben", 18, 1.5),
        segmentation("case7_Net", 19.5),
    ]
    reader.application.events()
    return nodes


def named(reader):
    """Add all readings and say whose they are."""
    reader.ui.patternEdit.text = "case7"
    reader.click("addMatchingButton")
    for row, (rater, session) in enumerate((("Ada", "1"), ("Ada", "2"), ("Ben", "1"), ("Net", "1"))):
        reader.write("readingsTable", row, 2, session)
        reader.write("readingsTable", row, 1, rater)
    reader.ui.readingsTable.cellWidget(3, 4).currentIndex = 2
    reader.application.events()


def compared(reader):
    named(reader)
    reader.click("compareButton")
    reader.wait()
    assert "comparisons; structures: 2" in reader.status, reader.status


def test_the_whole_path(reader, four, tmp_path):
    named(reader)
    assert reader.status.startswith("4 readings added.")
    assert reader.ui.readingsSection.text == "1. Readings: 4 in the scene"
    assert reader.ui.labelsSection.text == "2. Labels: 2 compared"
    reader.ui.toleranceBox.value = 1.5
    reader.click("compareButton")
    assert reader.ui.cancelButton.enabled
    assert not reader.ui.compareButton.enabled
    reader.wait()
    assert reader.status.startswith("12 comparisons; structures: 2, cases: 1."), reader.status
    assert len(reader.rows("pairsTable")) == 12

    reader.choose("labelBox", "Liver")
    reader.choose("metricBox", "Dice")
    a, b = organ(20).full(), organ(18, 1.5).full()
    dice = 2 * (a & b).sum() / (a.sum() + b.sum())
    assert len(reader.rows("pairsTable")) == 6
    matrix = reader.rows("matrixTable")
    assert matrix[0][2] == matrix[2][0] == f"{dice:.3f}"
    assert "Between raters: " in reader.ui.summaryLabel.text
    assert "Within raters: " in reader.ui.summaryLabel.text
    assert "Metrics that suit it: Dice, NSD" in reader.ui.summaryLabel.text

    reader.ui.matrixTable.cellClicked.emit(0, 2)
    reader.application.events()
    assert reader.ui.shownLabel.text.startswith("Liver in scene: Ada (blue) and Ben (orange), slice ")
    display = four[0].GetDisplayNode()
    liver = four[0].GetSegmentation().GetNthSegmentID(0)
    assert not display.GetSegmentVisibility2DFill(liver)

    reader.ui.expertEdit.text = "Dee"
    reader.choose("ratingBox", "4")
    reader.click("rateButton")
    assert "Rated 4 (Dee)." in reader.ui.shownLabel.text
    reader.ui.disagreementBox.checked = True
    reader.application.events()
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    overlay = slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID())
    assert overlay.GetName() == "Disagreement on Liver"
    reader.picture("agreement-panel.png")
    reader.ui.disagreementBox.checked = False
    reader.application.events()
    assert layers.GetForegroundVolumeID() is None
    reader.click("showAllButton")
    assert display.GetSegmentVisibility2DFill(liver)

    reader.choose("methodBox", "Majority")
    reader.click("consensusButton")
    reader.wait()
    assert reader.status.startswith("Consensus made; "), reader.status
    assert slicer.util.getNode("Consensus").GetSegmentation().GetNumberOfSegments() == 2

    import qt

    qt.QFileDialog.answer = str(tmp_path)
    reader.click("exportButton")
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "report.json", "pairs.csv", "ratings.csv"
    }  # fmt: skip
    assert reader.status == f"The report is in {tmp_path}."


def test_selected_segmentations_are_added_and_removed(reader, four):
    reader.select(four[0], four[2])
    reader.click("addSelectedButton")
    assert [row[:3] for row in reader.rows("readingsTable")] == [
        ["case7_Ada", "case7_Ada", "1"], ["case7_Ben", "case7_Ben", "1"]
    ]  # fmt: skip
    reader.click("addSelectedButton")
    assert reader.status == "These segmentations are in the table already."
    reader.ui.readingsTable.selectRow(0)
    reader.click("removeReadingButton")
    assert [row[0] for row in reader.rows("readingsTable")] == ["case7_Ben"]
    reader.select()
    reader.click("addSelectedButton")
    assert reader.status == "Select one or more segmentations in the list first."


def test_nothing_can_be_done_before_there_is_something_to_do(reader):
    for name in ("bandPlotButton", "copyButton", "rateButton", "exportButton", "disagreementBox"):
        assert not getattr(reader.ui, name).enabled, name
    reader.click("compareButton")
    assert reader.status == "Add two segmentations or more to compare."
    assert reader.ui.compareButton.enabled


def test_labels_are_mended_in_the_table(reader, four):
    four[2].GetSegmentation().GetNthSegment(0).SetName("Hepar")
    compared_names = [["Liver", "1", "Liver"], ["Spleen", "2", "Spleen"], ["Hepar", "1", "Hepar"]]
    reader.select(four[0], four[2])
    reader.click("addSelectedButton")
    assert reader.rows("labelsTable") == compared_names
    reader.write("labelsTable", 2, 2, "Liver")
    reader.write("labelsTable", 1, 2, "")
    assert reader.ui.labelsSection.text == "2. Labels: 1 compared"
    reader.click("compareButton")
    reader.wait()
    (line,) = reader.rows("pairsTable")
    assert line[1] == "Liver"
    reader.click("resetLabelsButton")
    assert reader.rows("labelsTable") == compared_names


def test_the_metrics_asked_for_are_computed(reader, four):
    assert reader.ui.metricsSection.text == "Metrics: 11 of 14"
    boxes = {box.text: box for box in reader.ui.metricsPlace.findChildren(QtWidgets.QCheckBox)}
    for title, box in boxes.items():
        box.checked = title == "clDice"
    assert reader.ui.metricsSection.text == "Metrics: 1 of 14"
    compared(reader)
    header = reader.ui.pairsTable.horizontalHeaderItem(4).text()
    assert header == "clDice"
    assert reader.ui.pairsTable.columnCount == 5


def test_the_table_is_sorted_by_numbers_and_copied(reader, four):
    compared(reader)
    reader.choose("labelBox", "Liver")
    heading = reader.ui.pairsTable.horizontalHeader().sectionClicked
    heading.emit(4)
    rising = [float(row[4]) for row in reader.rows("pairsTable")]
    heading.emit(4)
    falling = [float(row[4]) for row in reader.rows("pairsTable")]
    assert rising == sorted(rising) == falling[::-1]
    reader.click("copyButton")
    lines = QtGui.QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[:5] == ["Case", "Label", "A", "B", "Dice"]
    assert [float(line.split("\t")[4]) for line in lines[1:]] == falling


def test_cancelling(reader):
    rng = np.random.default_rng(0)
    from PGTToolkitLib.new_segmentation import add_segmentation

    for name in ("Ada", "Ben", "Cid", "Dan", "Eve", "Fay"):
        sponge = CroppedMask.of(rng.random((170, 170, 120)) < 0.5)
        add_segmentation(slicer.mrmlScene, name, Geometry((170, 170, 120)), {"Sponge": sponge})
    reader.click("addMatchingButton")
    reader.click("compareButton")
    reader.application.events()
    started = time.monotonic()
    reader.click("cancelButton")
    reader.wait(5.0)
    assert time.monotonic() - started < 1.0
    assert reader.status == "Cancelled. Nothing was changed."
    assert reader.rows("pairsTable") == []
    assert not reader.ui.cancelButton.enabled


def test_a_dying_worker_is_a_line_and_the_next_try_works(reader, four, warm_workers):
    named(reader)
    reader.click("compareButton")
    os.kill(warm_workers[0].process_id, 9)
    reader.wait()
    assert "Your annotation is untouched" in reader.status
    reader.click("compareButton")
    reader.wait()
    assert len(reader.rows("pairsTable")) == 12


def test_raters_without_a_common_label_are_a_line_not_a_window(reader):
    segmentation("Ada", 20)
    segmentation("Ben", 18, labels=("Lung", "Aorta"))
    reader.click("addMatchingButton")
    reader.click("compareButton")
    reader.wait()
    assert "label in common" in reader.status


def test_state_comes_back_with_the_scene(application, reader, four, tmp_path):
    compared(reader)
    reader.choose("labelBox", "Spleen")
    reader.choose("metricBox", "IoU")
    reader.ui.matrixTable.cellClicked.emit(0, 2)
    reader.ui.expertEdit.text = "Dee"
    reader.choose("ratingBox", "2")
    reader.click("rateButton")
    reader.click("casesPlotButton")
    tables = {
        name: reader.rows(name) for name in ("readingsTable", "labelsTable", "matrixTable", "pairsTable")
    }
    bundle = tmp_path / "case.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(bundle), None)
    slicer.mrmlScene.Clear()
    application.events()
    assert reader.rows("readingsTable") == reader.rows("pairsTable") == []
    assert slicer.mrmlScene.ReadFromMRB(str(bundle), True)
    application.events()
    assert {name: reader.rows(name) for name in tables} == tables
    assert reader.ui.readingsTable.cellWidget(3, 4).currentIndex == 2
    reader.ui.matrixTable.cellClicked.emit(0, 2)
    assert "Rated 2 (Dee)." in reader.ui.shownLabel.text


def test_a_click_on_a_point_shows_its_case(reader, four):
    compared(reader)
    reader.choose("labelBox", "Liver")
    reader.click("casesPlotButton")
    reader.click("bandPlotButton")
    reader.click("casesPlotButton")
    chart = next(
        node
        for node in slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
        if node.GetTitle().endswith("by case")
    )
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    view.click(chart.GetNthPlotSeriesNodeID(0), 0)
    reader.application.events()
    assert reader.ui.shownLabel.text.startswith("Liver in scene: ")


def test_bland_altman_follows_the_readings_chosen_in_the_matrix(reader, four):
    compared(reader)
    reader.choose("labelBox", "Liver")
    reader.ui.matrixTable.cellClicked.emit(0, 3)
    reader.click("blandAltmanButton")
    assert reader.status.startswith("The volumes of Ada and Net were not compared")
    assert slicer.util.getNodesByClass("vtkMRMLPlotChartNode") == []
    reader.ui.matrixTable.cellClicked.emit(0, 2)
    reader.click("blandAltmanButton")
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert chart.GetTitle() == "Bland–Altman: Liver, Ben minus Ada", reader.status


@pytest.fixture
def case_list(tmp_path):
    rng = np.random.default_rng(2)
    lines = ["case,rater,session,file"]
    for case in ("c1", "c2", "c3"):
        for rater, session in (("Ada", "1"), ("Ada", "2"), ("Ben", "1")):
            voxels = organ(19 + rng.normal(0, 0.6)).full().astype(np.uint8)
            name = f"{case}_{rater}{session}.nii.gz"
            write_label_map(LabelMap.from_voxels(voxels, GRID), tmp_path / name)
            lines.append(f"{case},{rater},{session},{name}")
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_a_case_list_is_compared_and_its_cases_are_seen(reader, case_list):
    import qt

    qt.QFileDialog.answer = str(case_list)
    reader.click("openCaseListButton")
    reader.wait()
    assert reader.ui.readingsNote.text == "3 cases; Ada, Ada (session 2), Ben."
    assert reader.rows("labelsTable") == [["1", "9", "1"]]
    reader.click("compareButton")
    reader.wait()
    assert len(reader.rows("pairsTable")) == 9
    reader.ui.pairsTable.cellClicked.emit(3, 0)
    reader.wait()
    assert " in c2: " in reader.ui.shownLabel.text
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
    assert names == ["c2 Ada", "c2 Ada (session 2)", "c2 Ben"]
    reader.click("consensusButton")
    reader.wait()
    assert slicer.util.getNode("Consensus") is not None
    reader.click("closeCaseListButton")
    assert not reader.ui.closeCaseListButton.enabled
    case_list.write_text("case,rater\n")
    reader.click("openCaseListButton")
    reader.wait()
    assert "cases.csv" in reader.status


def test_packages_for_the_page_may_be_declined(application, reader, four, monkeypatch, tmp_path):
    from PGTToolkitLib import dependencies

    monkeypatch.setattr(dependencies, "_satisfied", lambda need: need.name != "Jinja2")
    monkeypatch.setattr(application, "consent", False)
    application.asked_to_install.clear()
    compared(reader)
    reader.click("compareButton")
    reader.wait()
    assert application.asked_to_install == [["Jinja2>=3.1"]], "asked once"
    import qt

    qt.QFileDialog.answer = str(tmp_path)
    reader.click("exportButton")
    assert "It has no page" in reader.status
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "pairs.csv"}


def test_a_made_abdomen_fits(reader):
    """The image names the case and is shown in the report."""
    from PGTToolkitLib.new_segmentation import add_segmentation
    from PGTToolkitLib.sample_data import add_volume

    volume, truth = make_sample(shape=(96, 80, 48))
    node = add_volume(slicer.mrmlScene, volume, "Made CT")
    masks = {one.name: CroppedMask.of(truth.mask(one.value)) for one in truth.segments[:2]}
    for rater in ("Ada", "Ben"):
        add_segmentation(slicer.mrmlScene, rater, truth.geometry, masks)
    reader.ui.volumeSelector.setCurrentNode(node)
    reader.click("addMatchingButton")
    reader.click("compareButton")
    reader.wait()
    assert {row[0] for row in reader.rows("pairsTable")} == {"Made CT"}
    assert {row[4] for row in reader.rows("pairsTable")} == {"1.000"}
