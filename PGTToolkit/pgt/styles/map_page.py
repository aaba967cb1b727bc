"""The map as one self-contained page to look around in: nothing is fetched from anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from pgt import __version__
from pgt.page_style import page_environment
from pgt.styles.case_looks import LABEL_COLOR, PREDICTION_COLOR
from pgt.styles.clustering import Points
from pgt.styles.map_page_script import MAP_SCRIPT
from pgt.styles.map_page_template import MAP_PAGE
from pgt.styles.model_map import ModelMap

_SUSPECTS = 25
_DIGITS = 5


def map_html(mapped: ModelMap, name: str) -> str:
    """The whole page.

    Args:
        mapped: what it shows.
        name: of the model.
    """
    found = mapped.found
    return (
        page_environment()
        .from_string(MAP_PAGE)
        .render(
            name=name,
            found=found,
            messages=mapped.messages,
            data=_data(mapped),
            script=Markup(MAP_SCRIPT),
            suspects=found.suspects[:_SUSPECTS],
            cluster_of=found.cluster_of,
            looked=any(suspect.doubt for suspect in found.suspects),
            alone=[case for case, cluster in found.cluster_of.items() if cluster is None],
            pictures=mapped.pictures,
            label_color=LABEL_COLOR,
            prediction_color=PREDICTION_COLOR,
            version=__version__,
        )
    )


def _data(mapped: ModelMap) -> dict[str, Any]:
    """What the script draws: views of the map, cases, clusters and the columns of the table."""
    found = mapped.found
    cases = list(found.latents)
    suspects = {suspect.case: suspect for suspect in found.suspects}
    names = [cluster.name for cluster in found.clusters]
    columns = list(dict.fromkeys(column for row in mapped.rows.values() for column in row.others))
    cluster_of = found.cluster_of
    return {
        "views": _views(mapped, cases),
        "clusters": names,
        "columns": columns,
        "cases": [
            {
                "name": case,
                "latent": [float(f"{value:.3g}") for value in found.latents[case]],
                "cluster": names.index(cluster) if (cluster := cluster_of[case]) is not None else -1,
                "exemplar": any(case in one.exemplars for one in found.clusters),
                "norm": _short(suspects[case].norm),
                "isolation": _short(suspects[case].isolation),
                "score": _short(suspects[case].score),
                "suggestion": suspects[case].suggestion.value,
                "doubt": [
                    _short(doubt.disagreement), _short(doubt.uncertainty)
                ] if (doubt := suspects[case].doubt) else None,
                "columns": [_entry(mapped, case, column) for column in columns],
                "picture": mapped.pictures[case].address if case in mapped.pictures else None,
            }
            for case in cases
        ],
    }  # fmt: skip


def _entry(mapped: ModelMap, case: str, column: str) -> str:
    row = mapped.rows.get(case)
    return row.others.get(column, "") if row else ""


def _views(mapped: ModelMap, cases: Sequence[str]) -> list[dict[str, Any]]:
    """Ways to lay out the cases on a plane: title, remark, places of the cases and of the named styles."""
    latents = np.array([mapped.found.latents[case] for case in cases], dtype=np.float64)
    named = {
        name: np.asarray(latent, dtype=np.float64)
        for name, latent in mapped.found.styles.items()
        if len(latent) == latents.shape[1]
    }
    marks = np.array([*latents, *named.values(), np.zeros(latents.shape[1])])
    lengths = np.linalg.norm(latents, axis=1)
    scale = float(np.median(lengths)) or float(lengths.mean()) or 1.0

    def stretched(length: float) -> float:
        return math.asinh(length / scale)

    views = [
        _view(
            "latent vectors, stretched near the origin",
            "Distances from the origin are drawn on a scale that is logarithmic far out (arsinh).",
            marks,
            list(named),
            stretched,
        ),
        _view("latent vectors", "", marks, list(named), float),
    ]
    if mapped.signatures is not None:
        seen = _two_columns(mapped.signatures)
        shares = mapped.signatures.var(axis=0)
        kept = float(shares[:2].sum() / max(shares.sum(), 1e-12))
        views.append(
            {
                "title": "what the styles do",
                "remark": "Cases lie close together whose styles segment the same images alike: the first "
                f"two principal components of the predictions, {kept:.0%} of what tells them apart.",
                "places": _rounded(seen),
                "styles": [],
                "origin": None,
                "rings": [],
            }
        )
    return views


def _view(
    title: str, remark: str, marks: Points, styles: Sequence[str], radius: Callable[[float], float]
) -> dict[str, Any]:
    """A view of cases, named styles and the origin, with every length replaced by ``radius`` of it."""
    cases = len(marks) - len(styles) - 1
    lengths = np.linalg.norm(marks, axis=1)
    factors = np.array([radius(length) / length if length > 0 else 0.0 for length in lengths.tolist()])
    drawn, lost = _on_a_plane(marks * factors[:, None], cases)
    places = _rounded(drawn)
    return {
        "title": title,
        "remark": f"{remark} {lost}".strip(),
        "places": places[:cases],
        "styles": [
            {"name": name, "place": place} for name, place in zip(styles, places[cases:-1], strict=True)
        ],
        "origin": places[-1],
        "rings": [
            {"radius": _short(radius(length)), "label": f"{length:g}"}
            for length in _round_lengths(float(lengths.max()))
        ],
    }


def _round_lengths(longest: float) -> list[float]:
    """A few round numbers below the longest vector, each about three times the one before."""
    if not longest > 0:
        return []
    power = math.floor(math.log10(longest))
    steps = [lead * 10.0**exponent for exponent in range(power - 1, power + 1) for lead in (1, 3)]
    return [float(f"{step:.1g}") for step in steps if step <= longest][-3:]


def _on_a_plane(marks: Points, cases: int) -> tuple[Points, str]:
    """Marks in two dimensions, the origin staying where it is, and a remark where that loses some."""
    dimensions = marks.shape[1]
    if dimensions <= 2:
        return _two_columns(marks), ""
    # Not centred on the mean: the origin is the main style and shall be the crossing of the axes.
    _, sizes, directions = np.linalg.svd(marks[:cases], full_matrices=False)
    kept = float((sizes[:2] ** 2).sum() / max(float((sizes**2).sum()), 1e-12))
    remark = f"The first two principal components of {dimensions} dimensions, {kept:.0%} of the variance."
    return _two_columns(marks @ directions[:2].T), remark


def _two_columns(points: Points) -> Points:
    return np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))[:, :2]


def _rounded(points: Points) -> list[list[float]]:
    return [[_short(value) for value in point] for point in points.tolist()]


def _short(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
