"""Style models from the scene through the worker and back: map, preview, comparison, use, fit, suspects."""

from __future__ import annotations

import math
import shutil
import time

import numpy as np
import pytest
import slicer
from conftest import DIRECTIONS, add_volume_node

from made_style_model import LARGE, TIGHT, train_made_model
from pgt.annotation import SliceState
from pgt.case_table import read_case_table
from pgt.errors import CheckpointError, InputError
from pgt.geometry import Geometry
from pgt.styles.decisions import Verdict, accept_proposal, keep_label, read_decisions
from pgt.styles.model_card import name_style, read_card
from pgt.styles.segment_job import NamedStyle
from pgt.styles.training_job import AskedTraining
from pgt.styles.training_watch import can_resume, glance
from pgt.volume_io import read_label_map
from PGTToolkitLib.scene import SegmentationGrid, nodes_of, segment_ids
from PGTToolkitLib.segment_writer import SegmentWriter
from PGTToolkitLib.style_preview import preview_node, remove_preview, show_preview, show_spread, spread_node
from PGTToolkitLib.style_segmentation import StyleUndo, annotated_slices, matching_segments, write_style
from PGTToolkitLib.style_training import StyleTraining
from PGTToolkitLib.styles_runner import StylesRunner
from PGTToolkitLib.suspect_views import close_suspect, show_suspect, suspect_in_view
from PGTToolkitLib.worker import Failed, Finished, Progressed, Stopped, WorkerClient
from Python.style_cases import SHAPE, made_case, made_rows

TURNED = Geometry(
    SHAPE, (1.0, 1.0, 1.0), (12.0, -40.0, 3.0), tuple(map(tuple, DIRECTIONS["oblique"].tolist()))
)
MAIN = NamedStyle("main", (0.0, 0.0))
RED, BLUE, GREY = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8), (0.5, 0.5, 0.5)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return train_made_model(tmp_path_factory.mktemp("styles") / "model")


@pytest.fixture
def model(trained, tmp_path):
    """The model in a folder of its own, whose table still names the cases' files."""
    folder = tmp_path / "model"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("*.nrrd"))
    table = (trained / "cases.csv").read_text()
    (folder / "cases.csv").write_text(table)
    return folder


@pytest.fixture(scope="module")
def client():
    client = WorkerClient()
    yield client
    client.close()


@pytest.fixture
def runner(client):
    assert not client.busy
    return StylesRunner(client)


def finish(work, seconds=240.0):
    """The event that ended the job."""
    deadline = time.monotonic() + seconds
    last = None
    while work.busy:
        assert time.monotonic() < deadline
        for event in work.poll():
            last = event if not isinstance(event, Progressed) else last
        time.sleep(0.01)
    return last


def done(runner):
    event = finish(runner)
    assert isinstance(event, Finished), event
    return event.result


def centres(runner, model):
    """The places of the three styles, by how their labels were made."""
    runner.read_map(model, look=False)
    groups = done(runner).clusters
    assert [len(group.cases) for group in groups] == [10, 6, 6]
    of_case = {case: group for group in groups for case in group.cases}
    return {"main": of_case["case0"], "tight": of_case["case10"], "large": of_case["case16"]}


@pytest.fixture
def volume_node(scene):
    return add_volume_node(scene, made_case(99, 1.0, TURNED)[0])


def layers_of(scene, name):
    layers = slicer.vtkMRMLSliceCompositeNode()
    layers.SetSingletonTag(name)
    layers.SetLayoutName(name)
    return scene.AddNode(layers)


def test_the_map_finds_the_styles_and_keeps_their_names(runner, model):
    groups = centres(runner, model)
    assert groups["main"].is_main
    assert groups["main"].centre == (0.0, 0.0)
    assert set(groups["tight"].cases) == {f"case{n}" for n in range(10, 16)}
    name_style(model, "tight", groups["tight"].centre)
    assert centres(runner, model)["tight"].name == "tight"
    name_style(model, "Dr. Tight", groups["tight"].centre, "tight")
    assert list(read_card(model).styles) == ["Dr. Tight"]
    assert centres(runner, model)["tight"].name == "Dr. Tight"
    for name, sentence in (("", "needs a name"), ("0.5,1", "point of the map"), ("main", "origin")):
        with pytest.raises(InputError, match=sentence):
            name_style(model, name, groups["large"].centre)
    with pytest.raises(InputError, match="already"):
        name_style(model, "Dr. Tight", groups["large"].centre)


