"""The Annotate panel, driven as a rater drives it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import slicer
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from PySide6 import QtGui
from rater import Rater

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


def test_the_whole_path(rater):
    rater.begin("Liver", "Spleen")
    rater.ui.sliceCountBox.value = 7
    rater.method("shape")
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
    assert rater.ui.progressLabel.text.startswith("Shape interpolation, ")
    assert rater.ui.progressLabel.text.endswith("on the processor (CPU)")
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
    rater.picture("annotate-panel.png")
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    overlay = slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID())
    assert overlay.GetName().endswith("uncertainty")
    rater.ui.uncertaintyBox.checked = False
    assert layers.GetForegroundVolumeID() is None
    rater.ui.uncertaintyBox.checked = True
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
    assert layers.GetForegroundVolumeID() is None
    assert rater.session.ledger.annotated("Liver", K) == tuple(planned)


def test_nothing_can_be_done_before_there_is_something_to_do(rater):
    for name in ("planButton", "propagateButton", "undoButton", "acceptButton", "acceptAllButton"):
        assert not getattr(rater.ui, name).enabled
    assert rater.ui.newSegmentationButton.enabled


def test_propagating_nothing_is_a_line_not_a_window(rater):
    rater.begin("Liver")
    rater.method("shape")
    rater.click("propagateButton")
    assert rater.status == "No slice is annotated yet: draw a segment on at least one slice."
    assert rater.ui.propagateButton.enabled


def test_cancelling(rater):
    rater.begin("Liver")
    slices = rater.draw_some("Liver")
    rater.method("contour")
    before = rater.session.grid.mask("Liver")
    rater.click("propagateButton")
    rater.click("cancelButton")
    rater.wait(seconds=5.0)
    assert rater.status == "Cancelled. Nothing was changed."
    np.testing.assert_array_equal(rater.session.grid.mask("Liver"), before)
    assert rater.session.ledger.annotated("Liver", K) == tuple(slices)


def test_a_dying_worker_is_a_line_and_the_next_try_works(rater):
    rater.begin("Liver")
    rater.draw_some("Liver")
    rater.method("shape")
    rater.click("propagateButton")
    os.kill(rater.panel._worker.process_id, 9)
    rater.wait()
    assert "Your annotation is untouched" in rater.status
    rater.click("propagateButton")
    rater.wait()
    assert rater.status.startswith("Propagated.")


def test_the_name_of_the_rater_is_remembered(application, rater):
    rater.begin("Liver")
    rater.ui.raterEdit.text = "Marie"
    rater.ui.sessionEdit.text = "2"
    rater.draw_some("Liver", 2)
    assert {(record.rater, record.session) for record in rater.session.ledger} == {("Marie", "2")}
    again = application.open_module("PGTAnnotate")
    assert (again.ui.raterEdit.text, again.ui.sessionEdit.text) == ("Marie", "2")
    again.cleanup()


def test_drawing_without_a_name_is_noticed(rater):
    rater.begin("Liver")
    rater.ui.raterEdit.text = ""
    rater.draw_some("Liver", 2)
    assert rater.status.startswith("Drawn by nobody")


def test_keys_live_only_while_the_module_is_shown(application, rater):
    rater.begin("Liver")
    rater.click("planButton")
    keys = {
        shortcut.key.toString(): shortcut
        for shortcut in application.main_window.findChildren(QtGui.QShortcut)
        if shortcut.enabled
    }
    assert set(keys) == {"N", "P", "E", "A"}
    planned = rater.panel.workplace.planned
    keys["N"].activated.emit()
    assert rater.panel.workplace.shown == planned[1]
    keys["P"].activated.emit()
    keys["P"].activated.emit()
    assert rater.panel.workplace.shown == planned[-1]
    keys["E"].activated.emit()
    assert rater.session.ledger.annotated("Liver", K) == (planned[-1],)
    rater.module.exit()
    assert not any(shortcut.enabled for shortcut in keys.values())
    assert rater.panel.editor.log[-3:] == ["effect None", "keys off", "views left"]


def test_an_edit_in_depth_is_left_to_the_rater(rater):
    rater.begin("Liver")
    ball = np.ones((6, 6, 4), bool)
    rater.panel.editor.paint(rater.session.grid.oriented_image(ball, (20, 20, 10)))
    rater.application.events()
    assert rater.status.startswith("Liver changed on several slices at once")
    rater.panel.workplace.show(11)
    rater.click("confirmButton")
    assert rater.status == "Liver is drawn on slice 11."


def test_a_turned_view_says_so_and_can_be_aligned(rater):
    rater.begin("Liver")
    assert not rater.ui.alignViewButton.visible
    view = rater.panel.workplace.view
    view.SetSliceToRASByNTP(0.3, 0.0, 0.954, 1.0, 0.0, -0.3, 0.0, 0.0, 0.0, 0)
    assert "turned 17°" in rater.ui.axisLabel.text
    rater.click("alignViewButton")
    assert "turned" not in rater.ui.axisLabel.text


def test_a_sagittal_view_plans_sagittal_slices(rater):
    rater.begin("Liver")
    rater.ui.viewSelector.setCurrentNode(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeYellow"))
    rater.ui.sliceCountBox.value = 3
    rater.click("planButton")
    assert rater.status == "3 sagittal slices to draw."
    assert rater.panel.workplace.view_axis.axis == 0


def test_a_segmentation_of_another_grid_is_named_and_can_be_matched(rater):
    rater.begin("Liver")
    rater.draw_some("Liver", 2)
    coarse = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "coarse")
    coarse.SetSpacing(7, 7, 7)
    slicer.util.updateVolumeFromArray(coarse, np.zeros((30, 30, 30), np.int16))
    rater.ui.volumeSelector.setCurrentNode(coarse)
    rater.application.events()
    assert "was drawn on another grid" in rater.ui.gridLabel.text
    rater.click("matchGridButton")
    assert rater.ui.gridLabel.text == ""


def test_state_comes_back_with_the_scene(application, rater, tmp_path):
    rater.begin("Liver")
    rater.ui.sliceCountBox.value = 6
    rater.click("planButton")
    rater.draw_some("Liver")
    rater.method("shape")
    rater.click("propagateButton")
    rater.wait()
    plan, review = rater.rows("planTable"), rater.rows("reviewTable")
    bundle = tmp_path / "case.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(bundle), None)
    slicer.mrmlScene.Clear()
    application.events()
    assert rater.rows("planTable") == []
    assert slicer.mrmlScene.ReadFromMRB(str(bundle), True)
    application.events()
    assert rater.ui.sliceCountBox.value == 6
    assert rater.rows("planTable") == plan
    assert rater.rows("reviewTable") == review


def test_a_plan_file_for_many_cases(rater, tmp_path):
    from pgt.case_planning import CasesPlan, PlannedCase, write_plan
    from pgt.planning import plan_slices
    from PGTToolkitLib.scene import geometry_of

    rater.begin("Liver")
    plan = plan_slices(geometry_of(rater.session.volume_node), K, count=4)
    file = tmp_path / "plan.json"
    cases = tuple(
        PlannedCase(name, tmp_path / f"{name}.nii.gz", plan) for name in ("other", "Made abdomen CT")
    )
    write_plan(CasesPlan(8, cases, (), 3, 0.2), file)
    import qt

    qt.QFileDialog.answer = str(file)
    rater.click("openPlanButton")
    assert rater.status == "4 slices to draw, from the plan file."
    assert rater.panel.workplace.planned == plan.slices
    file.write_text("{}")
    rater.click("openPlanButton")
    assert "plan.json" in rater.status


def test_packages_are_asked_for_and_may_be_declined(application, rater, monkeypatch):
    from PGTToolkitLib import dependencies

    rater.begin("Liver")
    rater.draw_some("Liver", 2)
    monkeypatch.setattr(dependencies, "_satisfied", lambda need: need.name != "safetensors")
    monkeypatch.setattr(application, "consent", False)
    application.asked_to_install.clear()
    rater.method("network")
    rater.click("propagateButton")
    assert application.asked_to_install == [["safetensors>=0.4"]]
    assert rater.status.startswith("safetensors not installed")
    assert "Shape" in rater.status
    rater.method("shape")
    rater.click("propagateButton")
    rater.wait()
    assert rater.status.startswith("Propagated.")


def test_wheels_of_a_folder_are_installed_without_the_network(application, monkeypatch, tmp_path):
    import slicer.packaging

    from PGTToolkitLib import dependencies

    seen = {}

    def pip_ensure(requirements, constraints, requester):
        seen.update(os.environ, requirements=requirements, constraints=Path(constraints).read_text())

    monkeypatch.setattr(dependencies, "_satisfied", lambda need: bool(seen))
    monkeypatch.setattr(slicer.packaging, "pip_ensure", pip_ensure)
    dependencies.ensure_dependencies("auto", str(tmp_path))
    assert (seen["PIP_NO_INDEX"], seen["PIP_FIND_LINKS"]) == ("1", str(tmp_path))
    assert "PIP_NO_INDEX" not in os.environ
    assert any(need.startswith("torch") for need in seen["requirements"])
    assert f"numpy=={np.__version__}" in seen["constraints"]


def test_the_sample_volume_is_offered(application):
    import SampleData

    import PGTAnnotate

    SampleData.SampleDataLogic.sources.clear()
    PGTAnnotate.register_sample_data()
    (source,) = SampleData.SampleDataLogic.sources
    assert Path(source["thumbnailFileName"]).exists()
    slicer.mrmlScene.Clear()
    (node,) = source["customDownloader"](source)
    assert node.GetImageData().GetDimensions() == (160, 128, 80)
