"""A comparison from the scene through the worker and back: numbers, consensus, overlay, plots, ratings."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import slicer
from made_raters import FINER, OBLIQUE, blob, compare, finish, reading

from pgt.agreement.expert_ratings import ExpertRating
from pgt.agreement.job import AskedFor
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import Sitting
from pgt.agreement.results import PairKind
from pgt.errors import InputError, OutputError
from pgt.geometry import Geometry
from PGTToolkitLib.agreement_charts import (
    cases_chart,
)
from PGTToolkitLib.agreement_rows import pair_lines, worst_case
from PGTToolkitLib.agreement_runner import scene_source
from PGTToolkitLib.agreement_store import export_report, rate, ratings_of, store_agreement, stored_agreement
from PGTToolkitLib.case_in_view import CaseInView
from PGTToolkitLib.disagreement_overlay import disagreement_node, show_disagreement, store_disagreement
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.reading_nodes import ReadingEntry, Role, enter
from PGTToolkitLib.scene import SegmentationGrid, nodes_of, segment_ids
from PGTToolkitLib.segmentation_readings import own_grid
from PGTToolkitLib.worker import Failed, Finished, Progressed, Stopped


@pytest.fixture
def raters(scene):
    return [
        reading(scene, "Ada"),
        reading(scene, "Ada", "2", 9.4),
        reading(scene, "Ben", radius=8.0),
        reading(scene, "Cid", radius=9.8, shift=1.0),
        reading(scene, "Net", radius=9.2, role=Role.MODEL),
    ]


def dice(first, second):
    a, b = first.full(), second.full()
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_the_readings_of_the_scene_are_compared(scene, runner, raters):
    stored = compare(scene, runner)
    found = stored.agreement
    assert found.candidates == ("Net",)
    ada_ben = next(p for p in found.pairs if (str(p.a), str(p.b), p.label) == ("Ada", "Ben", "Liver"))
    assert ada_ben.values["dice"] == pytest.approx(dice(blob(9.0), blob(8.0)), abs=1e-12)
    assert {pair.kind for pair in found.pairs} == {PairKind.INTER, PairKind.INTRA}
    assert len(pair_lines(found, "Liver")) == 10
    table = next(node for node in nodes_of(scene, "vtkMRMLTableNode"))
    assert table.GetNumberOfRows() == len(found.pairs) == 20
    assert table.GetTable().GetColumnByName("Dice").GetValue(0) == found.pairs[0].values["dice"]
    assert runner.disputed["Liver"].geometry.difference(OBLIQUE) is None


def test_another_grid_is_resampled_to_the_reference_and_said_so(scene, runner):
    reading(scene, "Ben", geometry=FINER, radius=8.0)
    reading(scene, "Ada", role=Role.REFERENCE)
    stored = compare(scene, runner)
    (note,) = stored.notes
    assert note.startswith("Ben 1 was resampled to the grid of Ada 1")
    (pair,) = [pair for pair in stored.agreement.pairs if pair.label == "Liver"]
    assert pair.kind is PairKind.REFERENCE
    assert pair.values["dice"] == pytest.approx(dice(blob(9.0), blob(8.0)), abs=0.02)


def test_labels_are_mended(scene, runner, raters):
    raters[2].GetSegmentation().GetNthSegment(0).SetName("Hepar")
    for node in raters[3:]:
        scene.RemoveNode(node)
    source = scene_source(scene, None, {"Hepar": "Liver", "Cyst": ""})
    runner.compare(scene, source, AskedFor(page=False))
    finish(runner)
    stored = stored_agreement(scene)
    assert stored.agreement.labels == ("Liver",)
    assert stored.renamed == {"Hepar": "Liver", "Cyst": ""}
    pair = worst_case(stored.agreement, Sitting("Ada"), Sitting("Ben"), "", "dice")
    view = CaseInView()
    seen = view.show(scene, pair, stored.renamed, listed=False)
    assert seen.index is not None


def test_a_rater_who_saw_the_first_session_is_in_the_report(scene, runner, raters):
    enter(raters[1], ReadingEntry("Ada", "2", blinded=False))
    stored = compare(scene, runner)
    assert any("not blinded in session 2" in message for message in stored.agreement.messages)
    assert "not blinded" in stored.files["report.json"]


def test_the_page_shows_the_image(scene, runner, raters):
    image = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT 7")
    slicer.util.updateVolumeFromArray(image, np.zeros(OBLIQUE.shape[::-1], np.int16))
    image.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(OBLIQUE.ijk_to_ras))
    runner.compare(scene, scene_source(scene, image, {}), AskedFor(), image)
    event = finish(runner)
    assert isinstance(event, Finished), event
    page = stored_agreement(scene).files["report.html"]
    assert "CT 7" in page
    assert "data:image/png" in page


def test_a_single_reading_is_one_sentence(scene, runner):
    reading(scene, "Ada")
    with pytest.raises(InputError, match="two segmentations or more"):
        scene_source(scene, None, {})


def test_no_common_label_is_one_sentence(scene, runner):
    reading(scene, "Ada")
    other = reading(scene, "Ben")
    for number, name in enumerate(("Spleen", "Stone")):
        other.GetSegmentation().GetNthSegment(number).SetName(name)
    runner.compare(scene, scene_source(scene, None, {}), AskedFor(page=False))
    failed = finish(runner)
    assert isinstance(failed, Failed)
    assert "label in common" in failed.message
    assert "Traceback" not in failed.message
    assert stored_agreement(scene) is None


def test_cancelling_leaves_the_scene_as_it_was(scene, runner):
    shape = (160, 160, 120)
    rng = np.random.default_rng(0)
    for rater in ("Ada", "Ben", "Cid", "Dan", "Eve"):
        sponge = CroppedMask.of(rng.random(shape) < 0.5)
        enter(add_segmentation(scene, rater, Geometry(shape), {"Sponge": sponge}), ReadingEntry(rater))
    before = scene.GetNumberOfNodes()
    runner.compare(scene, scene_source(scene, None, {}), AskedFor(page=False))
    time.sleep(2)
    assert all(isinstance(event, Progressed) for event in runner.poll())
    started = time.monotonic()
    runner.cancel()
    assert finish(runner) == Stopped()
    assert time.monotonic() - started < 1.0
    assert scene.GetNumberOfNodes() == before


def test_the_consensus_becomes_a_new_segmentation(scene, runner, raters):
    raters[0].GetSegmentation().GetNthSegment(0).SetColor(0.2, 0.4, 0.6)
    before = nodes_of(scene, "vtkMRMLSegmentationNode")
    runner.make_consensus(scene, scene_source(scene, None, {}), "majority")
    event = finish(runner)
    assert isinstance(event, Finished), event
    (made,) = [node for node in nodes_of(scene, "vtkMRMLSegmentationNode") if node not in before]
    assert made.GetName() == "Consensus"
    votes = blob(9.0).full().astype(int) + blob(8.0).full() + blob(9.8, shift=1.0).full()
    found = own_grid(made).mask(segment_ids(made)[0])
    # Liver and cyst overlap, so each is decided by itself: two of three first sessions.
    np.testing.assert_array_equal(found, votes >= 2)
    assert made.GetSegmentation().GetNthSegment(0).GetColor() == (0.2, 0.4, 0.6)


def test_the_disagreement_lies_over_the_image(scene, runner, raters):
    for name in ("Red", "Green"):
        layers = slicer.vtkMRMLSliceCompositeNode()
        layers.SetSingletonTag(name)
        scene.AddNode(layers)
    compare(scene, runner)
    disputed = runner.disputed["Liver"]
    node = store_disagreement(scene, "Liver", disputed.geometry, disputed.start, disputed.bits)
    voxels = slicer.util.arrayFromVolume(node).T
    agreed = blob(8.0).full() & blob(9.8, shift=1.0).full()
    assert not voxels[agreed].any()
    assert not voxels[~blob(12.0).full()].any()
    assert voxels.max() == pytest.approx(100 * -(0.6 * math.log2(0.6) + 0.4 * math.log2(0.4)), abs=1)
    assert SegmentationGrid(raters[0], node).difference() is None
    show_disagreement(scene, True)
    assert {n.GetForegroundVolumeID() for n in nodes_of(scene, "vtkMRMLSliceCompositeNode")} == {node.GetID()}
    show_disagreement(scene, False)
    assert {n.GetForegroundVolumeID() for n in nodes_of(scene, "vtkMRMLSliceCompositeNode")} == {None}
    again = store_disagreement(scene, "Cyst", disputed.geometry, disputed.start, disputed.bits)
    assert again is node is disagreement_node(scene)


def test_the_worst_slice_is_shown_with_both_outlines(scene, runner, raters):
    view = slicer.vtkMRMLSliceNode()
    view.SetSingletonTag("Red")
    view.SetLayoutName("Red")
    view = scene.AddNode(view)
    view.SetOrientationToAxial()
    found = compare(scene, runner).agreement
    pair = next(p for p in found.pairs if (str(p.a), str(p.b), p.label) == ("Ada", "Ben", "Liver"))
    cases = CaseInView()
    seen = cases.show(scene, pair, {}, listed=False)
    differing = (blob(9.0).full() ^ blob(8.0).full()).sum(axis=(0, 1))
    assert (seen.axis, differing[seen.index]) == (2, differing.max())
    matrix = view.GetSliceToRAS()
    centre = np.linalg.inv(OBLIQUE.ijk_to_ras) @ [matrix.GetElement(row, 3) for row in range(4)]
    assert centre[2] == pytest.approx(seen.index, abs=1e-6)
    liver = [segment_ids(node)[0] for node in raters]
    displays = [node.GetDisplayNode() for node in raters]
    assert [d.GetSegmentVisibility(s) for d, s in zip(displays, liver, strict=True)] == [1, 0, 1, 0, 0]
    assert not displays[0].GetSegmentVisibility2DFill(liver[0])
    assert raters[0].GetSegmentation().GetNthSegment(0).GetColor() != (0.34, 0.71, 0.91)
    cases.clear()
    assert [d.GetSegmentVisibility(s) for d, s in zip(displays, liver, strict=True)] == [1] * 5
    assert displays[0].GetSegmentVisibility2DFill(liver[0])


def test_ratings_and_results_survive_a_saved_scene(scene, runner, raters, tmp_path):
    stored = compare(scene, runner)
    rate(scene, ExpertRating("scene", "Liver", 2, "Dee"))
    rate(scene, ExpertRating("scene", "Liver", 5, "Dee"))
    rate(scene, ExpertRating("scene", "Liver", 3, "Eve"))
    cases_chart(scene, stored.agreement, "Liver", "dice")
    bundle = str(tmp_path / "case.mrb")
    assert scene.WriteToMRB(bundle, None)
    scene.Clear(0)
    assert stored_agreement(scene) is None
    assert ratings_of(scene) == ()
    assert scene.ReadFromMRB(bundle, True)
    assert ratings_of(scene) == (
        ExpertRating("scene", "Liver", 5, "Dee"), ExpertRating("scene", "Liver", 3, "Eve")
    )  # fmt: skip
    assert stored_agreement(scene) == stored
    rate(scene, ExpertRating("scene", "Cyst", 6, "Dee"))
    assert len(ratings_of(scene)) == 3


def test_the_report_is_exported_with_the_ratings(scene, runner, raters, tmp_path):
    with pytest.raises(InputError, match="compare first"):
        export_report(scene, tmp_path / "report")
    compare(scene, runner)
    rate(scene, ExpertRating("scene", "Liver", 5, "Dee"))
    for _again in range(2):
        written = export_report(scene, tmp_path / "report")
        assert [path.name for path in written] == ["report.json", "pairs.csv", "ratings.csv"]
    assert json.loads((tmp_path / "report" / "report.json").read_text())["schema"] == "pgt-agreement"
    assert "scene,Liver,5,Dee" in (tmp_path / "report" / "ratings.csv").read_text()
    other = tmp_path / "other"
    other.mkdir()
    (other / "pairs.csv").write_text("mine")
    with pytest.raises(OutputError, match="exists already and is no report"):
        export_report(scene, other)
    assert (other / "pairs.csv").read_text() == "mine"


def test_a_damaged_result_is_said(scene, runner, raters):
    stored = compare(scene, runner)
    store_agreement(scene, replace(stored, notes=("once",)))
    assert stored_agreement(scene).notes == ("once",)
    node = scene.GetSingletonNode("PGTToolkitAgreement", "vtkMRMLTextNode")
    node.SetText('{"agreement": 1}')
    with pytest.raises(InputError, match="StoredAgreement"):
        stored_agreement(scene)
