"""The Export panel, driven as a radiologist drives it who hands finished labels on."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import slicer
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from exporter import CASES, GRID, SHAPE, Radiologist, liver, states
from PySide6 import QtCore

from pgt.agreement.masks import CroppedMask
from pgt.annotation import SliceState
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import read_label_map, write_label_map, write_volume


@pytest.fixture
def module(opened_warm):
    """The module, opened on an empty scene, on a worker that stays warm between tests."""
    return opened_warm("PGTExport", "export_panel")


@pytest.fixture
def radiologist(application, module):
    return Radiologist(application, module)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A case list of CASES, with states in files beside the labels."""
    folder = tmp_path_factory.mktemp("cases")
    lines = ["case,image,label,ledger,rater,agreement,suspicious"]
    for number, (case, annotated, reviewed, propagated, agreement, suspicious) in enumerate(CASES):
        image = np.random.default_rng(number).normal(size=SHAPE).astype(np.float32)
        write_volume(Volume(image, GRID), folder / f"{case}.nii.gz")
        label = LabelMap(
            liver(14.5).astype(np.uint8), GRID, (Segment(1, "Liver", (0.8, 0.4, 0.3), "", "liver"),)
        )
        write_label_map(label, folder / f"{case}.seg.nrrd")
        (folder / f"{case}.json").write_text(states("liver", annotated, reviewed, propagated).to_json())
        lines.append(f"{case},{case}.nii.gz,{case}.seg.nrrd,{case}.json,Ada,{agreement or ''},{suspicious}")
    path = folder / "CASES.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def drawn(radiologist):
    """A case drawn in this scene."""
    from PGTToolkitLib.ledger_tags import write_ledger
    from PGTToolkitLib.new_segmentation import add_segmentation
    from PGTToolkitLib.sample_data import add_volume

    volume = Volume(np.random.default_rng(9).normal(size=SHAPE).astype(np.float32), GRID)
    image = add_volume(slicer.mrmlScene, volume, "liver-09")
    node = add_segmentation(slicer.mrmlScene, "Drawn", GRID, {"Liver": CroppedMask.of(liver(14.5))})
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    write_ledger(node, states(node.GetSegmentation().GetNthSegmentID(0), 4, 5, 1))
    radiologist.application.events()
    return node


def test_states_of_a_list_and_of_the_scene_are_seen_and_filtered(radiologist, table, drawn):
    radiologist.open_list(table)
    assert radiologist.status == "Cases read: 8."
    radiologist.select(drawn)
    radiologist.click("addSelectedButton")
    assert radiologist.cases() == [case[0] for case in CASES] + ["liver-09"]
    assert radiologist.ui.casesTable.item(2, 1).toolTip() == "Liver: 3 annotated, 2 reviewed, 5 not reviewed"
    assert radiologist.ui.casesTable.item(8, 1).toolTip() == "Liver: 4 annotated, 5 reviewed, 1 not reviewed"
    assert [row[2] for row in radiologist.rows()] == [
        "0.94", "0.91", "0.90", "0.88", "0.71", "0.92", "0.95", "", ""
    ]  # fmt: skip
    assert set(radiologist.export_column().values()) == {"✓"}
    radiologist.tick("reviewedBox")
    radiologist.tick("agreementBox")
    radiologist.tick("suspiciousBox")
    assert radiologist.export_column() == {
        "liver-01": "✓", "liver-02": "✓", "liver-03": "✕ not reviewed", "liver-04": "✕ not reviewed",
        "liver-05": "✕ agreement", "liver-06": "✕ suspicious", "liver-07": "✓", "liver-08": "✕ not compared",
        "liver-09": "✕ not reviewed, not compared, not looked at",
    }  # fmt: skip
    tips = [radiologist.ui.casesTable.item(row, 4).toolTip() for row in (2, 4)]
    assert tips == ["5 propagated slices wait for review.", "Raters agree to 0.710, below 0.8."]
    assert radiologist.ui.filterSection.text == "2. Filter: 3 of 9 cases go"
    assert (
        radiologist.ui.filterLabel.text
        == "Left out: 3 not reviewed, 2 not compared, 1 agreement, 1 suspicious, 1 not looked at."
    )
    radiologist.ui.agreementSpin.value = 0.7
    radiologist.application.events()
    assert radiologist.export_column()["liver-05"] == "✓"


