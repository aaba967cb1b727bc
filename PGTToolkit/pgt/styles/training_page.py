"""A page that shows a training while it runs: the curve of its loss, and the map of its latent vectors.

``progress.html`` needs nothing beside it. Until the training is over it asks the browser to load it again
every few seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgt.case_table import CaseRow
from pgt.output_files import write_text
from pgt.page_style import page_environment
from pgt.styles.model_folder import LOSSES, PAGE
from pgt.styles.training_log import Epoch

_SECONDS_BETWEEN = 4.0
_WIDTH, _HEIGHT, _MARGIN = 520.0, 320.0, 44.0
_COLOURS = ("#0b6e99", "#d1495b", "#e0a100", "#3b8b5a", "#7a4fa3", "#8a5a2b", "#4a5568", "#c2559d")


class TrainingPage:
    """Writes the page, not more often than a person can look.

    Args:
        folder: of the training.
        rows: of the table; the first other column with a few different entries colours the map.
    """

    def __init__(self, folder: Path, rows: Sequence[CaseRow]) -> None:
        self._folder = folder
        self._column, self._groups = _groups(rows)
        self._written = float("-inf")
        self._latest: Epoch | None = None

    def show(self, epoch: Epoch) -> None:
        """Show an epoch, now or with one that comes soon."""
        self._latest = epoch
        if time.monotonic() - self._written > _SECONDS_BETWEEN:
            self._write(running=True)

    def finish(self) -> None:
        """Show the end of the training."""
        self._write(running=False)

    def _write(self, running: bool) -> None:
        if self._latest is None:
            return
        text = (self._folder / LOSSES).read_text(encoding="utf-8")
        losses = [float(json.loads(line)["loss"]) for line in text.splitlines()]
        page = training_html(self._latest, losses, self._column, self._groups, running)
        write_text(self._folder / PAGE, page, overwrite=True)
        self._written = time.monotonic()


@dataclass(frozen=True)
class _Mark:
    """A case on the map."""

    x: float
    y: float
    colour: str
    title: str


@dataclass(frozen=True)
class _Scale:
    """From numbers to places along one side of a chart."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        share = (value - self.low) / max(self.high - self.low, 1e-12)
        return round(self.start + share * (self.end - self.start), 1)


def training_html(
    epoch: Epoch, losses: Sequence[float], column: str, groups: Mapping[str, str], running: bool
) -> str:
    """The page.

    Args:
        epoch: the last one.
        losses: of all epochs so far.
        column: what the groups are called; empty without groups.
        groups: of the cases, by case name.
        running: whether there is more to come.
    """
    names = sorted(set(groups.values()))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    across, up = _scales(epoch)
    marks = [
        _Mark(
            across.place(latent[0]),
            up.place(latent[1] if len(latent) > 1 else 0.0),
            colours.get(groups.get(case, ""), _COLOURS[0]),
            f"{case}: {', '.join(f'{value:.3f}' for value in latent)}",
        )
        for case, latent in epoch.latents.items()
    ]
    left = epoch.seconds / epoch.number * (epoch.of - epoch.number)
    return _TEMPLATE.render(
        epoch=epoch,
        running=running,
        seconds=round(_SECONDS_BETWEEN) + 1,
        minutes=f"{epoch.seconds / 60:.1f}",
        left=f"{left / 60:.1f}",
        curve=_curve(losses, epoch.of),
        highest=f"{max(losses):.2f}",
        final=f"{losses[-1]:.3f}",
        marks=marks,
        origin=(across.place(0.0), up.place(0.0)),
        reach=f"{across.high:.2g}",
        dimensions=len(next(iter(epoch.latents.values()))),
        column=column,
        colours=colours,
        width=_WIDTH,
        height=_HEIGHT,
        margin=_MARGIN,
    )


def _scales(epoch: Epoch) -> tuple[_Scale, _Scale]:
    """Scales of the map: the origin in the middle, the same mm of screen for the same distance both ways."""
    reach = 1.1 * max([abs(value) for latent in epoch.latents.values() for value in latent[:2]] + [0.01])
    half = (_HEIGHT - 2 * _MARGIN) / 2
    across = _Scale(-reach, reach, _WIDTH / 2 - half, _WIDTH / 2 + half)
    return across, _Scale(-reach, reach, _HEIGHT / 2 + half, _HEIGHT / 2 - half)