def test_looking_at_labels_suggests_what_is_wrong(runner, model):
    runner.read_map(model, look=True)
    found = done(runner)
    assert found.looked
    assert found.messages == ()
    assert {one.case for one in found.suspects[:12]} == {f"case{n}" for n in range(10, 22)}
    assert {one.suggestion for one in found.suspects[:12]} == {"another style"}
    (model / "cases.csv").unlink()
    runner.read_map(model, look=True)
    assert "cases.csv is gone" in done(runner).messages[0]


def test_a_preview_lies_where_the_image_lies_and_styles_differ_in_size(scene, runner, model, volume_node):
    groups = centres(runner, model)
    runner.segment(volume_node, model, [MAIN])
    found = done(runner)
    node = show_preview(volume_node, found, [GREY])
    (segment,) = segment_ids(node)
    label_map = found.volumes[0].label_map
    np.testing.assert_array_equal(SegmentationGrid(node, volume_node).mask(segment), label_map.mask(1))
    truth = made_case(99, 1.0, TURNED)[1].mask(1)
    mask = label_map.mask(1)
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.85

    styles = [NamedStyle(name, groups[name].centre) for name in ("tight", "main", "large")]
    runner.segment(volume_node, model, styles)
    found = done(runner)
    volumes = [one.volumes_ml[1] for one in found.volumes]
    assert volumes == sorted(volumes)
    assert volumes[0] < 0.8 * volumes[1]
    assert volumes[2] > 1.2 * volumes[1]
    np.testing.assert_array_equal(found.volumes[1].label_map.voxels, label_map.voxels)
    view = layers_of(scene, "Red")
    again = show_preview(volume_node, found, [RED, GREY, BLUE])
    assert preview_node(scene) is again
    assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1
    assert [again.GetSegmentation().GetNthSegment(n).GetName() for n in range(3)] == [
        "Structure (tight)", "Structure (main)", "Structure (large)"
    ]  # fmt: skip
    spread = slicer.util.arrayFromVolume(spread_node(scene)).T
    inner, outer = (found.volumes[n].label_map.mask(1) for n in (0, 2))
    assert spread[outer & ~inner].mean() > 50
    assert spread[~outer].mean() < 10
    show_spread(scene, True)
    assert view.GetForegroundVolumeID() == spread_node(scene).GetID()
    remove_preview(scene)
    assert view.GetForegroundVolumeID() is None
    assert nodes_of(scene, "vtkMRMLSegmentationNode") == []


def test_a_style_is_used_around_annotated_slices_and_taken_back(
    scene, runner, model, volume_node, make_session, pen_for
):
    session = make_session(volume_node, ("structure", "Other"))
    pen = pen_for(session)
    drawn = np.zeros(SHAPE[:2], bool)
    drawn[2:6, 2:5] = True
    pen.draw_slice("structure", 2, 5, drawn)
    session.take_edits(2)
    other = np.zeros(SHAPE, bool)
    other[0, 0, :] = True
    pen.paint("Other", other)
    before, states = session.grid.mask("structure"), list(session.ledger)
    runner.segment(volume_node, model, [MAIN])
    found = done(runner)
    undo = StyleUndo()
    names = write_style(session, found, found.volumes[0], 2, SegmentWriter(), undo)
    assert names == ("Structure",)
    mask, predicted = session.grid.mask("structure"), found.volumes[0].label_map.mask(1)
    np.testing.assert_array_equal(mask[:, :, 5], drawn)
    rest = [index for index in range(SHAPE[2]) if index != 5]
    np.testing.assert_array_equal(mask[:, :, rest], (predicted & ~other)[:, :, rest])
    np.testing.assert_array_equal(session.grid.mask("Other"), other)
    ledger = session.ledger
    assert ledger.state("structure", 2, 5) is SliceState.ANNOTATED
    filled = [index for index in rest if mask[:, :, index].any()]
    assert filled
    for index in filled:
        record = ledger.record("structure", 2, index)
        assert record.state is SliceState.PROPAGATED
        assert record.rater == "style main model"
        assert 0 <= record.confidence <= 1
    assert undo.can_undo(session.segmentation_node)
    undo.undo()
    np.testing.assert_array_equal(session.grid.mask("structure"), before)
    assert list(session.ledger) == states
    assert not undo.can_undo(session.segmentation_node)


