"""Charts of an agreement report as inline SVG: a strip of cases, a band, volumes against each other.

Kinds of comparison differ in shape as well as in colour, so that a page printed in black and white still
tells them apart. Where a metric has a better end, that end is on the right, in every chart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator

from pgt.agreement.metrics import Better, Metric
from pgt.agreement.report_words import signed
from pgt.agreement.results import Band, BandState, BlandAltman, Estimate, PairKind

ROW_WIDTH = 500.0
_SIDE = 16.0
_LANE = 17.0
_BAND_LANE = 18.0
_ROW_PADDING = 5.0
_TICKS = 5
_BOX_FROM = 5
"""Fewer cases than this are shown as they are: quartiles of four points say nothing."""

_CHART_WIDTH, _CHART_HEIGHT = 360.0, 214.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 12.0, 40.0

MARKS = {PairKind.INTER: "inter", PairKind.INTRA: "intra", PairKind.REFERENCE: "reference"}


@dataclass(frozen=True)
class Axis:
    """A scale across a chart.

    Args:
        low: smallest number shown.
        high: largest number shown, above ``low``.
        left: where the left end is drawn.
        right: where the right end is drawn.
        reversed: large numbers are on the left.
    """

    low: float
    high: float
    left: float = _SIDE
    right: float = ROW_WIDTH - _SIDE
    reversed: bool = False

    @classmethod
    def of(cls, metric: Metric, values: Iterable[float]) -> Axis:
        """The scale that shows numbers of a metric, of differences their size, round at both ends."""
        known = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(known), max(known)
        towards_zero = metric.better is not Better.HIGHER
        if towards_zero:
            low = 0.0
        axis = cls(*_round_ends(low, high), reversed=towards_zero)
        if metric.better is Better.HIGHER and high <= 1:
            return cls(max(axis.low, 0.0) if low >= 0 else axis.low, min(axis.high, 1.0))
        return axis

    def x(self, value: float) -> float:
        """Where a number is drawn; one beyond an end at that end."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        share = 1 - share if self.reversed else share
        return self.left + share * (self.right - self.left)

    def beyond(self, value: float) -> bool:
        """Whether a number lies outside of what is shown."""
        return not self.low - 1e-9 <= value <= self.high + 1e-9

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round numbers along the scale."""
        return _ticks(self.low, self.high)


@dataclass(frozen=True)
class CasePoint:
    """One case in a strip.

    Args:
        value: mean of the case's pairs.
        title: what a reader sees on pointing at it.
        by_policy: an empty-mask policy gave the number or part of it.
    """

    value: float
    title: str
    by_policy: bool = False


@dataclass(frozen=True)
class Lane:
    """The cases of one kind of comparison."""

    kind: PairKind
    points: tuple[CasePoint, ...]


def scale_row(axis: Axis) -> Markup:
    """The numbers along the scale, and which way is better."""
    shapes = [
        f'<text class="{_tick_class(axis, tick)}" x="{axis.x(tick):.1f}" y="12">'
        f"{_tick_text(tick, axis)}</text>"
        for tick in axis.ticks
    ]
    shapes.append(f'<text class="level better" x="{axis.right:.1f}" y="26">better →</text>')
    return _svg(ROW_WIDTH, 30, shapes, "Scale")


def strip_row(axis: Axis, lanes: Sequence[Lane]) -> Markup:
    """Every case as a point, one lane below the other for each kind of comparison; quartiles as a box."""
    height = _LANE * len(lanes) + 2 * _ROW_PADDING
    shapes = _grid(axis, height)
    for place, lane in enumerate(lanes):
        middle = _ROW_PADDING + (place + 0.5) * _LANE
        shapes += _box(axis, lane, middle)
        shapes += [
            _point(axis, lane.kind, point, middle + jitter)
            for point, jitter in zip(lane.points, _jitters(len(lane.points)), strict=True)
        ]
    return _svg(ROW_WIDTH, height, shapes, "Distribution over cases")


def band_row(axis: Axis, band: Band) -> Markup:
    """Both bounds with their intervals, the band between them where there is one, candidates below."""
    lanes = 1 + len(band.placements)
    height = _BAND_LANE * lanes + 2 * _ROW_PADDING
    shapes = _grid(axis, height)
    lower, upper = band.lower.value, band.upper.value
    if band.state is BandState.BAND and lower is not None and upper is not None:
        left, right = sorted((axis.x(lower), axis.x(upper)))
        title = escape("Peak Ground Truth lies in here with high likelihood")
        shapes.append(
            f'<rect class="band" x="{left:.1f}" y="1" width="{max(right - left, 1.0):.1f}" '
            f'height="{height - 2:.1f}"><title>{title}</title></rect>'
        )
    middle = _ROW_PADDING + _BAND_LANE / 2
    # Apart by a few points, so that the interval of one bound does not hide the other's.
    shapes += _estimate(axis, band.lower, "inter", middle - 3.5, "between different raters")
    shapes += _estimate(axis, band.upper, "intra", middle + 3.5, "of the same rater drawing again")
    for place, placement in enumerate(band.placements, start=1):
        below = middle + place * _BAND_LANE
        shapes += _estimate(axis, placement.similarity, "candidate", below, placement.name)
    return _svg(ROW_WIDTH, height, shapes, "Band")


def bland_altman_chart(plot: BlandAltman) -> Markup:
    """Difference of two raters' volumes against their mean, with bias and limits of agreement."""
    lines = [("limit", plot.lower_limit_ml), ("limit", plot.upper_limit_ml), ("bias", plot.bias_ml)]
    known = [end for _, line in lines for end in (line.value, line.lower, line.upper) if end is not None]
    across = Axis(*_round_ends(min(plot.means_ml), max(plot.means_ml)), _LEFT, _CHART_WIDTH - _RIGHT)
    low, high = min(0.0, *plot.differences_ml, *known), max(0.0, *plot.differences_ml, *known)
    up = Axis(*_round_ends(low, high), _TOP, _CHART_HEIGHT - _BOTTOM, reversed=True)
    shapes = [shape for kind, line in lines for shape in _level_interval(across, up, kind, line)]
    shapes += [
        f'<line class="grid" x1="{_LEFT:g}" x2="{across.right:g}" y1="{up.x(t):.1f}" y2="{up.x(t):.1f}"/>'
        f'<text class="level" x="{_LEFT - 6:g}" y="{up.x(t) + 4:.1f}">{_tick_text(t, up)}</text>'
        for t in up.ticks
    ]
    shapes += [shape for kind, line in lines for shape in _level(across, up, kind, line)]
    shapes += [
        f'<text class="tick" x="{across.x(t):.1f}" y="{_CHART_HEIGHT - 25:g}">{_tick_text(t, across)}</text>'
        for t in across.ticks
    ]
    for case, mean, difference in zip(plot.cases, plot.means_ml, plot.differences_ml, strict=True):
        title = escape(f"{case}: mean {mean:.3g} ml, difference {difference:.3g} ml")
        shapes.append(
            f'<circle class="case" cx="{across.x(mean):.1f}" cy="{up.x(difference):.1f}" r="3.2">'
            f"<title>{title}</title></circle>"
        )
    middle = (_LEFT + across.right) / 2
    shapes.append(f'<text class="tick" x="{middle:g}" y="{_CHART_HEIGHT - 8:g}">mean volume, ml</text>')
    return _svg(_CHART_WIDTH, _CHART_HEIGHT, shapes, f"Volumes of {plot.a} and {plot.b}, {plot.label}")


