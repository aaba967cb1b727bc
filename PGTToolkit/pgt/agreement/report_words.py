"""Numbers and findings of an agreement study as a reader wants them: few digits, whole sentences."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from pgt.agreement.bootstrap import FEWEST_FOR_BOOTSTRAP, FEWEST_FOR_INTERVAL, RESAMPLES
from pgt.agreement.metrics import Metric, metric
from pgt.agreement.results import Agreement, BandState, Estimate, PairKind

_MOST_NAMES = 6
_FEW_LABELS = 3
_SMALL_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_KINDS = {
    PairKind.INTER: "Different raters agree with each other",
    PairKind.INTRA: "Raters who drew twice agree with themselves",
    PairKind.REFERENCE: "Raters and candidates agree with the reference",
}
_NO_BAND = {
    BandState.NO_REPEATS: "no rater drew twice",
    BandState.NO_OTHER_RATER: "there is no second rater",
    BandState.CROSSED: "raters agree less with themselves than with each other",
    BandState.UNCERTAIN: "these cases do not tell its two bounds apart",
    BandState.TOO_FEW_CASES: "there are too few cases",
}


def signed(value: float, decimals: int) -> str:
    """A number as it is printed: with a true minus, and zero without a sign."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def heading(described: Metric) -> str:
    """A metric's name with its unit."""
    return f"{described.title}, {described.unit}" if described.unit else described.title


def decimals_for(described: Metric, *values: float | None) -> int:
    """How many decimals numbers of this size deserve."""
    if not described.unit:
        return 3
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if described.unit == "%":
        return 1
    return 2 if largest < 10 else 1 if largest < 100 else 0


def number(described: Metric, value: float, *beside: float | None) -> str:
    """A number with its decimals, as many as those of the numbers beside it."""
    return signed(value, decimals_for(described, value, *beside))


def estimate_words(described: Metric, estimate: Estimate) -> tuple[str, str]:
    """Number and interval; "–" without a number, "no interval" without one."""
    if estimate.value is None:
        return "–", ""
    ends = estimate.interval
    decimals = decimals_for(described, estimate.value, *(ends or ()))
    value = signed(estimate.value, decimals)
    return value, f"{signed(ends[0], decimals)} to {signed(ends[1], decimals)}" if ends else "no interval"


def counted(count: int, thing: str, things: str = "") -> str:
    """ "1 case", "18 cases"."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def listed(names: Sequence[str], most: int = _MOST_NAMES) -> str:
    """ "A, B and C"; the first few of many."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nobody"


def human_raters(agreement: Agreement) -> tuple[str, ...]:
    """Everybody who drew and is neither a model nor the reference."""
    others = {agreement.reference, *agreement.candidates}
    return tuple(dict.fromkeys(s.rater for s in agreement.sittings if s.rater not in others))


def what_was_compared(agreement: Agreement) -> str:
    """A few sentences: who, what, how many."""
    raters = human_raters(agreement)
    who = f"{_small(len(raters))} {'rater' if len(raters) == 1 else 'raters'} ({listed(raters)})"
    some = len(agreement.labels) <= _FEW_LABELS
    what = listed(agreement.labels) if some else counted(len(agreement.labels), "structure")
    sentences = [f"{who[0].upper()}{who[1:]} drew {what} in {counted(len(agreement.cases), 'case')}."]
    repeating = [name for name, count in _sessions(agreement).items() if count > 1 and name in raters]
    if repeating:
        sentences.append(f"{listed(repeating)} did so in more than one session.")
    if agreement.reference:
        sentences.append(f"The reference is {agreement.reference}.")
    if agreement.candidates:
        counts = "counts" if len(agreement.candidates) == 1 else "count"
        sentences.append(f"{listed(agreement.candidates)} {counts} as candidate, not as rater.")
    return " ".join(sentences)


def main_metric(agreement: Agreement) -> str:
    """The metric of the lead: Dice where it was asked for, because every reader knows it."""
    keys = list(dict.fromkeys(key for pair in agreement.pairs for key in pair.values))
    return "dice" if "dice" in keys or not keys else keys[0]


