"""The results of a comparison as lines of tables: what each cell says, and what it is sorted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgt.agreement.metrics import Better, Metric, metric
from pgt.agreement.readings import Sitting
from pgt.agreement.results import Agreement, Band, Estimate, PairKind, PairScores


@dataclass(frozen=True)
class PairLine:
    """A line of the table of comparisons.

    Args:
        pair: the comparison.
        values: the numbers, in the order of the metrics asked for.
    """

    pair: PairScores
    values: tuple[float, ...]


def metrics_of(agreement: Agreement) -> tuple[Metric, ...]:
    """The metrics that were computed, in order."""
    keys = dict.fromkeys(key for pair in agreement.pairs for key in pair.values)
    return tuple(metric(key) for key in keys)


def pair_lines(agreement: Agreement, label: str = "") -> tuple[PairLine, ...]:
    """The comparisons of one label, or of all."""
    keys = [one.key for one in metrics_of(agreement)]
    return tuple(
        PairLine(pair, tuple(pair.values[key] for key in keys))
        for pair in agreement.pairs
        if label in ("", pair.label)
    )


def number_text(described: Metric, value: float) -> str:
    """A number as a reader wants it: scores and distances to two or three digits after the point."""
    digits = 3 if not described.unit else 2 if described.unit == "mm" else 1
    return f"{value:.{digits}f}"


def estimate_text(described: Metric, estimate: Estimate) -> str:
    """A number with its interval, or why there is none."""
    if estimate.value is None:
        return "–"
    text = number_text(described, estimate.value)
    if estimate.interval is None:
        return text
    low, high = (number_text(described, end) for end in estimate.interval)
    return f"{text} [{low}, {high}]"


def coefficient_text(estimate: Estimate) -> str:
    """A correlation with its interval, two digits after the point."""
    text = f"{estimate.value:.2f}"
    return text if estimate.interval is None else "{} [{:.2f}, {:.2f}]".format(text, *estimate.interval)


def summary_of(agreement: Agreement, label: str, key: str, kind: PairKind) -> Estimate | None:
    """The mean over cases of one kind of comparison; None where there was no such comparison."""
    found = agreement.summaries.get((label, key, kind))
    return found if found is not None and found.value is not None else None


def band_of(agreement: Agreement, label: str, key: str) -> Band | None:
    """The Peak Ground Truth band of a label and metric; None where the metric has none."""
    return next((one for one in agreement.bands if (one.label, one.metric) == (label, key)), None)


def expert_correlation(agreement: Agreement, label: str, key: str) -> Estimate | None:
    """How a metric follows the experts' ratings of a label; None where nobody rated or it has no number."""
    for one in agreement.correlations:
        if (one.label, one.metric) == (label, key) and one.spearman.value is not None:
            return one.spearman
    return None


def advised(agreement: Agreement, label: str) -> tuple[Metric, ...]:
    """The metrics that suit a label, most telling first."""
    return tuple(metric(one.metric) for one in agreement.recommendations if one.label == label)


def worst_case(agreement: Agreement, a: Sitting, b: Sitting, label: str, key: str) -> PairScores | None:
    """The comparison of two readings, over cases and over labels where none is given, that went worst."""
    found = [
        pair
        for pair in agreement.pairs
        if {pair.a, pair.b} == {a, b} and label in ("", pair.label) and key in pair.values
    ]
    return min(found, key=lambda pair: _goodness(metric(key), pair.values[key]), default=None)


def _goodness(described: Metric, value: float) -> float:
    if described.better is Better.HIGHER:
        return value
    return -abs(value)


def as_text(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table as text that spreadsheets take: a tab between cells, a line each."""
    return "".join("\t".join(line) + "\n" for line in [header, *lines])
