"""The results of a comparison as tables and plots of the scene, for Slicer's own plot views.

A plot is made anew in the same nodes, so that a view that shows it follows. Points that stand for one case
name it in the column :data:`CASE_COLUMN` of their table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import slicer
import vtk

from pgt.agreement.metrics import Metric, metric
from pgt.agreement.results import Agreement, BlandAltman, Estimate, PairKind
from PGTToolkitLib.agreement_rows import band_of, metrics_of, pair_lines
from PGTToolkitLib.scene import nodes_of

CASE_COLUMN = "Case"

_CHART_TAG = "PGTToolkit.Chart"
_GAP = math.nan

_LOWER_COLOR = (0.84, 0.37, 0.0)
_UPPER_COLOR = (0.0, 0.45, 0.70)
_MODEL_COLORS = ((0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.35, 0.35, 0.35))
_GREY = (0.35, 0.35, 0.35)
_KIND_COLORS = {
    PairKind.INTER: _LOWER_COLOR,
    PairKind.INTRA: _UPPER_COLOR,
    PairKind.REFERENCE: _MODEL_COLORS[0],
}

Column = Sequence[float] | Sequence[str]


@dataclass(frozen=True)
class Series:
    """Points or a line of a plot.

    Args:
        name: what the legend says.
        columns: the table: ``x``, ``y``, and where points stand for cases :data:`CASE_COLUMN`.
        color: red, green and blue from 0 to 1.
        points: whether to draw markers.
        line: whether to join the points; a point that is not a number interrupts the line.
        dashed: whether that line is dashed.
    """

    name: str
    columns: Mapping[str, Column]
    color: tuple[float, float, float]
    points: bool = False
    line: bool = False
    dashed: bool = False


def add_pairs_table(scene: slicer.vtkMRMLScene, agreement: Agreement) -> slicer.vtkMRMLTableNode:
    """All comparisons as a table of the scene."""
    lines = pair_lines(agreement)
    columns: dict[str, Column] = {
        CASE_COLUMN: [line.pair.case for line in lines],
        "Label": [line.pair.label for line in lines],
        "A": [str(line.pair.a) for line in lines],
        "B": [str(line.pair.b) for line in lines],
        "Kind": [line.pair.kind.value for line in lines],
    }
    for number, described in enumerate(metrics_of(agreement)):
        columns[titled(described)] = [line.values[number] for line in lines]
    return _table(scene, "pairs", "PGT agreement: comparisons", columns)


def band_chart(scene: slicer.vtkMRMLScene, agreement: Agreement, key: str) -> slicer.vtkMRMLPlotChartNode:
    """Peak Ground Truth of every label on one metric: both bounds and the models, with 95 % intervals."""
    places = {label: float(number) for number, label in enumerate(agreement.labels, start=1)}
    bands = {
        label: band for label in agreement.labels if (band := band_of(agreement, label, key)) is not None
    }
    series = _with_intervals(
        "inter-rater (lower bound)", {places[n]: b.lower for n, b in bands.items()}, _LOWER_COLOR, -0.12
    )
    series += _with_intervals(
        "intra-rater (upper bound)", {places[n]: b.upper for n, b in bands.items()}, _UPPER_COLOR, 0.12
    )
    for number, name in enumerate(agreement.candidates):
        found = {places[n]: p.similarity for n, b in bands.items() for p in b.placements if p.name == name}
        if not found:
            found = _similarities(agreement, name, key, places)
        color = _MODEL_COLORS[number % len(_MODEL_COLORS)]
        series += _with_intervals(name, found, color, 0.1 * number)
    described = metric(key)
    across = ", ".join(f"{number:.0f} {label}" for label, number in places.items())
    chart = _chart(scene, "band", f"Peak Ground Truth: {described.title}", across, titled(described), series)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(0.5, len(places) + 0.5)
    return chart


def bland_altman_chart(scene: slicer.vtkMRMLScene, found: BlandAltman) -> slicer.vtkMRMLPlotChartNode:
    """Two raters' volumes of one label: difference against mean, bias and limits of agreement."""
    low, high = min(found.means_ml), max(found.means_ml)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    ends = [low - room, high + room]
    series = []
    for name, level, dashed in (
        ("bias", found.bias_ml, False),
        ("lower limit of agreement", found.lower_limit_ml, True),
        ("upper limit of agreement", found.upper_limit_ml, True),
    ):
        if level.value is not None:
            columns: dict[str, Column] = {"x": ends, "y": [level.value, level.value]}
            series.append(Series(name, columns, _GREY, line=True, dashed=dashed))
    points: dict[str, Column] = {
        "x": found.means_ml, "y": found.differences_ml, CASE_COLUMN: found.cases
    }  # fmt: skip
    series.append(Series("case", points, _UPPER_COLOR, points=True))
    return _chart(
        scene,
        "bland-altman",
        f"Bland–Altman: {found.label}, {found.b} minus {found.a}",
        "Mean volume (ml)",
        "Difference of volumes (ml)",
        series,
    )


