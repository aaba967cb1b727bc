"""Every sitting against every other: means over cases, for one label or all, as a heat map shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgt.agreement.metrics import Better, Metric, metric
from pgt.agreement.readings import Sitting
from pgt.agreement.report_words import counted, decimals_for
from pgt.agreement.results import Agreement, PairScores

# What a comparison read the other way round gives, where that is not the same number.
_EXCHANGED = {"sensitivity": "precision", "precision": "sensitivity"}


@dataclass(frozen=True)
class Cell:
    """One sitting against another: mean over cases; for all labels, the mean of the labels' means.

    Args:
        value: the mean.
        cases: number of cases that it rests on.
    """

    value: float
    cases: int


Cells = Mapping[tuple[int, int], Cell]
"""By row (A, the first of the formula) and column (B) in the order of the study's sittings."""


@dataclass(frozen=True)
class Matrix:
    """One metric's matrices.

    Args:
        metric: which metric.
        overall: over all labels.
        by_label: for each label.
    """

    metric: Metric
    overall: Cells
    by_label: Mapping[str, Cells]

    @property
    def decimals(self) -> int:
        """How many decimals the numbers deserve."""
        # What is written on a page needs the libraries that draw it; the matrices themselves do not.
        return decimals_for(self.metric, *(cell.value for cell in self.overall.values()))

    @property
    def reading(self) -> str:
        """How to read a cell."""
        if self.metric.better is Better.ZERO:
            return "Volume of the column's rater minus that of the row's."
        return "" if self.metric.symmetric else "A is the row's rater, B the column's."


def matrices(agreement: Agreement, keys: tuple[str, ...]) -> tuple[Matrix, ...]:
    """The matrix of each metric."""
    places = {sitting: place for place, sitting in enumerate(agreement.sittings)}
    found = []
    for key in keys:
        by_label = {
            label: _cells([pair for pair in agreement.pairs if pair.label == label], key, places)
            for label in agreement.labels
        }
        found.append(Matrix(metric(key), _mean_of(by_label), by_label))
    return tuple(found)


def cases_of(found: Sequence[Matrix]) -> str:
    """On how many cases the cells over all labels rest."""
    counts = [cell.cases for matrix in found for cell in matrix.overall.values()] or [0]
    low, high = min(counts), max(counts)
    return counted(high, "case") if low == high else f"{low} to {counted(high, 'case')}"


def shade(matrix: Matrix, cells: Cells, value: float) -> float:
    """How dark a cell is, from 0 (the worst of these cells) to 1 (the best)."""
    scores = [_goodness(matrix.metric, cell.value) for cell in cells.values()]
    low, high = min(scores), max(scores)
    return 0.5 if high - low < 1e-9 else (_goodness(matrix.metric, value) - low) / (high - low)


def _goodness(described: Metric, value: float) -> float:
    if described.better is Better.HIGHER:
        return value
    return -value if described.better is Better.LOWER else -abs(value)


def _cells(pairs: list[PairScores], key: str, places: Mapping[Sitting, int]) -> Cells:
    values: dict[tuple[int, int], dict[str, float]] = {}
    for pair in pairs:
        if key not in pair.values:
            continue
        a, b = places[pair.a], places[pair.b]
        values.setdefault((a, b), {})[pair.case] = pair.values[key]
        exchanged = _exchanged(pair, key)
        if exchanged is not None:
            values.setdefault((b, a), {})[pair.case] = exchanged
    return {place: Cell(sum(cases.values()) / len(cases), len(cases)) for place, cases in values.items()}


def _exchanged(pair: PairScores, key: str) -> float | None:
    """The number that the pair has with A and B exchanged."""
    described = metric(key)
    if described.symmetric:
        return pair.values[key]
    if described.better is Better.ZERO:
        return -pair.values[key]
    return pair.values.get(_EXCHANGED.get(key, ""))


def _mean_of(by_label: Mapping[str, Cells]) -> Cells:
    places = {place for cells in by_label.values() for place in cells}
    found = {}
    for place in places:
        cells = [cells[place] for cells in by_label.values() if place in cells]
        found[place] = Cell(sum(c.value for c in cells) / len(cells), max(c.cases for c in cells))
    return found
