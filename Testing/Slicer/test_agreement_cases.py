"""A case list: opened, compared, plotted, and its cases brought into the views."""

from __future__ import annotations

import math

import numpy as np
import pytest
import slicer
from made_raters import OBLIQUE, blob, finish

from pgt.agreement.job import AskedFor
from pgt.agreement.reading_source import ReadingSource
from pgt.agreement.readings import Sitting
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
from PGTToolkitLib.agreement_rows import worst_case
from PGTToolkitLib.agreement_runner import opened_case, opened_readings
from PGTToolkitLib.agreement_store import stored_agreement
from PGTToolkitLib.case_in_view import CaseInView
from PGTToolkitLib.scene import nodes_of, segment_ids


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
