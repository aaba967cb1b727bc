"""The charts of an agreement report, each row with its numbers in words beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pgt.agreement import peak
from pgt.agreement.charts import (
    MARKS,
    Axis,
    CasePoint,
    Lane,
    band_row,
    bland_altman_chart,
    scale_row,
    strip_row,
)
from pgt.agreement.metrics import Metric, metric
from pgt.agreement.report_words import counted, estimate_words, listed, number
from pgt.agreement.results import (
    Agreement,
    Band,
    BandState,
    BlandAltman,
    Estimate,
    Occupancy,
    PairKind,
    PairScores,
)

_FAR_BEYOND = 3.0
"""Numbers so many times beyond the 95th percentile are drawn at the chart's edge, not to squeeze the rest."""

BAND_WORDS = {
    BandState.BAND: "",
    BandState.NO_REPEATS: "no band: nobody drew twice",
    BandState.NO_OTHER_RATER: "no band: only one rater",
    BandState.CROSSED: "no band: the bounds cross",
    BandState.UNCERTAIN: "no band: bounds not told apart",
    BandState.TOO_FEW_CASES: "no band: too few cases",
}


@dataclass(frozen=True)
class ChartRow:
    """A label's chart with the numbers beside it."""

    label: str
    chart: Markup
    texts: tuple[tuple[str, str, str], ...]
    """Kind (as CSS class), what it is, the number in words."""
    note: str = ""


@dataclass(frozen=True)
class MetricPanel:
    """One metric's charts."""

    metric: Metric
    scale: Markup
    rows: tuple[ChartRow, ...]
    notes: tuple[tuple[str, str], ...] = ()
    """Labels, and what to mind about them."""
    beyond: int = 0


def strip_panels(agreement: Agreement, keys: tuple[str, ...]) -> tuple[MetricPanel, ...]:
    """Every case of every label, for each metric."""
    panels = []
    for key in keys:
        lanes = {label: _lanes(agreement, label, key) for label in agreement.labels}
        points = [point for part in lanes.values() for lane in part for point in lane.points]
        axis = Axis.of(metric(key), _ordinary(metric(key), points))
        rows = tuple(
            ChartRow(label, strip_row(axis, part), tuple(_spread(metric(key), lane) for lane in part))
            for label, part in lanes.items()
            if part
        )
        beyond = sum(axis.beyond(point.value) for point in points)
        panels.append(MetricPanel(metric(key), scale_row(axis), rows, beyond=beyond))
    return tuple(panels)


def _ordinary(described: Metric, points: Sequence[CasePoint]) -> Sequence[float]:
    """The numbers that set a scale. Without an upper end: none by a policy, none far beyond the others."""
    values = [point.value for point in points]
    if not described.unit:
        return values
    measured = [point.value for point in points if not point.by_policy] or values
    usual = float(np.percentile(measured, 95)) if measured else 0.0
    return [value for value in measured if value <= _FAR_BEYOND * usual] or measured


def _lanes(agreement: Agreement, label: str, key: str) -> tuple[Lane, ...]:
    here = [pair for pair in agreement.pairs if pair.label == label and key in pair.values]
    lanes = []
    for kind in PairKind:
        pairs = peak.pairs_of_kind(here, kind, agreement.candidates)
        means = peak.by_case(pairs, key)
        if means:
            by_case: dict[str, list[PairScores]] = {}
            for pair in pairs:
                by_case.setdefault(pair.case, []).append(pair)
            points = [_case_point(metric(key), case, means[case], by_case[case]) for case in means]
            lanes.append(Lane(kind, tuple(points)))
    return tuple(lanes)


def _case_point(described: Metric, case: str, mean: float, pairs: Sequence[PairScores]) -> CasePoint:
    unit = f" {described.unit}" if described.unit else ""
    title = f"{case}: {number(described, mean)}{unit}"
    if len(pairs) > 1:
        title += f", mean of {len(pairs)} pairs"
    policy = sum(pair.occupancy is not Occupancy.BOTH for pair in pairs)
    if policy:
        title += f", {policy} by the empty-mask policy"
    return CasePoint(mean, title, policy > 0)