def test_structures_without_a_segment_get_one(runner, model, volume_node, make_session):
    session = make_session(volume_node, ("Liver", "Spleen"))
    assert matching_segments(session.segmentation_node, {1: "Structure"}) == {}
    runner.segment(volume_node, model, [MAIN])
    found = done(runner)
    undo = StyleUndo()
    write_style(session, found, found.volumes[0], 2, SegmentWriter(), undo)
    added = matching_segments(session.segmentation_node, {1: "Structure"})[1]
    predicted = found.volumes[0].label_map.mask(1)
    np.testing.assert_array_equal(session.grid.mask(added), predicted)
    undo.undo()
    assert segment_ids(session.segmentation_node) == ("Liver", "Spleen")


def test_the_style_of_annotated_slices_is_found(runner, model, volume_node, make_session, pen_for):
    groups = centres(runner, model)
    session = make_session(volume_node, ("My structure",))
    with pytest.raises(InputError, match="No slice is annotated"):
        annotated_slices(session, {1: "Structure"})
    truth = made_case(99, TIGHT, TURNED)[1].mask(1)
    pen = pen_for(session)
    for index in (4, 6, 8):
        pen.draw_slice("My structure", 2, index, truth[:, :, index])
        session.take_edits(2)
    with pytest.raises(InputError, match="annotated is My structure: rename"):
        annotated_slices(session, {1: "Structure", 2: "Wall"})
    runner.fit(volume_node, model, annotated_slices(session, {1: "Structure"}))
    fitted = done(runner)
    assert fitted.slices == 3
    assert fitted.dice > fitted.main_dice + 0.05
    assert math.dist(fitted.latent, groups["tight"].centre) < math.dist(fitted.latent, (0.0, 0.0))
    mask = fitted.styled.volumes[0].label_map.mask(1)
    runner.segment(volume_node, model, [MAIN])
    main = done(runner).volumes[0].label_map.mask(1)
    dices = [2 * (one & truth).sum() / (one.sum() + truth.sum()) for one in (mask, main)]
    assert dices[0] > dices[1]
    assert runner.shown.has(volume_node, model, (0.0, 0.0))
    assert not runner.shown.has(volume_node, model, fitted.latent)
    slicer.util.arrayFromVolume(volume_node)[0, 0, 0] += 1
    slicer.util.arrayFromVolumeModified(volume_node)
    assert not runner.shown.has(volume_node, model, (0.0, 0.0))


