"""A comparison from the scene through the worker and back: numbers, consensus, overlay, plots, ratings."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import slicer
from conftest import rotation

from pgt.agreement.expert_ratings import ExpertRating
from pgt.agreement.job import AskedFor
from pgt.agreement.masks import CroppedMask
from pgt.agreement.reading_source import ReadingSource
from pgt.agreement.readings import Sitting
from pgt.agreement.results import PairKind
from pgt.errors import InputError, OutputError
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume
from PGTToolkitLib.agreement_charts import (
    CASE_COLUMN,
    band_chart,
    bland_altman_chart,
    case_of_point,
    cases_chart,
    show_chart,
)
from PGTToolkitLib.agreement_rows import pair_lines, worst_case
from PGTToolkitLib.agreement_runner import AgreementRunner, opened_case, opened_readings, scene_source
from PGTToolkitLib.agreement_store import export_report, rate, ratings_of, store_agreement, stored_agreement
from PGTToolkitLib.case_in_view import CaseInView
from PGTToolkitLib.disagreement_overlay import disagreement_node, show_disagreement, store_disagreement
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.reading_nodes import ReadingEntry, Role, enter
from PGTToolkitLib.scene import SegmentationGrid, nodes_of, segment_ids
from PGTToolkitLib.segmentation_readings import own_grid
from PGTToolkitLib.worker import Failed, Finished, Progressed, Stopped, WorkerClient

OBLIQUE = Geometry(
    (32, 28, 16), (0.9, 1.3, 2.5), (12.0, -40.0, 3.0), tuple(map(tuple, rotation(20, -15, 35).tolist()))
)
FINER = Geometry(
    (64, 28, 16), (0.45, 1.3, 2.5), (12.0, -40.0, 3.0), tuple(map(tuple, rotation(20, -15, 35).tolist()))
)


def blob(radius, geometry=OBLIQUE, shift=0.0):
    points = np.moveaxis(np.indices(geometry.shape), 0, -1) * np.array(geometry.spacing)
    centre = np.array([14.0 + shift, 18.0, 20.0])
    return CroppedMask.of(((points - centre) ** 2).sum(axis=-1) <= radius**2)


def reading(scene, rater, session="1", radius=9.0, role=Role.RATER, geometry=OBLIQUE, shift=0.0):
    masks = {"Liver": blob(radius, geometry, shift), "Cyst": blob(radius / 2.5, geometry)}
    node = add_segmentation(scene, f"{rater} {session}", geometry, masks)
    enter(node, ReadingEntry(rater, session, role=role))
    return node


@pytest.fixture(scope="module")
def client():
    """One worker for all tests: it stays warm, and starts again where a test ends it."""
    client = WorkerClient()
    yield client
    client.close()


@pytest.fixture
def runner(client):
    assert not client.busy
    return AgreementRunner(client)


def finish(runner, seconds=120.0):
    """The event that ended the job."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in runner.poll():
            if not isinstance(event, Progressed):
                return event
        time.sleep(0.02)
    raise AssertionError("the job did not end")


def compare(scene, runner, **asked):
    runner.compare(scene, scene_source(scene, None, {}), AskedFor(page=False, **asked))
    event = finish(runner)
    assert isinstance(event, Finished), event
    return stored_agreement(scene)


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


def test_cancelling_leaves_the_scene_as_it_was(scene, client, runner):
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


def columns(series):
    table = series.GetTableNode().GetTable()
    return {
        table.GetColumnName(number): [
            table.GetColumn(number).GetValue(row) for row in range(table.GetNumberOfRows())
        ]
        for number in range(table.GetNumberOfColumns())
    }


def series_of(chart):
    return {
        chart.GetNthPlotSeriesNode(number).GetName(): chart.GetNthPlotSeriesNode(number)
        for number in range(chart.GetNumberOfPlotSeriesNodes())
    }


