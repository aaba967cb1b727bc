"""One self-contained HTML page about an agreement study: nothing is fetched, and it prints as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from pgt import __version__
from pgt.agreement.charts import MARKS
from pgt.agreement.metrics import SURFACE, Better, metric
from pgt.agreement.pair_matrix import Matrix, cases_of, matrices, shade
from pgt.agreement.report_panels import band_panels, strip_panels, volume_panels
from pgt.agreement.report_style import REPORT_SCRIPT, REPORT_STYLE
from pgt.agreement.report_tables import (
    KIND_NAMES,
    correlation_table,
    facts,
    missing_rows,
    recommendations,
    reliability_table,
    summary_table,
)
from pgt.agreement.report_template import REPORT
from pgt.agreement.report_words import answer, heading, intervals_words, listed, signed, what_was_compared
from pgt.agreement.results import Agreement, PairKind
from pgt.agreement.slice_pictures import SlicePicture
from pgt.page_style import page_environment

MAIN_METRICS = ("dice", "nsd", "hd95_mm", "assd_mm", "volume_difference_ml")
"""The columns of the first table, where they were asked for; the others follow in a second one."""

_MOST_MESSAGES = 8


def report_html(agreement: Agreement, pictures: Sequence[SlicePicture] = ()) -> str:
    """The whole page.

    Args:
        agreement: what the study found.
        pictures: the slices most in dispute, in the order shown.
    """
    asked = tuple(dict.fromkeys(key for pair in agreement.pairs for key in pair.values))
    main = tuple(key for key in MAIN_METRICS if key in asked) or asked
    found = matrices(agreement, asked)
    others = tuple(key for key in asked if key not in main)
    return (
        page_environment()
        .from_string(REPORT)
        .render(
            agreement=agreement,
            pictures=pictures,
            report_style=Markup(REPORT_STYLE),
            report_script=Markup(REPORT_SCRIPT),
            version=__version__,
            compared=what_was_compared(agreement),
            answer=answer(agreement),
            facts=facts(agreement),
            heading=heading,
            arrow={Better.HIGHER: "↑", Better.LOWER: "↓", Better.ZERO: "→ 0"},
            recommendations=recommendations(agreement),
            summary=summary_table(agreement, main),
            details=summary_table(agreement, others) if others else None,
            level=next((f"{e.level:.0%}" for e in agreement.summaries.values()), "95%"),
            matrices=found,
            matrix_cases=cases_of(found),
            matrix_data=_matrix_data(agreement, found),
            shade=shade,
            signed=signed,
            short_names=len(agreement.sittings) <= 5 and max(len(str(s)) for s in agreement.sittings) <= 10,
            strips=strip_panels(agreement, asked),
            bands=band_panels(agreement),
            kinds=[(MARKS[kind], KIND_NAMES[kind]) for kind in PairKind if _has(agreement, kind)],
            volumes=volume_panels(agreement),
            reliability=reliability_table(agreement),
            correlations=correlation_table(agreement),
            missing=missing_rows(agreement),
            intervals=intervals_words(),
            surface=SURFACE,
            on_surfaces=_on_surfaces(asked),
            most_messages=_MOST_MESSAGES,
            definitions=tuple(metric(key) for key in asked),
        )
    )


def _on_surfaces(keys: Sequence[str]) -> str:
    """The metrics that are measured on surfaces, in words."""
    names = [metric(key).title for key in keys if SURFACE in metric(key).definition]
    return listed(names, len(names)) if names else ""


def _has(agreement: Agreement, kind: PairKind) -> bool:
    return any(pair.kind is kind for pair in agreement.pairs)


def _matrix_data(agreement: Agreement, found: Sequence[Matrix]) -> list[dict[str, Any]]:
    """What the heat maps need to show another label: by metric, by label, row, column, number and cases."""
    return [
        {
            "decimals": matrix.decimals,
            "better": matrix.metric.better.value,
            "labels": [
                [
                    [row, column, float(f"{cell.value:.5g}"), cell.cases]
                    for (row, column), cell in cells.items()
                ]
                for cells in (matrix.overall, *(matrix.by_label[label] for label in agreement.labels))
            ],
        }
        for matrix in found
    ]