def cases_chart(
    scene: slicer.vtkMRMLScene, agreement: Agreement, label: str, key: str
) -> slicer.vtkMRMLPlotChartNode:
    """Every comparison of one label on one metric, case by case."""
    described = metric(key)
    places = {case: float(number) for number, case in enumerate(agreement.cases, start=1)}
    series = []
    for shift, kind in ((-0.15, PairKind.INTER), (0.0, PairKind.REFERENCE), (0.15, PairKind.INTRA)):
        pairs = [
            pair
            for pair in agreement.pairs
            if (pair.label, pair.kind) == (label, kind) and key in pair.values
        ]
        if pairs:
            columns: dict[str, Column] = {
                "x": [places[pair.case] + shift for pair in pairs],
                "y": [pair.values[key] for pair in pairs],
                CASE_COLUMN: [pair.case for pair in pairs],
            }
            series.append(Series(kind.value, columns, _KIND_COLORS[kind], points=True))
    title = f"{described.title} of {label}, by case"
    names = (
        ", ".join(f"{number:.0f} {case}" for case, number in places.items()) if len(places) < 9 else "Case"
    )
    return _chart(scene, "cases", title, names, titled(described), series)


def show_chart(chart: slicer.vtkMRMLPlotChartNode) -> None:
    """Put a plot into a view, in a layout that has one, where points can be clicked."""
    scene = chart.GetScene()
    logic = slicer.vtkSlicerPlotsLogic()
    logic.SetMRMLScene(scene)
    logic.ShowChartInLayout(chart)
    for view in nodes_of(scene, "vtkMRMLPlotViewNode"):
        view.SetPlotChartNodeID(chart.GetID())
        view.SetInteractionMode(view.InteractionModeSelectPoints)


def case_of_point(series: slicer.vtkMRMLPlotSeriesNode, point: int) -> str:
    """The case that a point stands for; empty where it stands for none."""
    table = series.GetTableNode()
    cases = table.GetTable().GetColumnByName(CASE_COLUMN) if table is not None else None
    if cases is None or not 0 <= point < cases.GetNumberOfValues():
        return ""
    return str(cases.GetValue(point))


def titled(described: Metric) -> str:
    """A metric with its unit."""
    return f"{described.title} ({described.unit})" if described.unit else described.title


def _similarities(
    agreement: Agreement, name: str, key: str, places: Mapping[str, float]
) -> dict[float, Estimate]:
    """Where a model stands although there is no band: the mean of its comparisons with the reference."""
    found = {}
    for label, place in places.items():
        values = [
            pair.values[key]
            for pair in agreement.pairs
            if pair.label == label and name in (pair.a.rater, pair.b.rater) and key in pair.values
        ]
        if values:
            found[place] = Estimate(sum(values) / len(values), cases=len(values))
    return found