def _level_interval(across: Axis, up: Axis, kind: str, line: Estimate) -> list[str]:
    if line.interval is None:
        return []
    top, bottom = sorted(up.x(end) for end in line.interval)
    return [
        f'<rect class="{kind}-interval" x="{across.left:g}" y="{top:.1f}" '
        f'width="{across.right - across.left:g}" height="{max(bottom - top, 0.5):.1f}"/>'
    ]


def _level(across: Axis, up: Axis, kind: str, line: Estimate) -> list[str]:
    """A horizontal line at an estimate."""
    if line.value is None:
        return []
    y = up.x(line.value)
    return [f'<line class="{kind}" x1="{across.left:g}" x2="{across.right:g}" y1="{y:.1f}" y2="{y:.1f}"/>']


def _estimate(axis: Axis, estimate: Estimate, kind: str, y: float, what: str) -> list[str]:
    """A marker with its interval; nothing where there is no number."""
    if estimate.value is None:
        return []
    x = axis.x(estimate.value)
    shapes = []
    title = f"{what}: {estimate.value:.4g}"
    if estimate.interval is not None:
        left, right = sorted(axis.x(end) for end in estimate.interval)
        title += f" ({estimate.interval[0]:.4g} to {estimate.interval[1]:.4g})"
        shapes.append(f'<path class="whisker {kind}" d="M{left:.1f} {y:.1f} H{right:.1f}"/>')
    mark = _mark(kind, x, y)
    shapes.append(f'<path class="mark {kind}" d="{mark}"><title>{escape(title)}</title></path>')
    return shapes