def test_the_whole_path(radiologist, table, drawn, tmp_path):
    radiologist.select(drawn)
    radiologist.click("addSelectedButton")
    radiologist.open_list(table)
    for box in ("reviewedBox", "agreementBox", "segmentationBox", "nnunetBox", "ignoreBox"):
        radiologist.tick(box)
    radiologist.ui.datasetNameEdit.text = "Liver"
    radiologist.ui.datasetNumberSpin.value = 7
    radiologist.answer(tmp_path / "export")
    radiologist.click("chooseFolderButton")
    assert radiologist.ui.resumeLabel.text == ""
    assert radiologist.ui.exportButton.text == "Export 4 of 9 cases"
    radiologist.click("exportButton")
    assert radiologist.ui.cancelButton.enabled
    radiologist.wait()
    assert radiologist.status == f"The export is in {tmp_path / 'export'}."
    assert radiologist.ui.resultLabel.text.startswith("Cases written: 4; failed: 0; left out: 5. ")
    assert radiologist.rows("outcomeTable")[0] == [
        "liver-03",
        "left out",
        "5 propagated slices wait for review.",
    ]
    content = json.loads(next((tmp_path / "export").rglob("dataset.json")).read_text())
    assert content["numTraining"] == 4
    assert "ignore" in content["labels"]
    assert next((tmp_path / "export").rglob("dataset.json")).parent.name == "Dataset007_Liver"
    assert (tmp_path / "export" / "SHA256SUMS").exists()
    radiologist.select()
    radiologist.ui.structuresSection.collapsed = False
    radiologist.picture("export-panel.png")

    radiologist.click("exportButton")
    radiologist.wait()
    assert "(4 of them in an earlier run)" in radiologist.ui.resultLabel.text
    assert radiologist.ui.resumeLabel.text.startswith("This folder holds a finished export of 4 cases")
    radiologist.tick("reviewedBox", False)
    radiologist.click("exportButton")
    radiologist.wait()
    assert "holds a finished export" in radiologist.status
    assert "tick Replace to replace it" in radiologist.status
    assert radiologist.ui.resultLabel.text == ""
    radiologist.tick("replaceBox")
    radiologist.click("exportButton")
    radiologist.wait()
    assert radiologist.ui.resultLabel.text.startswith("Cases written: 6; failed: 0; left out: 3. ")


def test_a_cancelled_export_goes_on(radiologist, table, tmp_path):
    radiologist.open_list(table)
    radiologist.answer(tmp_path / "export")
    radiologist.click("chooseFolderButton")
    radiologist.click("exportButton")
    started = time.monotonic()
    radiologist.click("cancelButton")
    radiologist.wait(5.0)
    assert time.monotonic() - started < 1.0
    assert radiologist.status == "Stopped. Cases that were written stay; Export goes on with the others."
    radiologist.click("exportButton")
    radiologist.wait()
    assert radiologist.ui.resultLabel.text.startswith("Cases written: 8")


def test_headings_sort(radiologist, table):
    radiologist.open_list(table)
    header = radiologist.ui.casesTable.horizontalHeader()
    header.sectionClicked.emit(1)
    assert radiologist.cases()[:2] == ["liver-04", "liver-03"], "what waits for review comes first"
    header.sectionClicked.emit(2)
    assert radiologist.cases()[:3] == ["liver-08", "liver-05", "liver-04"]
    header.sectionClicked.emit(2)
    assert radiologist.cases()[0] == "liver-07"
    header.sectionClicked.emit(3)
    assert radiologist.cases()[0] == "liver-06"
    radiologist.tick("reviewedBox")
    header.sectionClicked.emit(4)
    assert sorted(radiologist.cases()[:2]) == ["liver-03", "liver-04"]
    header.sectionClicked.emit(0)
    assert radiologist.cases() == [case[0] for case in CASES]
    rows = radiologist.ui.casesTable
    rows.selectAll()
    header.sectionClicked.emit(0)
    assert len(rows.selectionModel().selectedRows()) == len(CASES), "what is selected stays so"


def test_what_others_know_of_the_cases_is_taken_over(radiologist, table, tmp_path):
    radiologist.open_list(table)
    pairs = [{"case": "liver-08", "kind": "inter-rater", "dice": value} for value in (0.8, 0.9)]
    (tmp_path / "report.json").write_text(json.dumps({"schema": "pgt-agreement", "pairs": pairs}))
    suspects = [{"case": "liver-01", "suggestion": "bad label", "score": 0.9}]
    (tmp_path / "suspects.json").write_text(json.dumps(suspects))
    for button, path in (
        ("reportButton", tmp_path), ("suspectsButton", tmp_path / "suspects.json"), ("seriesButton", tmp_path)
    ):  # fmt: skip
        radiologist.answer(path)
        radiologist.click(button)
        radiologist.wait()
    rows = {row[0]: row for row in radiologist.rows()}
    assert rows["liver-08"][2] == "0.85"
    assert rows["liver-07"][2] == "0.95", "the list's own"
    assert rows["liver-01"][3] == "suspicious"
    assert radiologist.ui.casesTable.item(0, 3).toolTip() == "bad label"
    radiologist.click("readAgainButton")
    radiologist.click("cancelButton")
    radiologist.wait()
    assert radiologist.status in ("Stopped. The cases were not read.", "Cases read: 8.")
    radiologist.answer("")
    radiologist.click("suspectsButton")
    radiologist.wait()
    assert radiologist.rows()[0][3] == "usual"


