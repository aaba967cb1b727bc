"""A study as files: ``report.json`` for programs and ``pairs.csv`` for tables.

``report.json``::

    schema, version   "pgt-agreement", 1
    labels, cases     names, in order
    raters            [{rater, session, role}], role being "rater", "reference" or "candidate"
    reference         name of the rater that the others are compared with, or null
    candidates        names of raters that are models
    tolerance_mm      of NSD
    metrics           by key: {title, unit, better, definition, both_empty, one_empty, symmetric}
    pairs             [{case, label, a, b, session_a, session_b, kind, occupancy, compared_share,
                      volume_a_ml, volume_b_ml, and each metric by its key}]; a and b are raters' names; kind
                      is "inter-rater", "intra-rater" or "against the reference"; occupancy is "both",
                      "one empty" or "both empty"
    summary           [{label, metric, kind, value, ci95, cases, note}]: means over cases
    overall           {fleiss_kappa, krippendorff_alpha, icc, note, labels}: numbers about the study, from
                      those of the labels as note says (pgt.agreement.overall); labels by name: {raters,
                      fleiss_kappa, krippendorff_alpha, icc, icc_form, region}, where each statistic is
                      {value, ci95, cases, note}
    peak              [{label, metric, lower, upper, state, note, placements}] where a rater drew twice, else
                      empty; lower and upper are {value, ci95, cases, note}; state is "band" where there is
                      one; placements [{name, similarity, below, inside, beyond, verdict}]
    outliers          [{label, rater, direction, size, probability, note}]
    no_outliers       sentences: why nobody is named as outlier of a label
    bland_altman      [{label, a, b, session_a, session_b, cases, means_ml, differences_ml, bias_ml,
                      lower_limit_ml, upper_limit_ml}]
    correlations      [{metric, label, spearman}]; label is null for all labels together
    recommendations   [{label, metric, reason}]
    worst_slices      [{case, label, axis ("i", "j" or "k"), index, disagreeing_mm2}]
    missing           [{case, rater, session, label}]; label is null where the whole case is missing
    messages          sentences

A number that cannot be computed is null, and the ``note`` beside it says why; ``ci95`` is ``[lower, upper]``
or null. ``pairs.csv`` has the entries of ``pairs``, one line each.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from pgt.agreement.metrics import metric
from pgt.agreement.overall import overall
from pgt.agreement.readings import Sitting
from pgt.agreement.results import (
    Agreement,
    Band,
    BlandAltman,
    Estimate,
    Missing,
    PairKind,
    PairScores,
    WorstSlice,
)
from pgt.annotation import AXIS_NAMES

SCHEMA = "pgt-agreement"
VERSION = 1

REPORT_JSON = "report.json"
PAIRS_CSV = "pairs.csv"
REPORT_HTML = "report.html"
FILES = (REPORT_JSON, PAIRS_CSV, REPORT_HTML)


def report_json(agreement: Agreement) -> str:
    """The study as JSON text, see the top of this module."""
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "labels": list(agreement.labels),
        "cases": list(agreement.cases),
        "raters": [_sitting(agreement, sitting) for sitting in agreement.sittings],
        "reference": agreement.reference or None,
        "candidates": list(agreement.candidates),
        "tolerance_mm": agreement.tolerance_mm,
        "metrics": _metrics(agreement),
        "pairs": [pair_entries(pair) for pair in agreement.pairs],
        "summary": _summary(agreement),
        "overall": _overall(agreement),
        "peak": _peak(agreement),
        "outliers": [vars(one) for one in agreement.outliers],
        "no_outliers": list(agreement.no_outliers),
        "bland_altman": [_bland_altman(one) for one in agreement.bland_altman],
        "correlations": [
            {"metric": one.metric, "label": one.label or None, "spearman": _estimate(one.spearman)}
            for one in agreement.correlations
        ],
        "recommendations": [vars(one) for one in agreement.recommendations],
        "worst_slices": [_worst(one) for one in agreement.worst_slices],
        "missing": [_missing(one) for one in agreement.missing],
        "messages": list(agreement.messages),
    }
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def pairs_csv(agreement: Agreement) -> str:
    """The comparisons as CSV text with a header."""
    rows = [pair_entries(pair) for pair in agreement.pairs]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def pair_entries(pair: PairScores) -> dict[str, Any]:
    """One comparison by the names of its entries."""
    return {
        "case": pair.case,
        "label": pair.label,
        "a": pair.a.rater,
        "b": pair.b.rater,
        "session_a": pair.a.session,
        "session_b": pair.b.session,
        "kind": pair.kind.value,
        "occupancy": pair.occupancy.value,
        "compared_share": pair.compared_share,
        "volume_a_ml": pair.volume_a_ml,
        "volume_b_ml": pair.volume_b_ml,
        **pair.values,
    }


def _sitting(agreement: Agreement, sitting: Sitting) -> dict[str, str]:
    role = "rater"
    if sitting.rater == agreement.reference:
        role = "reference"
    elif sitting.rater in agreement.candidates:
        role = "candidate"
    return {"rater": sitting.rater, "session": sitting.session, "role": role}


def _metrics(agreement: Agreement) -> dict[str, dict[str, Any]]:
    keys = dict.fromkeys(key for pair in agreement.pairs for key in pair.values)
    found = {}
    for described in map(metric, keys):
        entries = {name: value for name, value in vars(described).items() if name != "key"}
        found[described.key] = {**entries, "better": described.better.value}
    return found


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "ci95": None if estimate.interval is None else list(estimate.interval),
        "cases": estimate.cases,
        "note": estimate.note,
    }


def _summary(agreement: Agreement) -> list[dict[str, Any]]:
    return [
        {"label": label, "metric": key, "kind": kind.value, **_estimate(estimate)}
        for (label, key, kind), estimate in agreement.summaries.items()
    ]


def _overall(agreement: Agreement) -> dict[str, Any]:
    return {
        **vars(overall(agreement)),
        "labels": {
            one.label: {
                "raters": one.raters,
                "fleiss_kappa": _estimate(one.fleiss_kappa),
                "krippendorff_alpha": _estimate(one.krippendorff_alpha),
                "icc": _estimate(one.icc),
                "icc_form": one.icc_form,
                "region": one.region,
            }
            for one in agreement.reliabilities
        },
    }


def _peak(agreement: Agreement) -> list[dict[str, Any]]:
    repeated = {pair.label for pair in agreement.pairs if pair.kind is PairKind.INTRA}
    return [_band(band) for band in agreement.bands if band.label in repeated]


def _band(band: Band) -> dict[str, Any]:
    return {
        "label": band.label,
        "metric": band.metric,
        "lower": _estimate(band.lower),
        "upper": _estimate(band.upper),
        "state": band.state.value,
        "note": band.note,
        "placements": [
            {
                "name": one.name,
                "similarity": _estimate(one.similarity),
                "below": one.below,
                "inside": one.inside,
                "beyond": one.beyond,
                "verdict": one.verdict,
            }
            for one in band.placements
        ],
    }


def _bland_altman(found: BlandAltman) -> Mapping[str, Any]:
    return {
        "label": found.label,
        "a": found.a.rater,
        "b": found.b.rater,
        "session_a": found.a.session,
        "session_b": found.b.session,
        "cases": list(found.cases),
        "means_ml": list(found.means_ml),
        "differences_ml": list(found.differences_ml),
        "bias_ml": _estimate(found.bias_ml),
        "lower_limit_ml": _estimate(found.lower_limit_ml),
        "upper_limit_ml": _estimate(found.upper_limit_ml),
    }


def _worst(found: WorstSlice) -> dict[str, Any]:
    return {**vars(found), "axis": AXIS_NAMES[found.axis]}


def _missing(found: Missing) -> dict[str, Any]:
    return {
        "case": found.case,
        "rater": found.sitting.rater,
        "session": found.sitting.session,
        "label": found.label or None,
    }