def test_a_suspicious_case_is_opened_side_by_side_and_decided(scene, runner, model, trained):
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name in ("Red", "Yellow"):
        view = scene.CreateNodeByClass("vtkMRMLSliceNode")
        view.SetSingletonTag(name)
        view.SetLayoutName(name)
        view = scene.AddNode(view)
        view.SetOrientationToSagittal()
        layers_of(scene, name)
    layout = slicer.vtkMRMLLayoutNode()
    layout.SetSingletonTag("vtkMRMLLayoutNode")
    layout = scene.AddNode(layout)
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    label_file = trained / "label12.nrrd"
    content = label_file.read_bytes()
    runner.correct(model, "case12", then=lambda: show_suspect(scene, runner.proposal))
    proposal = done(runner)
    assert suspect_in_view(scene) == "case12"
    assert layout.GetViewArrangement() == layout.SlicerLayoutSideBySideView
    label, proposed = nodes_of(scene, "vtkMRMLSegmentationNode")
    shown_in = [
        [scene.GetNodeByID(node.GetDisplayNode().GetNthViewNodeID(0)).GetLayoutName()]
        for node in (label, proposed)
    ]
    assert shown_in == [["Red"], ["Yellow"]]
    assert {node.GetOrientation() for node in nodes_of(scene, "vtkMRMLSliceNode")} == {"Axial"}
    truth = made_case(12, 1.0)[1].mask(1)
    given, better = proposal.label.mask(1), proposal.proposal.mask(1)
    assert (better ^ truth).sum() < (given ^ truth).sum()

    made = accept_proposal(model, "case12", proposal.proposal, "Ada")
    keep_label(model, "case13", "Ada")
    decisions = read_decisions(model)
    assert {case: one.verdict for case, one in decisions.items()} == {
        "case12": Verdict.ACCEPTED, "case13": Verdict.KEPT
    }  # fmt: skip
    np.testing.assert_array_equal(read_label_map(model / made.file).voxels, proposal.proposal.voxels)
    assert label_file.read_bytes() == content
    corrected = {row.case: row.label for row in read_case_table(model / "corrected" / "cases.csv")}
    assert corrected["case12"] == (model / made.file).resolve()
    assert corrected["case13"] == (trained / "label13.nrrd").resolve()
    keep_label(model, "case12", "Ben")
    again = {row.case: row.label for row in read_case_table(model / "corrected" / "cases.csv")}
    assert again["case12"] == label_file.resolve()
    close_suspect(scene)
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView
    assert nodes_of(scene, "vtkMRMLSegmentationNode") == nodes_of(scene, "vtkMRMLScalarVolumeNode") == []


def test_what_cannot_be_done_is_one_sentence(runner, model, volume_node):
    runner.correct(model, "nobody")
    event = finish(runner)
    assert isinstance(event, Failed)
    assert "nobody" in event.message
    assert "Traceback" not in event.message
    runner.segment(volume_node, model, [NamedStyle("?", (0.0, 0.0, 0.0))])
    assert "2 numbers" in finish(runner).message
    (model / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no style model"):
        read_card(model)
    runner.segment(volume_node, model, [MAIN])
    assert isinstance(finish(runner), Failed)


def test_training_is_watched_stopped_within_a_second_and_goes_on(client, tmp_path):
    made_rows(tmp_path, [1.0, 1.0, TIGHT, LARGE])
    training = StyleTraining(client)
    folder = tmp_path / "model"
    asked = AskedTraining(tmp_path / "cases.csv", folder, device="cpu", epochs=400, checkpoint_seconds=0.0)
    training.start(asked)
    deadline = time.monotonic() + 240
    while training.look() is None or training.look().epoch < 2:
        assert time.monotonic() < deadline
        assert all(isinstance(event, Progressed) for event in training.poll())
        time.sleep(0.02)
    seen = training.look()
    assert set(seen.latents) == {f"case{n}" for n in range(4)}
    assert seen.of == 400
    started = time.monotonic()
    training.stop()
    assert finish(training) == Stopped()
    assert time.monotonic() - started < 1.0
    assert can_resume(folder)
    with pytest.raises(CheckpointError, match="has not finished"):
        read_card(folder)
    learnt = glance(folder).epoch
    asked = AskedTraining(folder / "cases.csv", folder, device="cpu", epochs=learnt + 2, resume=True)
    training.start(asked)
    assert finish(training).result == folder
    assert len(read_card(folder).latents) == 4
    assert glance(folder).epoch == learnt + 2


def test_a_training_that_cannot_begin_leaves_nothing(client, tmp_path):
    made_rows(tmp_path, [1.0, 1.0, TIGHT])
    (tmp_path / "label2.nrrd").write_bytes((tmp_path / "image2.nrrd").read_bytes()[:300])
    training = StyleTraining(client)
    training.start(AskedTraining(tmp_path / "cases.csv", tmp_path / "model", device="cpu", epochs=2))
    assert "label2.nrrd" in finish(training).message
    assert not (tmp_path / "model").exists()
    (tmp_path / "cases.csv").write_text("case,image,label\na,image0.nrrd,label0.nrrd\n")
    with pytest.raises(InputError, match="two or more"):
        training.start(AskedTraining(tmp_path / "cases.csv", tmp_path / "model", device="cpu"))
    assert not training.busy