def test_bad_lists_are_one_sentence(radiologist, table, tmp_path):
    (tmp_path / "CASES.csv").write_text("case,image,label\na,nothing.nii.gz,nothing.nii.gz\n")
    radiologist.open_list(tmp_path / "CASES.csv")
    assert "do not exist" in radiologist.status
    assert radiologist.rows() == []
    radiologist.click("closeListButton")
    radiologist.answer(tmp_path)
    radiologist.click("openFolderButton")
    radiologist.wait()
    assert "holds no scene" in radiologist.status
    radiologist.click("exportButton")
    assert radiologist.status == "Choose a folder for the files."
    radiologist.answer(tmp_path / "out")
    radiologist.click("chooseFolderButton")
    radiologist.click("exportButton")
    assert radiologist.status.startswith("Add cases first")


def test_a_case_is_opened_where_it_waits_for_review(radiologist, table, drawn):
    radiologist.open_list(table)
    radiologist.ui.casesTable.cellDoubleClicked.emit(3, 0)
    radiologist.application.events()
    assert radiologist.status == "liver-04 is in the views."
    opened = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if node is not drawn]
    from PGTToolkitLib.ledger_tags import read_ledger

    (node,) = opened
    assert (
        len(read_ledger(node).slices(node.GetSegmentation().GetNthSegmentID(0), 2, SliceState.PROPAGATED))
        == 8
    )
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    # Slices 5 to 12 wait; the view stands on the middle one of them.
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(GRID.origin[2] + 9 * 3.0)
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert slicer.mrmlScene.GetNodeByID(layers.GetBackgroundVolumeID()).GetName() == "liver-04"
    radiologist.ui.casesTable.selectRow(0)
    radiologist.click("openCaseButton")
    assert radiologist.status == "liver-01 is in the views."
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 2
    radiologist.click("closeListButton")
    radiologist.select(drawn)
    radiologist.click("addSelectedButton")
    radiologist.ui.casesTable.cellDoubleClicked.emit(0, 0)
    assert slicer.mrmlScene.GetNodeByID(layers.GetBackgroundVolumeID()).GetName() == "liver-09"


def test_state_comes_back_with_the_scene(radiologist, application, table, drawn, tmp_path):
    radiologist.open_list(table)
    radiologist.select(drawn)
    radiologist.click("addSelectedButton")
    radiologist.tick("reviewedBox")
    radiologist.tick("nnunetBox")
    before = radiologist.rows()
    bundle = tmp_path / "case.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(bundle), None)
    slicer.mrmlScene.Clear()
    application.events()
    assert radiologist.rows() == []
    assert slicer.mrmlScene.ReadFromMRB(str(bundle), True)
    application.events()
    radiologist.wait()
    assert radiologist.rows() == before
    assert radiologist.ui.reviewedBox.checked
    assert radiologist.ui.nnunetBox.checked
    radiologist.ui.casesTable.selectRow(8)
    assert radiologist.ui.casesTable.selectionModel().selectedRows()[0].row() == 8
    radiologist.click("removeCaseButton")
    assert radiologist.rows() == before[:8]
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode"), "the scene keeps its segmentation"


def test_options_say_what_they_mean(radiologist, table):
    radiologist.open_list(table)
    assert radiologist.ui.dicomLabel.text == "0 of 8 cases know their DICOM series."
    radiologist.tick("dicomBox")
    assert radiologist.ui.dicomLabel.text == (
        "0 of 8 cases know their DICOM series; not liver-01, liver-02, liver-03 …."
    )
    assert not radiologist.ui.datasetNumberSpin.enabled
    radiologist.tick("nnunetBox")
    assert radiologist.ui.datasetNumberSpin.enabled
    assert radiologist.ui.ignoreBox.enabled
    assert not radiologist.ui.separateBox.enabled
    for box in ("niftiBox", "nnunetBox"):
        radiologist.tick(box, False)
    assert not radiologist.ui.ignoreBox.enabled
    assert "Nothing names a patient" in radiologist.ui.identifiersLabel.text
    radiologist.tick("identifiersBox")
    assert "keep the files safe" in radiologist.ui.identifiersLabel.text