def _curve(losses: Sequence[float], last: int) -> str:
    """Points of a polyline; the right end is where the training ends."""
    across = _Scale(1, max(last, 2), _MARGIN, _WIDTH - _MARGIN)
    up = _Scale(0, max(losses), _HEIGHT - _MARGIN, _MARGIN)
    return " ".join(f"{across.place(1 + n)},{up.place(loss)}" for n, loss in enumerate(losses))


def _groups(rows: Sequence[CaseRow]) -> tuple[str, dict[str, str]]:
    """The first column that sorts the cases into a few groups; empty where there is none."""
    for column in dict.fromkeys(name for row in rows for name in row.others):
        groups = {row.case: row.others.get(column, "") for row in rows}
        if 2 <= len(set(groups.values())) <= len(_COLOURS):
            return column, groups
    return "", {}


_TEMPLATE = page_environment().from_string(
    """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{% if running %}
<meta http-equiv="refresh" content="{{ seconds }}">
{% endif %}
<title>Training of annotation styles</title>
<style>{{ page_style }}
.charts { display: flex; flex-wrap: wrap; gap: 24px; } .charts figure { flex: 1 1 420px; }
.curve { fill: none; stroke: var(--accent); stroke-width: 1.6; }
</style>
</head>
<body>
<h1>Training of annotation styles</h1>
<p class="lead">
{% if running %}
Epoch {{ epoch.number }} of {{ epoch.of }}; {{ minutes }} min so far, about {{ left }} min to go.
{% else %}
Finished after {{ epoch.number }} epochs and {{ minutes }} min.
{% endif %}
</p>
<div class="charts">
<figure>
<svg viewBox="0 0 {{ width }} {{ height }}" role="img" aria-label="Loss by epoch">
<line class="grid" x1="{{ margin }}" x2="{{ width - margin }}" y1="{{ height - margin }}" \
y2="{{ height - margin }}"/>
<line class="grid" x1="{{ margin }}" x2="{{ margin }}" y1="{{ margin }}" y2="{{ height - margin }}"/>
<text class="level" x="{{ margin - 6 }}" y="{{ margin + 4 }}">{{ highest }}</text>
<text class="level" x="{{ margin - 6 }}" y="{{ height - margin + 4 }}">0</text>
<text class="tick" x="{{ width - margin }}" y="{{ height - margin + 18 }}">{{ epoch.of }}</text>
<text class="tick" x="{{ width / 2 }}" y="{{ height - margin + 18 }}">epoch</text>
<polyline class="curve" points="{{ curve }}"/>
</svg>
<figcaption>Dice + cross-entropy, mean over the cases; now {{ final }}.</figcaption>
</figure>
<figure>
<svg viewBox="0 0 {{ width }} {{ height }}" role="img" aria-label="Map of the latent vectors">
<line class="grid" x1="{{ margin }}" x2="{{ width - margin }}" y1="{{ origin[1] }}" y2="{{ origin[1] }}"/>
<line class="grid" x1="{{ origin[0] }}" x2="{{ origin[0] }}" y1="{{ margin }}" y2="{{ height - margin }}"/>
{% for mark in marks %}
<circle cx="{{ mark.x }}" cy="{{ mark.y }}" r="4" fill="{{ mark.colour }}" fill-opacity="0.65">\
<title>{{ mark.title }}</title></circle>
{% endfor %}
<text class="tick" x="{{ width / 2 }}" y="{{ height - 8 }}">from −{{ reach }} to {{ reach }}</text>
</svg>
<figcaption>Where each case lies{% if dimensions > 2 %} (the first two of {{ dimensions }} dimensions)\
{% endif %}: the main style at the crossing, others away from it. Point at a case to read its name.
</figcaption>
{% if column %}
<p class="key">{{ column }}:
{% for name, colour in colours.items() %}
<span><i style="background: {{ colour }}"></i>{{ name or "none" }}</span>
{% endfor %}
</p>
{% endif %}
</figure>
</div>
<p class="soft">Case names on this page may be patients' names.</p>
</body>
</html>
"""
)