def _spread(described: Metric, lane: Lane) -> tuple[str, str, str]:
    """Median and range in words."""
    values = [point.value for point in lane.points]
    middle, low, high = float(np.median(values)), min(values), max(values)
    text = number(described, middle, low, high)
    if len(values) > 1:
        text += f" ({number(described, low, middle, high)} to {number(described, high, low, middle)})"
    return MARKS[lane.kind], f"{len(values)}", text


def band_panels(agreement: Agreement) -> tuple[MetricPanel, ...]:
    panels = []
    for key in dict.fromkeys(band.metric for band in agreement.bands):
        bands = [band for band in agreement.bands if band.metric == key]
        axis = Axis.of(metric(key), _shown_ends(metric(key), bands))
        rows = tuple(
            ChartRow(band.label, band_row(axis, band), _band_texts(band), BAND_WORDS[band.state])
            for band in bands
        )
        notes: dict[str, list[str]] = {}
        for band in bands:
            if band.note:
                notes.setdefault(band.note, []).append(band.label)
        together = tuple(
            ("All structures" if len(labels) == len(bands) > 1 else listed(labels, len(labels)), note)
            for note, labels in notes.items()
        )
        panels.append(MetricPanel(metric(key), scale_row(axis), rows, together))
    return tuple(panels)


def _shown_ends(described: Metric, bands: Sequence[Band]) -> list[float]:
    """The numbers that set the scale: all estimates, and the ends of their intervals that are not far off."""
    estimates = [
        estimate
        for band in bands
        for estimate in (band.lower, band.upper, *(placed.similarity for placed in band.placements))
    ]
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    ends = [end for estimate in estimates for end in estimate.interval or ()]
    if described.unit and values:
        ends = [end for end in ends if end <= _FAR_BEYOND * max(values)]
    return [*values, *ends]


def _band_texts(band: Band) -> tuple[tuple[str, str, str], ...]:
    described = metric(band.metric)
    texts = []
    named = [("inter", "", band.lower), ("intra", "", band.upper)]
    named += [("candidate", placement.name, placement.similarity) for placement in band.placements]
    for css, name, estimate in named:
        if estimate.value is not None:
            value, interval = estimate_words(described, estimate)
            texts.append((css, name, f"{value} ({interval}; {counted(estimate.cases, 'case')})"))
    texts += [
        ("", p.name, f"is below {p.below:.0%}, inside {p.inside:.0%}, beyond {p.beyond:.0%}")
        for p in band.placements
    ]
    return tuple(texts)


@dataclass(frozen=True)
class VolumePlot:
    """One pair of raters' volumes against each other."""

    title: str
    chart: Markup
    texts: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LabelVolumes:
    """One label's plots."""

    label: str
    summary: str
    plots: tuple[VolumePlot, ...]


def volume_panels(agreement: Agreement) -> tuple[LabelVolumes, ...]:
    """Bland-Altman plots, label by label."""
    together: dict[str, list[BlandAltman]] = {}
    for plot in agreement.bland_altman:
        together.setdefault(plot.label, []).append(plot)
    return tuple(
        LabelVolumes(label, _bias_range(plots), tuple(_volume_plot(plot) for plot in plots))
        for label, plots in together.items()
    )


def _bias_range(plots: Sequence[BlandAltman]) -> str:
    biases = [plot.bias_ml.value for plot in plots if plot.bias_ml.value is not None]
    if not biases:
        return counted(len(plots), "pair")
    described = metric("volume_difference_ml")
    low, high = min(biases), max(biases)
    ends = [number(described, end, low, high) for end in (low, high)]
    between = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
    return f"{counted(len(plots), 'pair')} of raters, bias {between} ml"


def _volume_plot(plot: BlandAltman) -> VolumePlot:
    def words(name: str, estimate: Estimate) -> str:
        value, interval = estimate_words(metric("volume_difference_ml"), estimate)
        return f"{name} {value} ml ({interval})" if estimate.value is not None else f"{name} –"

    estimates = (plot.bias_ml, plot.lower_limit_ml, plot.upper_limit_ml)
    names = ("bias", "lower limit", "upper limit")
    return VolumePlot(
        title=f"{plot.b} minus {plot.a}",
        chart=bland_altman_chart(plot),
        texts=(
            *(words(name, estimate) for name, estimate in zip(names, estimates, strict=True)),
            counted(len(plot.cases), "case"),
        ),
        notes=tuple(dict.fromkeys(estimate.note for estimate in estimates if estimate.note)),
    )