def _mark(kind: str, x: float, y: float) -> str:
    """The outline of a marker: a shape for each kind, so that colour is not needed."""
    if kind == "candidate":
        return f"M{x:.1f} {y - 6:.1f} l5 6 l-5 6 l-5 -6 z"
    if kind == "intra":
        return f"M{x - 3.6:.1f} {y - 3.6:.1f} h7.2 v7.2 h-7.2 z"
    if kind == "reference":
        return f"M{x:.1f} {y - 4.4:.1f} l4.4 7.8 h-8.8 z"
    return f"M{x - 4:.1f} {y:.1f} a4 4 0 1 0 8 0 a4 4 0 1 0 -8 0 z"


def _point(axis: Axis, kind: PairKind, point: CasePoint, y: float) -> str:
    x = axis.x(point.value)
    shape = _mark(MARKS[kind], x, y)
    css = MARKS[kind]
    if axis.beyond(point.value):
        tip = -6 if x <= axis.left + 1 else 6
        shape, css = f"M{x:.1f} {y - 4:.1f} l{tip} 4 l{-tip} 4 z", f"{css} beyond"
    elif point.by_policy:
        shape, css = f"M{x - 4:.1f} {y - 4:.1f} l8 8 m0 -8 l-8 8", f"{css} policy"
    return f'<path class="{css}" d="{shape}"><title>{escape(point.title)}</title></path>'


def _box(axis: Axis, lane: Lane, middle: float) -> list[str]:
    """Quartiles and median behind the points of a lane."""
    if len(lane.points) < _BOX_FROM:
        return []
    first, median, third = np.percentile([point.value for point in lane.points], (25, 50, 75))
    left, right = sorted((axis.x(float(first)), axis.x(float(third))))
    x = axis.x(float(median))
    return [
        f'<rect class="box" x="{left:.1f}" y="{middle - 6.5:.1f}" width="{max(right - left, 1):.1f}" '
        'height="13"/>',
        f'<path class="median" d="M{x:.1f} {middle - 7.5:.1f} v15"/>',
    ]


def _jitters(count: int) -> list[float]:
    """Small offsets that keep neighbours apart, the same on every run."""
    return [3.4 * math.sin(2.4 * place) if count > 2 else 0.0 for place in range(count)]


def _grid(axis: Axis, height: float) -> list[str]:
    return [f'<path class="grid" d="M{axis.x(tick):.1f} 0 V{height:g}"/>' for tick in axis.ticks]


def _tick_class(axis: Axis, tick: float) -> str:
    """Ticks at the very ends are written inwards, so that nothing is cut off."""
    x = axis.x(tick)
    return "first" if x < axis.left + 2 else "level" if x > axis.right - 2 else "tick"


def _tick_text(tick: float, axis: Axis) -> str:
    ticks = axis.ticks
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    return signed(tick, max(0, -math.floor(math.log10(step) + 1e-9)))


def _round_ends(low: float, high: float) -> tuple[float, float]:
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        room = 0.1 * abs(low) or 1.0
        low, high = low - room, high + room
    ticks = MaxNLocator(nbins=_TICKS, steps=[1, 2, 5, 10]).tick_values(low, high)
    return float(ticks[0]), float(ticks[-1])


@lru_cache
def _ticks(low: float, high: float) -> tuple[float, ...]:
    ticks = MaxNLocator(nbins=_TICKS, steps=[1, 2, 5, 10]).tick_values(low, high)
    room = 1e-9 * (high - low)
    return tuple(float(tick) for tick in ticks if low - room <= tick <= high + room)


def _svg(width: float, height: float, shapes: Sequence[str], name: str) -> Markup:
    """One drawing; every name inside has been escaped where it was put in."""
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(name)}">{"".join(shapes)}</svg>'
    )
