"""One self-contained HTML page about a propagation: pictures inside it, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pgt.annotation import AXIS_NAMES, SliceState
from pgt.page_style import Picture as Picture
from pgt.page_style import page_environment
from pgt.volume import Color

_CHART_WIDTH, _CHART_HEIGHT = 900, 190
_LEFT, _TOP, _BOTTOM = 44, 12, 34


@dataclass(frozen=True)
class StructureScore:
    """Dice of one structure over the slices that nobody annotated.

    Args:
        name: the segment's name.
        color: the segment's colour.
        millilitres: its true volume.
        dice: by column of the table; None where there is nothing to compare (absent in truth and result).
    """

    name: str
    color: Color
    millilitres: float
    dice: Mapping[str, float | None]

    @property
    def css_color(self) -> str:
        """The colour as CSS writes it."""
        return "rgb({})".format(",".join(str(round(255 * part)) for part in self.color))

    @property
    def best(self) -> float | None:
        """The best Dice of the row."""
        return max((value for value in self.dice.values() if value is not None), default=None)


@dataclass(frozen=True)
class SlicePoint:
    """One slice of the confidence chart; ``dice`` where the truth is known."""

    index: int
    state: SliceState | None
    confidence: float
    dice: float | None = None


@dataclass(frozen=True)
class Page:
    """What the page tells.

    Args:
        title: its heading.
        lead: one paragraph: what was done and what came of it.
        steps: what was done, in order.
        pictures: in the order shown.
        scores: Dice of every structure; empty where the truth is not known.
        score_note: how the scores were reckoned.
        slices: every slice of the propagated axis that has a state.
        axis: 0, 1 or 2.
        next_slice: the slice whose annotation would help most.
        messages: what the user should know.
        facts: name and value, for the table at the end.
        files: name and description of the files beside the page.
    """

    title: str
    lead: str
    steps: Sequence[str]
    pictures: Sequence[Picture]
    slices: Sequence[SlicePoint]
    axis: int
    next_slice: int | None
    facts: Mapping[str, str]
    files: Mapping[str, str]
    scores: Sequence[StructureScore] = ()
    score_note: str = ""
    messages: Sequence[str] = field(default_factory=tuple)

    def html(self) -> str:
        """The whole page."""
        columns = list(self.scores[0].dice) if self.scores else []
        means = {column: _mean([score.dice[column] for score in self.scores]) for column in columns}
        return (
            page_environment()
            .from_string(_TEMPLATE)
            .render(
                page=self, columns=columns, means=means, chart=self._chart(), axis_name=AXIS_NAMES[self.axis]
            )
        )

    def _chart(self) -> Markup:
        """Confidence of every slice as SVG; true Dice as a line where it is known."""
        first, last = self.slices[0].index, self.slices[-1].index
        step = (_CHART_WIDTH - _LEFT - 10) / (last - first + 1)
        height = _CHART_HEIGHT - _TOP - _BOTTOM

        def x(index: int) -> float:
            return _LEFT + (index - first + 0.5) * step

        def y(value: float) -> float:
            return _TOP + (1 - value) * height

        shapes = [_grid_line(value, y(value)) for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
        for point in self.slices:
            kind = point.state.value if point.state else "none"
            top = y(point.confidence)
            shapes.append(
                f'<rect class="{kind}" x="{x(point.index) - 0.42 * step:.1f}" y="{top:.1f}" '
                f'width="{0.84 * step:.1f}" height="{y(0) - top:.1f}">'
                f"<title>slice {point.index}, {kind}, confidence {point.confidence:.2f}</title></rect>"
            )
        measured = [(x(p.index), y(p.dice)) for p in self.slices if p.dice is not None]
        if measured:
            shapes.append(
                f'<polyline class="dice" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in measured)}"/>'
            )
        if self.next_slice is not None and first <= self.next_slice <= last:
            shapes.append(_arrow(x(self.next_slice), y(0)))
        ticks = range(first, last + 1, max(1, round((last - first) / 12)))
        shapes += [f'<text class="tick" x="{x(i):.1f}" y="{_CHART_HEIGHT - 4}">{i}</text>' for i in ticks]
        return Markup(f'<svg viewBox="0 0 {_CHART_WIDTH} {_CHART_HEIGHT}" role="img">{"".join(shapes)}</svg>')


def _grid_line(value: float, y: float) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_CHART_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="level" x="{_LEFT - 6}" y="{y + 4:.1f}">{value:.2f}</text>'
    )


def _arrow(x: float, base: float) -> str:
    return f'<path class="next" d="M{x:.1f} {base + 3:.1f} l6 11 h-12 z"/>'


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


_TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ page.title }}</title>
<style>
{{ page_style }}
.next-slice { border-left: 4px solid var(--accent); background: #eef6fa; padding: 8px 14px; }
svg .annotated { fill: var(--drawn); }
svg .propagated { fill: #7fb3cc; } svg .reviewed { fill: #6aa66a; } svg .none { fill: #c9ced4; }
svg .dice { fill: none; stroke: #b3261e; stroke-width: 1.6; } svg .next { fill: var(--accent); }
</style>
</head>
<body>
<h1>{{ page.title }}</h1>
<p class="lead">{{ page.lead }}</p>
{% for message in page.messages %}
<p class="message">{{ message }}</p>
{% endfor %}

<h2>What was done</h2>
<ol>
{% for step in page.steps %}
<li>{{ step }}</li>
{% endfor %}
</ol>

<h2>The result</h2>
{% for picture in page.pictures %}
<figure>
<img src="{{ picture.address }}" alt="{{ picture.caption }}">
<figcaption>{{ picture.caption }}</figcaption>
</figure>
{% endfor %}

{% if page.scores %}
<h2>Against the truth</h2>
<p>{{ page.score_note }}</p>
<table>
<tr><th>Structure</th><th class="number">Volume, mL</th>
{% for column in columns %}<th class="number">{{ column }}</th>{% endfor %}</tr>
{% for score in page.scores %}
<tr><td><span class="swatch" style="background: {{ score.css_color }}"></span>{{ score.name }}</td>
<td class="number">{{ "%.0f"|format(score.millilitres) }}</td>
{% for column in columns %}
{% set value = score.dice[column] %}
<td class="number {{ "best" if value is not none and value > score.best - 0.0005 }}">
{{ "–" if value is none else "%.3f"|format(value) }}</td>
{% endfor %}
</tr>
{% endfor %}
<tr class="mean"><td>Mean</td><td></td>
{% for column in columns %}
<td class="number">{{ "–" if means[column] is none else "%.3f"|format(means[column]) }}</td>
{% endfor %}
</tr>
</table>
{% endif %}

<h2>Confidence, slice by slice</h2>
<p class="key"><span><i style="background: var(--drawn)"></i>annotated</span>
<span><i style="background: #7fb3cc"></i>propagated</span>
{% if page.scores %}
<span><i style="background: #b3261e; height: 2px"></i>true mean Dice of the slice</span>
{% endif %}
{% if page.next_slice is not none %}
<span><i style="background: var(--accent)"></i>annotate next</span>
{% endif %}
</p>
{{ chart }}
<p class="soft">Across: slice index along {{ axis_name }}, from 0. Up: confidence, 0 to 1.</p>
{% if page.next_slice is not none %}
<p class="next-slice">Annotating slice <strong>{{ axis_name }} = {{ page.next_slice }}</strong> next would
help most.</p>
{% endif %}

<h2>Files</h2>
<table>
{% for name, description in page.files.items() %}
<tr><td><code>{{ name }}</code></td><td>{{ description }}</td></tr>
{% endfor %}
</table>

<h2>Details</h2>
<table>
{% for name, value in page.facts.items() %}
<tr><td>{{ name }}</td><td><code>{{ value }}</code></td></tr>
{% endfor %}
</table>
<p class="soft">Propagated slices are a machine's work and unreviewed. For research; not a medical device.</p>
</body>
</html>
"""
