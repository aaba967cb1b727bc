"""Label quality against result, one mark a version; on the diagonal a result is as good as its labels."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from pgt.studies.study_charts import LineChart, Point, colour_of

_WIDTH, _HEIGHT = 540.0, 360.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 20.0, 14.0, 46.0
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_TICKS = 7


@dataclass(frozen=True)
class VersionChart(LineChart):
    """Marks instead of lines; each series is one version with one point.

    Args:
        diagonal: draw the line y = x.
    """

    diagonal: bool = False

    def svg(self) -> Markup:
        """The drawing."""
        marks = [(number, line.name, line.points[0]) for number, line in enumerate(self.series)]
        if not marks:
            return Markup("")
        across = _Side.around([mark.x for _, _, mark in marks], _LEFT, _WIDTH - _RIGHT)
        ends = [end for _, _, mark in marks for end in (mark.y, mark.low, mark.high) if end is not None]
        up = _Side.around(ends, _HEIGHT - _BOTTOM, _TOP)
        shapes = self._axes(across, up)
        if self.diagonal:
            low, high = max(across.low, up.low), min(across.high, up.high)
            if low < high:
                shapes.append(
                    f'<line x1="{across.place(low)}" y1="{up.place(low)}" x2="{across.place(high)}" '
                    f'y2="{up.place(high)}" stroke="#5b6b7b" stroke-dasharray="5 4"/>'
                )
        for number, name, mark in marks:
            shapes += _mark(number, name, mark, across, up)
        label = escape(f"{self.up} by {self.across}")
        # Everything that came from a file went through escape.
        return Markup(  # nosec
            f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{label}">'
            f"{''.join(shapes)}</svg>"
        )

    def _axes(self, across: _Side, up: _Side) -> list[str]:
        shapes = []
        for tick in up.ticks:
            y = up.place(tick)
            shapes.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
            shapes.append(f'<text class="level" x="{_LEFT - 6}" y="{y + 4:.1f}">{tick:.3g}</text>')
        for tick in across.ticks:
            x = across.place(tick)
            shapes.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
            shapes.append(f'<text class="tick" x="{x}" y="{_HEIGHT - _BOTTOM + 16}">{tick:.3g}</text>')
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        shapes.append(f'<text class="tick" x="{middle}" y="{_HEIGHT - 8}">{escape(self.across)}</text>')
        return shapes


@dataclass(frozen=True)
class _Side:
    """From numbers to places along one side."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, numbers: list[float], start: float, end: float) -> _Side:
        margin = 0.07 * (max(numbers) - min(numbers)) or 0.01
        return cls(min(numbers) - margin, max(numbers) + margin, start, end)

    def place(self, number: float) -> float:
        return round(self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[float]:
        """Round numbers, a few."""
        width = self.high - self.low
        step = next((step for step in _STEPS if width / step <= _MOST_TICKS), _STEPS[-1])
        first = int(-(-self.low // step))
        return [number * step for number in range(first, int(self.high // step) + 1)]


def _mark(number: int, name: str, mark: Point, across: _Side, up: _Side) -> list[str]:
    x, y, colour = across.place(mark.x), up.place(mark.y), colour_of(number)
    shapes = []
    said = f"{mark.y:.3f}"
    if mark.low is not None and mark.high is not None:
        shapes.append(
            f'<line x1="{x}" x2="{x}" y1="{up.place(mark.low)}" y2="{up.place(mark.high)}" '
            f'stroke="{colour}" stroke-opacity="0.45" stroke-width="1.6"/>'
        )
        said += f" ({mark.low:.3f} to {mark.high:.3f})"
    shapes.append(
        f'<circle cx="{x}" cy="{y}" r="4.2" fill="{colour}"><title>{escape(name)}, {mark.x:.3f}: {said}'
        "</title></circle>"
    )
    return shapes
