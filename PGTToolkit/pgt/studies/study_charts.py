"""Curves of a study as inline SVG: one line a series, with the interval of every point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

COLOURS = (
    "#0b6e99", "#d1495b", "#e0a100", "#3b8b5a", "#7a4fa3", "#8a5a2b",
    "#4a5568", "#c2559d", "#5aa9c9", "#a3b04a", "#111827", "#f08a5d",
)  # fmt: skip
_DASHES = ("", "6 4", "2 3", "9 3 2 3")
_WIDTH, _HEIGHT = 540.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 14.0, 12.0, 44.0
_TICKS = 5
_TICK_WIDTH = 30.0


@dataclass(frozen=True)
class Point:
    """A measured point; ``low`` and ``high`` are the ends of its interval, None without one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class LineChart:
    """A chart.

    Args:
        series: its lines.
        across: what the horizontal scale shows.
        up: what the vertical scale shows.
        caption: what to see in it.
        logarithmic: the horizontal scale doubles in even steps; all x above 0.
    """

    series: tuple[Series, ...]
    across: str
    up: str
    caption: str = ""
    logarithmic: bool = False

    def svg(self) -> Markup:
        """The drawing."""
        xs = [self._placed(point.x) for line in self.series for point in line.points]
        heights = [
            height
            for line in self.series
            for point in line.points
            for height in (point.y, point.low, point.high)
            if height is not None and math.isfinite(height)
        ]
        if not xs or not heights:
            return Markup("")
        across = _Scale.around(xs, _LEFT, _WIDTH - _RIGHT)
        up = _Scale.around(heights, _HEIGHT - _BOTTOM, _TOP)
        shapes = [*self._frame(across, up)]
        for number, line in enumerate(self.series):
            shapes += self._line(line, number, across, up)
        label = escape(f"{self.up} by {self.across}")
        # Everything that came from a file went through escape.
        return Markup(  # nosec
            f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{label}">'
            f"{''.join(shapes)}</svg>"
        )

    def _placed(self, x: float) -> float:
        return math.log2(x) if self.logarithmic else x

    def _frame(self, across: _Scale, up: _Scale) -> list[str]:
        shapes = []
        for tick in up.ticks:
            y = up.place(tick)
            shapes.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
            shapes.append(f'<text class="level" x="{_LEFT - 6}" y="{y + 4:.1f}">{up.text(tick)}</text>')
        right = -_TICK_WIDTH
        for x in sorted({point.x for line in self.series for point in line.points}):
            if across.place(self._placed(x)) - right < _TICK_WIDTH:
                continue  # its number would lie on its neighbour's
            right = across.place(self._placed(x))
            shapes.append(
                f'<text class="tick" x="{across.place(self._placed(x))}" y="{_HEIGHT - _BOTTOM + 18}">'
                f"{x:.4g}</text>"
            )
        shapes.append(
            f'<text class="tick" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}">'
            f"{escape(self.across)}</text>"
        )
        return shapes

    def _line(self, line: Series, number: int, across: _Scale, up: _Scale) -> list[str]:
        colour, dash = colour_of(number), _DASHES[number // len(COLOURS) % len(_DASHES)]
        places = [(across.place(self._placed(point.x)), up.place(point.y), point) for point in line.points]
        route = " ".join(f"{x},{y}" for x, y, _ in places)
        shapes = [
            f'<polyline points="{route}" fill="none" stroke="{colour}" stroke-width="1.8" '
            f'stroke-dasharray="{dash}"/>'
        ]
        for x, y, point in places:
            said = f"{point.y:.3f}"
            if point.low is not None and point.high is not None:
                shapes.append(
                    f'<line x1="{x}" x2="{x}" y1="{up.place(point.low)}" y2="{up.place(point.high)}" '
                    f'stroke="{colour}" stroke-opacity="0.45" stroke-width="1.4"/>'
                )
                said += f" ({point.low:.3f} to {point.high:.3f})"
            shapes.append(
                f'<circle cx="{x}" cy="{y}" r="3.4" fill="{colour}"><title>{escape(line.name)}, '
                f"{point.x:.4g}: {said}</title></circle>"
            )
        return shapes


def colour_of(number: int) -> str:
    """The colour of a line by its place among the others."""
    return COLOURS[number % len(COLOURS)]


@dataclass(frozen=True)
class _Scale:
    """From numbers to places along one side of a chart."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, numbers: Sequence[float], start: float, end: float) -> _Scale:
        low, high = min(numbers), max(numbers)
        margin = 0.05 * (high - low) or 0.5 * max(abs(high), 0.1)
        return cls(low - margin, high + margin, start, end)

    def place(self, number: float) -> float:
        share = (number - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round numbers, about five."""
        rough = (self.high - self.low) / _TICKS
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(m * size for m in (1, 2, 5, 10) if m * size >= rough * 0.999)
        first = math.ceil(self.low / step)
        return tuple(n * step for n in range(first, math.floor(self.high / step) + 1))

    def text(self, tick: float) -> str:
        step = self.high - self.low
        decimals = max(0, 1 - math.floor(math.log10(step / _TICKS))) if step < 10 else 0
        return f"{tick:.{min(decimals, 4)}f}"
