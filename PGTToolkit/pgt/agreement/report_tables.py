"""The tables of an agreement report: every number with its interval, its cases and what to mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

import numpy as np

from pgt.agreement import peak
from pgt.agreement.charts import MARKS
from pgt.agreement.metrics import Metric, metric
from pgt.agreement.report_words import estimate_words, heading, human_raters, signed
from pgt.agreement.results import Agreement, Estimate, Occupancy, PairKind, PairScores

KIND_NAMES = {
    PairKind.INTER: "different raters",
    PairKind.INTRA: "same rater again",
    PairKind.REFERENCE: "to the reference",
}


@dataclass(frozen=True)
class Number:
    """An estimate as a table shows it."""

    value: str
    interval: str
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """One label and kind of comparison."""

    kind: str
    css: str
    cases: str
    numbers: tuple[Number, ...]
    by_policy: str = ""
    compared: str = ""


@dataclass(frozen=True)
class Table:
    """Labels with their rows.

    Args:
        metrics: the columns.
        rows: by label.
        marks: footnote of a whole column, by metric key.
        notes: footnotes, in the order of their marks.
        some_by_policy: whether an empty-mask policy gave any number.
        some_left_out: whether some voxels were filled by a machine.
    """

    metrics: tuple[Metric, ...]
    rows: Mapping[str, tuple[Row, ...]]
    marks: Mapping[str, str]
    notes: tuple[str, ...]
    some_by_policy: bool
    some_left_out: bool


class Footnotes:
    """Notes that several numbers share, each printed once."""

    def __init__(self) -> None:
        self._notes: list[str] = []

    def mark(self, note: str) -> str:
        """The note's letter; empty without a note."""
        if not note:
            return ""
        if note not in self._notes:
            self._notes.append(note)
        place = self._notes.index(note)
        return chr(ord("a") + place) if place < 26 else str(place + 1)

    @property
    def notes(self) -> tuple[str, ...]:
        """All notes, in the order of their marks."""
        return tuple(self._notes)


def facts(agreement: Agreement) -> tuple[tuple[str, str], ...]:
    """The figures under the lead."""
    raters = human_raters(agreement)
    found = [
        (str(len(raters)), "rater" if len(raters) == 1 else "raters"),
        (str(sum(sitting.rater in raters for sitting in agreement.sittings)), "sessions in all"),
        (str(len(agreement.cases)), "case" if len(agreement.cases) == 1 else "cases"),
        (str(len(agreement.labels)), "structure" if len(agreement.labels) == 1 else "structures"),
        (f"{len(agreement.pairs):,}", "comparison" if len(agreement.pairs) == 1 else "comparisons"),
    ]
    policy = sum(pair.occupancy is not Occupancy.BOTH for pair in agreement.pairs)
    found.append((f"{policy:,}", "of them with an empty mask"))
    shares = [pair.compared_share for pair in agreement.pairs]
    if shares and min(shares) < 1:
        found.append((f"{np.mean(shares):.0%}", "of voxels drawn by both, compared"))
    found.append((f"{len(agreement.missing):,}", "missing reading" + "s" * (len(agreement.missing) != 1)))
    return tuple(found)


@dataclass(frozen=True)
class Advice:
    """Why to look at a metric: what holds for all labels of a group, and what for each of them."""

    title: str
    reason: str
    by_label: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class AdviceGroup:
    """Labels that the same metrics suit."""

    labels: str
    metrics: tuple[Advice, ...]


def recommendations(agreement: Agreement) -> tuple[AdviceGroup, ...]:
    """What to look at, labels with the same metrics together."""
    reasons: dict[str, dict[str, str]] = {}
    for found in agreement.recommendations:
        reasons.setdefault(found.label, {})[found.metric] = found.reason
    groups: dict[tuple[str, ...], list[str]] = {}
    for label, by_metric in reasons.items():
        groups.setdefault(tuple(by_metric), []).append(label)
    return tuple(
        AdviceGroup(
            "All structures" if len(labels) == len(reasons) > 1 else ", ".join(labels),
            tuple(_advice(key, {label: reasons[label][key] for label in labels}) for key in keys),
        )
        for keys, labels in groups.items()
    )


def _advice(key: str, reasons: Mapping[str, str]) -> Advice:
    """Sentences that every label shares, once; the others by label."""
    sentences = {label: reason.removesuffix(".").split(". ") for label, reason in reasons.items()}
    shared = [
        sentence
        for sentence in dict.fromkeys(chain.from_iterable(sentences.values()))
        if all(sentence in own for own in sentences.values())
    ]
    own = {label: [one for one in part if one not in shared] for label, part in sentences.items()}
    return Advice(
        heading(metric(key)),
        _text(shared),
        tuple((label, _text(part)) for label, part in own.items() if part),
    )


def _text(sentences: Sequence[str]) -> str:
    return " ".join(f"{sentence}." for sentence in sentences)


def summary_table(agreement: Agreement, keys: tuple[str, ...]) -> Table:
    """Means over cases with intervals; rows of one label together, a column for each metric."""
    footnotes = Footnotes()
    common = {key: _common_note(agreement, key) for key in keys}
    marks = {key: footnotes.mark(note) for key, note in common.items()}
    rows: dict[str, tuple[Row, ...]] = {}
    for label in agreement.labels:
        here = [pair for pair in agreement.pairs if pair.label == label]
        found = []
        for kind in PairKind:
            estimates = {
                key: estimate
                for key in keys
                if (estimate := agreement.summaries.get((label, key, kind))) is not None
            }
            if estimates:
                numbers = tuple(_number(key, estimates.get(key), common[key], footnotes) for key in keys)
                counting = peak.pairs_of_kind(here, kind, agreement.candidates)
                cases = max(estimate.cases for estimate in estimates.values())
                found.append(_row(kind, cases, numbers, counting))
        rows[label] = tuple(found)
    flat = [row for part in rows.values() for row in part]
    return Table(
        metrics=tuple(metric(key) for key in keys),
        rows=rows,
        marks=marks,
        notes=footnotes.notes,
        some_by_policy=any(row.by_policy != "0" for row in flat),
        some_left_out=any(row.compared != "100%" for row in flat),
    )