def test_structures_are_renamed_and_left_out(radiologist, table, tmp_path):
    """Three cases: one calls the liver otherwise, one has a cyst as well."""
    liver_mask, cyst = liver(14.5), liver(4.0)
    lines = ["case,image,label"]
    for case, name, values in (
        ("a", "Liver", liver_mask), ("b", "Hepar", liver_mask), ("c", "liver", liver_mask + 1 * cyst)
    ):  # fmt: skip
        segments = [Segment(1, name, (0.8, 0.4, 0.3))]
        segments += [Segment(2, "Cyst", (0.2, 0.4, 0.8))] if case == "c" else []
        label = LabelMap(np.asarray(values, np.uint8), GRID, tuple(segments))
        write_label_map(label, tmp_path / f"{case}.seg.nrrd")
        lines.append(f"{case},{table.parent / 'liver-01.nii.gz'},{case}.seg.nrrd")
    (tmp_path / "CASES.csv").write_text("\n".join(lines) + "\n")
    radiologist.open_list(tmp_path / "CASES.csv")
    assert radiologist.rows("structuresTable") == [
        ["Liver", "2 of 3", "Liver"], ["Hepar", "1 of 3", "Hepar"], ["Cyst", "1 of 3", "Cyst"]
    ]  # fmt: skip
    radiologist.answer(tmp_path / "export")
    radiologist.click("chooseFolderButton")
    radiologist.click("exportButton")
    radiologist.wait()
    assert radiologist.status.startswith("The cases name their segments differently")
    radiologist.ui.structuresTable.item(1, 2).setText("Liver")
    radiologist.application.events()
    radiologist.ui.structuresTable.item(2, 0).setCheckState(QtCore.Qt.CheckState.Unchecked)
    radiologist.application.events()
    assert radiologist.ui.structuresSection.text == "Structures: 2 of 3"
    radiologist.click("exportButton")
    radiologist.wait()
    assert radiologist.ui.resultLabel.text.startswith("Cases written: 3; failed: 0; left out: 0. "), (
        radiologist.status
    )
    for case in "abc":
        (file,) = (tmp_path / "export").rglob(f"{case}*.nii.gz")
        # The cyst hides the liver in its label map: there is no liver below it.
        np.testing.assert_array_equal(
            read_label_map(file).voxels, liver_mask & ~(cyst if case == "c" else np.zeros(SHAPE, bool))
        )
    for row in range(3):
        radiologist.ui.structuresTable.item(row, 0).setCheckState(QtCore.Qt.CheckState.Unchecked)
        radiologist.application.events()
    radiologist.click("exportButton")
    assert radiologist.status == "Tick a structure to export."


def test_a_case_that_fails_is_named_and_the_others_are_written(radiologist, table, tmp_path):
    lines = table.read_text().splitlines()[:4]
    for name in ("liver-01", "liver-02", "liver-03"):
        for suffix in (".nii.gz", ".seg.nrrd", ".json"):
            (tmp_path / f"{name}{suffix}").write_bytes((table.parent / f"{name}{suffix}").read_bytes())
    (tmp_path / "CASES.csv").write_text("\n".join(lines) + "\n")
    whole = (tmp_path / "liver-02.nii.gz").read_bytes()
    (tmp_path / "liver-02.nii.gz").write_bytes(whole[: len(whole) // 2])
    radiologist.open_list(tmp_path / "CASES.csv")
    radiologist.tick("nnunetBox")
    radiologist.answer(tmp_path / "export")
    radiologist.click("chooseFolderButton")
    radiologist.click("exportButton")
    radiologist.wait()
    assert radiologist.ui.resultLabel.text.startswith("Cases written: 2; failed: 1; left out: 0. Not whole")
    (line,) = radiologist.rows("outcomeTable")
    assert line[:2] == ["liver-02", "failed"]
    assert "liver-02.nii.gz" in line[2]
    assert "cut off in this folder" in radiologist.ui.resumeLabel.text
    (tmp_path / "liver-02.nii.gz").write_bytes(whole)
    radiologist.tick("replaceBox")
    radiologist.click("exportButton")
    radiologist.wait()
    assert radiologist.ui.resultLabel.text.startswith("Cases written: 3; failed: 0; left out: 0. ")
