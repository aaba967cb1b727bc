"""What experts think of a segmentation, and which metric follows them (Kofler et al., section 3.4).

An expert gives each case and label 1 (useless) to 6 (perfect). Where there is no reference, or nobody knows
which metric matters, the rank correlation of every metric with these ratings tells which one a department's
experts follow.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.metrics import Better, metric
from pgt.agreement.peak import by_case, labels_of, metrics_of, pairs_of_kind
from pgt.agreement.results import Estimate, PairKind, PairScores, RatingCorrelation
from pgt.errors import InputError
from pgt.output_files import write_text

WORST, BEST = 1, 6
FEWEST_CASES = 4
COLUMNS = ("case", "label", "rating", "expert")

SCHEMA = "pgt-expert-ratings"
VERSION = 1


@dataclass(frozen=True)
class ExpertRating:
    """One expert's opinion of one structure in one case.

    Args:
        case: the case's name.
        label: the structure.
        rating: whole number from 1 (useless) to 6 (perfect).
        expert: who rated; a pseudonym.

    Raises:
        InputError: a name is empty or the rating is another number.
    """

    case: str
    label: str
    rating: int
    expert: str

    def __post_init__(self) -> None:
        if not (self.case and self.label and self.expert):
            raise InputError("A rating names its case, its label and the expert.")
        if isinstance(self.rating, bool) or self.rating not in range(WORST, BEST + 1):
            raise InputError(
                f"{self.expert} rated {self.label} in {self.case} with {self.rating}; ratings are whole "
                f"numbers from {WORST} (useless) to {BEST} (perfect)."
            )


def read_ratings(path: str | Path) -> tuple[ExpertRating, ...]:
    """Read ``case,label,rating,expert``, one rating a line, columns in any order.

    Raises:
        InputError: the file cannot be read, lacks a column or an entry, holds a rating that is none, or two
            by one expert of the same structure.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            lines = [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of ratings: {error}.") from error
    missing = [name for name in COLUMNS if name not in reader.fieldnames]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; its header must name {', '.join(COLUMNS)}."
        )
    if not lines:
        raise InputError(f"{path} holds no rating.")
    ratings = [_from_line(path, number, line) for number, line in lines]
    try:
        return _once_each(ratings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_ratings(ratings: Iterable[ExpertRating], path: str | Path, overwrite: bool = False) -> None:
    """Write what :func:`read_ratings` reads.

    Raises:
        OutputError: the file exists and must not be overwritten, or cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(rating) for rating in ratings)
    write_text(path, text.getvalue(), overwrite)


def ratings_to_json(ratings: Iterable[ExpertRating]) -> str:
    """The ratings as text that a scene can keep."""
    content = {"schema": SCHEMA, "version": VERSION, "ratings": [asdict(rating) for rating in ratings]}
    return json.dumps(content, ensure_ascii=False)


def ratings_from_json(text: str) -> tuple[ExpertRating, ...]:
    """Read back :func:`ratings_to_json`.

    Raises:
        InputError: the text is something else.
    """
    try:
        content = json.loads(text)
        if (content["schema"], content["version"]) != (SCHEMA, VERSION):
            raise ValueError("another schema or version")
        ratings = [ExpertRating(**entry) for entry in content["ratings"]]
        if not all(isinstance(part, str) for one in ratings for part in (one.case, one.label, one.expert)):
            raise ValueError("a name is no text")
        return _once_each(ratings)
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(f"The stored expert ratings cannot be read: {error}") from error


def correlations(
    pairs: Sequence[PairScores],
    ratings: Sequence[ExpertRating],
    candidates: Collection[str] = (),
    level: float = 0.95,
) -> tuple[RatingCorrelation, ...]:
    """Spearman's correlation of every metric with the mean rating, for each label and for all together.

    A case's metric is its mean over the comparisons with the reference; without a reference over those
    between raters, and without those between sessions of a rater. Volume differences count by their size.

    Intervals are on Fisher's z with Bonett and Wright's (2000) standard error, which in simulation (6 to 20
    cases, six ranks with ties) held the truth in 95 to 99 of 100 studies and was shorter than intervals by
    bootstrap, which held it in 91 to 100. All labels together count as many cases as there are, not as many
    structures, since what makes a case hard is common to its structures.

    Args:
        pairs: all comparisons.
        ratings: the experts' opinions; those of cases that were not compared are left out.
        candidates: raters that are models, as in :func:`pgt.agreement.peak.summaries`.
        level: of the intervals.
    """
    labels = [label for label in labels_of(pairs) if any(rating.label == label for rating in ratings)]
    chosen = {
        label: _compared([pair for pair in pairs if pair.label == label], candidates) for label in labels
    }
    found = []
    for key in metrics_of(pair for label in labels for pair in chosen[label]):
        together: list[tuple[str, float, float]] = []
        for label in labels:
            values = by_case([pair for pair in chosen[label] if key in pair.values], key)
            mean_ratings = _mean_by_case(rating for rating in ratings if rating.label == label)
            points = [(case, values[case], mean_ratings[case]) for case in values if case in mean_ratings]
            together += points
            found.append(RatingCorrelation(key, label, _spearman(points, key, level)))
        if len(labels) > 1:
            found.append(RatingCorrelation(key, "", _spearman(together, key, level)))
    return tuple(found)


def _from_line(path: Path, number: int, line: Mapping[str, str | None]) -> ExpertRating:
    entries = {name: (line[name] or "").strip() for name in COLUMNS}
    empty = [name for name, value in entries.items() if not value]
    if empty:
        raise InputError(f"{path}, line {number}: the entry for {', '.join(empty)} is missing.")
    try:
        rating = float(entries["rating"])
        if not rating.is_integer():
            raise ValueError(f"{rating} is not whole")
        return ExpertRating(entries["case"], entries["label"], int(rating), entries["expert"])
    except ValueError as error:
        raise InputError(
            f"{path}, line {number}: {entries['rating']!r} is no rating; ratings are whole numbers from "
            f"{WORST} (useless) to {BEST} (perfect)."
        ) from error
    except InputError as error:
        raise InputError(f"{path}, line {number}: {error}") from error


def _once_each(ratings: Sequence[ExpertRating]) -> tuple[ExpertRating, ...]:
    seen = set()
    for rating in ratings:
        place = (rating.case, rating.label, rating.expert)
        if place in seen:
            raise InputError(f"{rating.expert} rated {rating.label} in {rating.case} more than once.")
        seen.add(place)
    return tuple(ratings)


def _compared(pairs: Sequence[PairScores], candidates: Collection[str]) -> list[PairScores]:
    """The comparisons that a case is judged by."""
    for kind in (PairKind.REFERENCE, PairKind.INTER, PairKind.INTRA):
        found = pairs_of_kind(pairs, kind, candidates)
        if found:
            return found
    return []


def _mean_by_case(ratings: Iterable[ExpertRating]) -> dict[str, float]:
    by_name: dict[str, list[int]] = {}
    for rating in ratings:
        by_name.setdefault(rating.case, []).append(rating.rating)
    return {case: sum(numbers) / len(numbers) for case, numbers in by_name.items()}


def _spearman(points: Sequence[tuple[str, float, float]], key: str, level: float) -> Estimate:
    """Of (case, metric, rating)."""
    from scipy.stats import norm, rankdata

    cases = len({case for case, _, _ in points})
    if cases < FEWEST_CASES:
        note = f"Not computed: {cases} rated case{'' if cases == 1 else 's'}, {FEWEST_CASES} are needed."
        return Estimate(None, cases=cases, level=level, note=note)
    values, ratings = (rankdata([point[which] for point in points]) for which in (1, 2))
    for ranks, what in ((ratings, "ratings"), (values, "values of the metric")):
        if np.ptp(ranks) == 0:
            note = f"Not defined: all {what} are the same."
            return Estimate(None, cases=cases, level=level, note=note)
    value = _pearson(values, ratings)
    # Where all ranks agree the interval starts half a swap of two neighbouring ranks away, not at infinity.
    nearest = 1 - 6 / (cases * (cases**2 - 1))
    centre = np.arctanh(np.clip(value, -nearest, nearest))
    reach = norm.ppf((1 + level) / 2) * np.sqrt((1 + value**2 / 2) / (cases - 3))
    low, high = (float(end) for end in np.tanh([centre - reach, centre + reach]))
    note = ""
    if metric(key).better is not Better.HIGHER:
        note = "The metric is better when lower: a correlation near -1 follows the experts."
    return Estimate(value, min(low, value), max(high, value), cases, level, note)


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))