def _common_note(agreement: Agreement, key: str) -> str:
    """What the notes of a whole column begin with, in sentences: marked at the head, not at each number."""
    notes = [estimate.note for place, estimate in agreement.summaries.items() if place[1] == key]
    sentences = [note.removesuffix(".").split(". ") for note in notes]
    shared = takewhile(lambda same: len(set(same)) == 1, zip(*sentences, strict=False))
    return "".join(f"{same[0]}. " for same in shared if same[0]).strip()


def _number(key: str, estimate: Estimate | None, common: str, footnotes: Footnotes) -> Number:
    if estimate is None:
        return Number("–", "")
    note = estimate.note.removeprefix(common).strip()
    return Number(*estimate_words(metric(key), estimate), footnotes.mark(note))


def _row(kind: PairKind, cases: int, numbers: tuple[Number, ...], pairs: Sequence[PairScores]) -> Row:
    policy = sum(pair.occupancy is not Occupancy.BOTH for pair in pairs)
    share = float(np.mean([pair.compared_share for pair in pairs])) if pairs else 1.0
    return Row(
        kind=KIND_NAMES[kind],
        css=MARKS[kind],
        cases=str(cases),
        numbers=numbers,
        by_policy=f"{policy} of {len(pairs)}" if policy else "0",
        compared="100%" if share >= 1 else "<100%" if share > 0.995 else f"{share:.0%}",
    )


@dataclass(frozen=True)
class ReliabilityRow:
    """One label's reliability over all raters."""

    label: str
    raters: int
    cases: int
    numbers: tuple[Number, Number, Number]
    icc_form: str
    region_mark: str


@dataclass(frozen=True)
class ReliabilityTable:
    """Fleiss' kappa, Krippendorff's alpha and the ICC by label, with footnotes."""

    rows: tuple[ReliabilityRow, ...]
    notes: tuple[str, ...]
    icc_form: str = ""
    """The form of the ICC where it is the same for every label."""


def reliability_table(agreement: Agreement) -> ReliabilityTable:
    """Reliability of every label."""
    footnotes = Footnotes()
    rows = []
    for found in agreement.reliabilities:
        estimates = (found.fleiss_kappa, found.krippendorff_alpha, found.icc)
        region = footnotes.mark(f"Region: {found.region}")
        kappa, alpha, icc = (
            Number(*coefficient_words(estimate), footnotes.mark(estimate.note)) for estimate in estimates
        )
        cases = max(estimate.cases for estimate in estimates)
        rows.append(
            ReliabilityRow(found.label, found.raters, cases, (kappa, alpha, icc), found.icc_form, region)
        )
    forms = {row.icc_form for row in rows}
    return ReliabilityTable(tuple(rows), footnotes.notes, forms.pop() if len(forms) == 1 else "")


@dataclass(frozen=True)
class CorrelationRow:
    """How one metric follows the experts, over all labels and by label."""

    metric: Metric
    numbers: tuple[Number, ...]
    cases: tuple[int, ...]


@dataclass(frozen=True)
class CorrelationTable:
    """Spearman's correlation of every metric with the experts' ratings; the closest first."""

    columns: tuple[str, ...]
    rows: tuple[CorrelationRow, ...]
    notes: tuple[str, ...]


def correlation_table(agreement: Agreement) -> CorrelationTable:
    """Correlations with expert ratings; empty where nobody rated."""
    footnotes = Footnotes()
    columns = tuple(dict.fromkeys(found.label for found in agreement.correlations))
    columns = tuple(sorted(columns, key=lambda label: label != ""))
    known = {(found.metric, found.label): found.spearman for found in agreement.correlations}
    rows = []
    for key in dict.fromkeys(found.metric for found in agreement.correlations):
        estimates = [known.get((key, column), Estimate(None)) for column in columns]
        numbers = tuple(Number(*coefficient_words(e), footnotes.mark(e.note)) for e in estimates)
        rows.append(
            (
                abs(estimates[0].value or 0.0),
                CorrelationRow(metric(key), numbers, tuple(e.cases for e in estimates)),
            )
        )
    rows.sort(key=lambda row: -row[0])
    return CorrelationTable(columns, tuple(row for _, row in rows), footnotes.notes)


@dataclass(frozen=True)
class MissingRow:
    """What one sitting lacks in one case."""

    case: str
    sitting: str
    labels: str


def missing_rows(agreement: Agreement) -> tuple[MissingRow, ...]:
    """Missing readings, the labels of one case and sitting together."""
    together: dict[tuple[str, str], list[str]] = {}
    for gap in agreement.missing:
        together.setdefault((gap.case, str(gap.sitting)), []).append(gap.label)
    return tuple(
        MissingRow(case, sitting, "the whole case" if "" in labels else ", ".join(labels))
        for (case, sitting), labels in together.items()
    )


def coefficient_words(estimate: Estimate) -> tuple[str, str]:
    """Number and interval of a coefficient without unit."""
    if estimate.value is None:
        return "–", ""
    ends = estimate.interval
    interval = f"{signed(ends[0], 3)} to {signed(ends[1], 3)}" if ends else "no interval"
    return signed(estimate.value, 3), interval