@pytest.fixture
def many_cases(scene, runner, tmp_path):
    """Six cases as files: two raters, one of them twice, and a model."""
    lines = ["case,rater,session,file,role,image"]
    rng = np.random.default_rng(1)
    for case in "abcdef":
        for rater, session, role in (
            ("Ada", "1", ""), ("Ada", "2", ""), ("Ben", "1", ""), ("Net", "1", "candidate"),
        ):  # fmt: skip
            name = f"{case}_{rater}{session}.nii.gz"
            spread = 0.15 if rater == "Ada" else 0.8
            voxels = blob(8.5 + rng.normal(0, spread)).full().astype(np.uint8)
            write_label_map(LabelMap.from_voxels(voxels, OBLIQUE), tmp_path / name)
            lines.append(f"{case},{rater},{session},{name},{role},{'a.nii.gz' if case == 'a' else ''}")
    write_volume(Volume(np.zeros(OBLIQUE.shape, np.int16), OBLIQUE), tmp_path / "a.nii.gz")
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_a_case_list_is_opened_compared_and_plotted(scene, runner, many_cases):
    runner.open_cases(scene, ReadingSource(table=many_cases))
    finish(runner)
    assert runner.listed.cases == tuple("abcdef")
    assert [(one.name, one.count) for one in runner.listed.found] == [("1", 24)]
    assert nodes_of(scene, "vtkMRMLSegmentationNode") == []

    runner.compare(scene, ReadingSource(table=many_cases), AskedFor(page=False))
    finish(runner)
    stored = stored_agreement(scene)
    assert stored.table == many_cases
    found = stored.agreement
    chart = band_chart(scene, found, "dice")
    series = series_of(chart)
    (band,) = [one for one in found.bands if one.metric == "dice"]
    assert columns(series["inter-rater (lower bound)"])["y"] == [band.lower.value]
    ends = columns(series["intra-rater (upper bound), 95 %"])["y"]
    assert ends[:2] == list(band.upper.interval)
    assert math.isnan(ends[2])
    assert columns(series["Net"])["y"] == pytest.approx(
        [np.mean([p.values["dice"] for p in found.pairs if "Net" in (p.a.rater, p.b.rater)])], abs=0.01
    )

    (volumes,) = [one for one in found.bland_altman if {one.a, one.b} == {Sitting("Ada"), Sitting("Ben")}]
    chart = bland_altman_chart(scene, volumes)
    points = columns(series_of(chart)["case"])
    assert points[CASE_COLUMN] == list("abcdef")
    assert points["y"] == list(volumes.differences_ml)
    assert columns(series_of(chart)["bias"])["y"] == [volumes.bias_ml.value] * 2
    assert case_of_point(series_of(chart)["case"], 3) == "d"
    assert case_of_point(series_of(chart)["bias"], 0) == ""

    chart = cases_chart(scene, found, "1", "dice")
    assert set(series_of(chart)) == {"inter-rater", "intra-rater"}
    assert len(columns(series_of(chart)["intra-rater"])["y"]) == 6
    before = scene.GetNumberOfNodes()
    cases_chart(scene, found, "1", "dice")
    assert scene.GetNumberOfNodes() == before, "a plot that is drawn again reuses its nodes"


def test_a_plot_is_shown_where_there_is_a_plot_view(scene, runner, many_cases):
    runner.compare(scene, ReadingSource(table=many_cases), AskedFor(page=False))
    finish(runner)
    layout = slicer.vtkMRMLLayoutNode()
    layout.SetSingletonTag("vtkMRMLLayoutNode")
    layout = scene.AddNode(layout)
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    view = scene.AddNewNodeByClass("vtkMRMLPlotViewNode")
    chart = cases_chart(scene, stored_agreement(scene).agreement, "1", "dice")
    show_chart(chart)
    assert layout.GetViewArrangement() != layout.SlicerLayoutFourUpView
    assert view.GetPlotChartNodeID() == chart.GetID()


def test_a_case_of_a_list_is_brought_into_the_views(scene, runner, many_cases):
    runner.compare(scene, ReadingSource(table=many_cases), AskedFor(page=False))
    finish(runner)
    agreement = stored_agreement(scene).agreement
    pair = worst_case(agreement, Sitting("Ada"), Sitting("Ben"), "1", "dice")
    view = CaseInView()
    assert not view.is_at_hand(scene, pair, listed=True)
    for case in (pair.case, "a"):
        runner.open_cases(scene, ReadingSource(table=many_cases, case=case))
        finish(runner)
        assert opened_case(scene) == case
        assert set(opened_readings(scene)) == {"Ada", "Ada (session 2)", "Ben", "Net"}
    assert [node.GetName() for node in nodes_of(scene, "vtkMRMLScalarVolumeNode")] == ["a"]
    of_a = next(p for p in agreement.pairs if p.case == "a" and {p.a.rater, p.b.rater} == {"Ada", "Ben"})
    seen = view.show(scene, of_a, {}, listed=True)
    assert seen.axis == 2
    shown = [
        node.GetName()
        for node in nodes_of(scene, "vtkMRMLSegmentationNode")
        if node.GetDisplayNode().GetSegmentVisibility(segment_ids(node)[0])
    ]
    assert shown == ["a Ada", "a Ben"]


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