def answer(agreement: Agreement) -> tuple[str, ...]:
    """The study's result, the most important sentence first, with intervals and what they rest on."""
    key = main_metric(agreement)
    sentences = [_agreement_sentence(agreement, key, kind) for kind in PairKind]
    return tuple(filter(None, [*sentences, _band_sentence(agreement, key)]))


def _agreement_sentence(agreement: Agreement, key: str, kind: PairKind) -> str:
    found = {
        label: estimate
        for label in agreement.labels
        if (estimate := agreement.summaries.get((label, key, kind))) and estimate.value is not None
    }
    if not found:
        return ""
    described, start = metric(key), _KINDS[kind]
    name = described.title
    if len(found) == 1:
        ((label, estimate),) = found.items()
        if estimate.cases > 1:
            name = f"mean {name}"
        what = "" if len(agreement.labels) == 1 else f" on {label}"
        return f"{start} at a {name} of {_with_interval(described, estimate)}{what}."
    ordered = sorted(found.items(), key=lambda item: item[1].value or 0.0)
    (first, lowest), (last, highest) = ordered[0], ordered[-1]
    middle = statistics.median(estimate.value or 0.0 for estimate in found.values())
    return (
        f"{start} at a mean {name} from {_with_interval(described, lowest)} on {first} to "
        f"{_with_interval(described, highest)} on {last}; "
        f"{number(described, middle)} in the median structure."
    )


def _with_interval(described: Metric, estimate: Estimate) -> str:
    value, interval = estimate_words(described, estimate)
    unit = f" {described.unit}" if described.unit else ""
    cases = counted(estimate.cases, "case")
    if estimate.interval is None:
        return f"{value}{unit} ({cases}, no interval)"
    return f"{value}{unit} ({estimate.level:.0%} interval {interval}, {cases})"


def _band_sentence(agreement: Agreement, key: str) -> str:
    bands = [band for band in agreement.bands if band.metric == key]
    if not bands:
        return ""
    name = metric(key).title
    drawn = [band for band in bands if band.state is BandState.BAND]
    if not drawn:
        ((state, count),) = Counter(band.state for band in bands).most_common(1)
        mostly = "" if count == len(bands) else f" (in {count} of {len(bands)} structures)"
        return f"There is no Peak Ground Truth band on {name}: {_NO_BAND[state]}{mostly}."
    where = "" if len(bands) == 1 else f" for {_of_all(len(drawn), len(bands))} structures"
    text = f"There is a Peak Ground Truth band on {name}{where}."
    for candidate in dict.fromkeys(p.name for band in drawn for p in band.placements):
        verdicts = Counter(p.verdict for band in drawn for p in band.placements if p.name == candidate)
        placed = sum(verdicts.values())
        places = [
            f"{place} it" + ("" if placed == 1 else f" for {_of_all(count, placed)}")
            for place, count in verdicts.most_common()
        ]
        text += f" {candidate} most probably lies {listed(places)}."
    return text


def _of_all(count: int, total: int) -> str:
    return f"all {total}" if count == total else f"{count} of {total}"


def _sessions(agreement: Agreement) -> Counter[str]:
    return Counter(sitting.rater for sitting in agreement.sittings)


def _small(count: int) -> str:
    return _SMALL_NUMBERS[count] if count < len(_SMALL_NUMBERS) else str(count)


def intervals_words() -> str:
    """How the intervals are made, for a reader."""
    return (
        "A case is one unit: the mean of its comparisons. Intervals are over cases, studentised bootstrap "
        f"(bootstrap-t, {RESAMPLES:,} resamples of the cases with a fixed seed) on a scale without ends: the "
        "logit for scores from 0 to 1, the logarithm for distances and sizes, Fisher's z for correlations. "
        "No interval of a distance or size exceeds what the largest volume can hold. "
        f"With fewer than {FEWEST_FOR_BOOTSTRAP} cases Student's t on the same scale; with fewer than "
        f"{FEWEST_FOR_INTERVAL} there is none. They hold for these raters and cases like these: they tell "
        "nothing of raters who were not asked, nor of failures that no case shows."
    )