def _with_intervals(
    name: str, found: Mapping[float, Estimate], color: tuple[float, float, float], shift: float
) -> list[Series]:
    """Points, and where there are intervals a vertical line through each."""
    there = {place + shift: one for place, one in found.items() if one.value is not None}
    if not there:
        return []
    points: dict[str, Column] = {"x": list(there), "y": [one.value or 0.0 for one in there.values()]}
    series = [Series(name, points, color, points=True)]
    intervals = [(place, one.interval) for place, one in there.items() if one.interval is not None]
    if intervals:
        columns: dict[str, Column] = {
            "x": [x for place, _ends in intervals for x in (place, place, _GAP)],
            "y": [y for _place, ends in intervals for y in (*ends, _GAP)],
        }
        series.append(Series(f"{name}, 95 %", columns, color, line=True))
    return series


def _chart(
    scene: slicer.vtkMRMLScene, tag: str, title: str, x_title: str, y_title: str, series: Sequence[Series]
) -> slicer.vtkMRMLPlotChartNode:
    chart = _tagged(scene, "vtkMRMLPlotChartNode", tag, title)
    modifying = chart.StartModify()
    try:
        chart.RemoveAllPlotSeriesNodeIDs()
        _remove_from(scene, f"{tag}.")
        for number, one in enumerate(series):
            chart.AddAndObservePlotSeriesNodeID(_series(scene, f"{tag}.{number}", one).GetID())
        chart.SetTitle(title)
        chart.SetXAxisTitle(x_title)
        chart.SetYAxisTitle(y_title)
        chart.SetXAxisRangeAuto(True)
        chart.SetLegendVisibility(True)
    finally:
        chart.EndModify(modifying)
    return chart


def _series(scene: slicer.vtkMRMLScene, tag: str, one: Series) -> slicer.vtkMRMLPlotSeriesNode:
    table = _table(scene, f"{tag}.table", f"{one.name} (points)", one.columns)
    node = _tagged(scene, "vtkMRMLPlotSeriesNode", tag, one.name)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetPlotType(node.PlotTypeScatter)
    node.SetXColumnName("x")
    node.SetYColumnName("y")
    node.SetLabelColumnName(CASE_COLUMN if CASE_COLUMN in one.columns else "")
    node.SetMarkerStyle(node.MarkerStyleCircle if one.points else node.MarkerStyleNone)
    node.SetMarkerSize(9)
    style = node.LineStyleDash if one.dashed else node.LineStyleSolid
    node.SetLineStyle(style if one.line else node.LineStyleNone)
    node.SetLineWidth(2)
    node.SetColor(*one.color)
    return node


def _table(
    scene: slicer.vtkMRMLScene, tag: str, name: str, columns: Mapping[str, Column]
) -> slicer.vtkMRMLTableNode:
    node = _tagged(scene, "vtkMRMLTableNode", tag, name)
    table = vtk.vtkTable()
    for title, values in columns.items():
        text = bool(values) and isinstance(values[0], str)
        array = vtk.vtkStringArray() if text else vtk.vtkDoubleArray()
        array.SetName(title)
        for value in values:
            array.InsertNextValue(value)
        table.AddColumn(array)
    node.SetAndObserveTable(table)
    return node


def _tagged(scene: slicer.vtkMRMLScene, kind: str, tag: str, name: str) -> slicer.vtkMRMLNode:
    """The node of this kind and purpose, made where there is none."""
    for node in nodes_of(scene, kind):
        if node.GetAttribute(_CHART_TAG) == tag:
            node.SetName(name)
            return node
    node = scene.AddNewNodeByClass(kind, name)
    node.SetAttribute(_CHART_TAG, tag)
    return node


def _remove_from(scene: slicer.vtkMRMLScene, prefix: str) -> None:
    """Remove the series of a plot and their tables."""
    for kind in ("vtkMRMLPlotSeriesNode", "vtkMRMLTableNode"):
        for node in nodes_of(scene, kind):
            if (node.GetAttribute(_CHART_TAG) or "").startswith(prefix):
                scene.RemoveNode(node)
