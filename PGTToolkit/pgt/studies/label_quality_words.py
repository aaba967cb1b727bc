"""A study of label quality in sentences. Differences are in points, hundredths of Dice or NSD."""

from __future__ import annotations

from pgt.agreement.report_words import signed
from pgt.agreement.results import Estimate
from pgt.studies.label_quality_answer import LEARNT, Answer, Use, Worth
from pgt.studies.label_quality_results import LabelQualityResults
from pgt.studies.label_quality_statistics import Gain, PayOff
from pgt.studies.label_versions import BASE

TITLES = {"dice": "Dice", "nsd": "NSD"}

_USES = {
    Use.IN_DOMAIN: "For networks that shall segment the same structures (in-domain)",
    Use.FINE_TUNING: "For pre-training, before fine-tuning on a few original labels",
}
_VERDICTS = {
    Worth.YES: "improving these labels is worth it, small improvements too",
    Worth.LARGE_ONLY: "improving these labels is worth it only where much can be improved",
    Worth.NO: "improving these labels is not worth it",
    Worth.OPEN: "these cases cannot tell whether improving the labels is worth it",
}


def points(difference: float) -> str:
    """A difference of scores in points, with its sign: "+1.2"."""
    text = signed(100 * difference, 1)
    return text if text.startswith("−") or float(text) == 0 else f"+{text}"


def with_interval(estimate: Estimate, decimals: int = 2, scale: float = 1.0) -> str:
    """ "0.83 (95 % interval 0.52 to 0.97)"."""
    if estimate.value is None:
        return "–"
    value = signed(scale * estimate.value, decimals)
    if estimate.interval is None:
        return f"{value} (no interval)"
    low, high = (signed(scale * end, decimals) for end in estimate.interval)
    return f"{value} (95 % interval {low} to {high})"


def lead(answers: tuple[Answer, ...]) -> tuple[str, ...]:
    """The answer for each use by Dice, in one sentence each."""
    return tuple(
        f"{_USES[answer.use]}, {_VERDICTS[answer.worth]}: {_reason(answer)}"
        for answer in answers
        if answer.metric == "dice"
    )


def sentences(answer: Answer) -> tuple[str, ...]:
    """What the answer rests on."""
    said = [_correlation(answer), *_paid(answer.pay_off), _base(answer)]
    if answer.use is Use.FINE_TUNING:
        said.append(_over_none(answer))
    return tuple(filter(None, said))


def comparison(answers: tuple[Answer, ...]) -> str:
    """How much the versions matter in-domain and after fine-tuning; empty where one of the two is missing."""
    spreads = {answer.use: answer.spread for answer in answers if answer.metric == "dice"}
    if len(spreads) < 2:
        return ""
    return (
        f"From the worst to the best version results differ by {100 * spreads[Use.IN_DOMAIN]:.1f} points of "
        f"Dice in-domain, and by {100 * spreads[Use.FINE_TUNING]:.1f} after fine-tuning."
    )


def raters_sentence(results: LabelQualityResults, lower: float, upper: float | None) -> str:
    """What agreement between raters says about the versions.

    Args:
        results: of the study.
        lower: Dice between raters, mean over the structures.
        upper: Dice between sessions of one rater; None where nobody drew twice.
    """
    near = [
        name
        for name in results.versions
        if name != BASE and results.label_quality(name, "dice").mean >= lower
    ]
    band = f"Raters reach a Dice of {lower:.3f} among each other"
    if upper is not None:
        band += f" and {upper:.3f} with themselves (the Peak Ground Truth band)"
    if not near:
        return f"{band}. Every version lies below that: better labels still teach."
    named = ", ".join(near)
    return (
        f"{band}. As near to the base labels as another rater would be: {named}; improving them further "
        "moves within what raters disagree on, and a gain measured against one rater's labels may be his."
    )


def _reason(answer: Answer) -> str:
    if not answer.learnt:
        return (
            f"no version led to a mean {TITLES[answer.metric]} of {LEARNT:g}, or the base labels not to "
            "every structure, so the networks have not learnt the task; train them longer, or larger ones, "
            "before asking."
        )
    summed, slope = answer.pay_off, answer.relation.slope
    rate = (
        f"a point of label Dice goes with {with_interval(slope)} points of result"
        if slope.value is not None
        else "there are too few versions for a slope"
    )
    lost = f", and in {summed.lost} better labels gave a worse result" if summed.lost else ""
    text = f"{rate}. {summed.paid} of {summed.pairs} pairs of versions paid off{lost}"
    if summed.smallest is None or answer.worth is Worth.NO:
        return f"{text}."
    text += f". The smallest improvement that paid off was {100 * summed.smallest.improvement:.1f} points"
    if summed.sure_from is None:
        return f"{text}."
    return f"{text}; every one of {100 * summed.sure_from:.1f} points or more did."


def _correlation(answer: Answer) -> str:
    related, name = answer.relation, TITLES[answer.metric]
    if related.spearman.value is None:
        return f"Quality and result by {name}: {related.spearman.note}"
    return (
        f"By {name}, label quality and result correlate over {related.versions} versions with Spearman's "
        f"ρ = {with_interval(related.spearman)} and Kendall's τ = {with_interval(related.kendall)}; slope "
        f"{with_interval(related.slope)} points of result for a point of label quality."
    )


def _paid(summed: PayOff) -> list[str]:
    said = []
    if summed.smallest is not None:
        said.append(f"The smallest improvement that paid off: {_pair(summed.smallest)}.")
    else:
        said.append(f"No improvement paid off among {summed.pairs} pairs of versions.")
    if summed.largest_without is not None:
        said.append(f"The largest improvement that did not: {_pair(summed.largest_without)}.")
    if summed.lost:
        said.append(
            f"In {summed.lost} of {summed.pairs} pairs the better labels gave a worse result beyond doubt: "
            "what kind of error labels have matters beside how large it is."
        )
    return said


def _base(answer: Answer) -> str:
    ordered = sorted(answer.to_base, key=lambda gain: gain.improvement)
    if not ordered:
        return ""
    first, last = ordered[0], ordered[-1]
    text = f"The rater's own labels brought {_gain(first)} over {first.worse}, the best other version"
    return text + ("." if first is last else f", and {_gain(last)} over {last.worse}, the worst.")


def _over_none(answer: Answer) -> str:
    found = sorted(answer.over_none, key=lambda one: one.gain.value or 0.0)
    if not found:
        return ""
    worst, best = found[0], found[-1]
    helped = sum(one.helped for one in found)
    return (
        f"Over no pre-training, pre-training brought from {_points(worst.gain)} ({worst.version}) to "
        f"{_points(best.gain)} ({best.version}); {helped} of {len(found)} versions helped beyond doubt, with "
        "every seed."
    )


def _pair(gain: Gain) -> str:
    doubt = "" if gain.every_seed else ", not with every seed"
    return (
        f"{gain.better} over {gain.worse}, {100 * gain.improvement:.1f} points better labels, "
        f"{_gain(gain)} in the result{doubt}"
    )


def _gain(gain: Gain) -> str:
    return _points(gain.gain)


def _points(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    value = points(estimate.value)
    if estimate.interval is None:
        return f"{value} points"
    return f"{value} points ({points(estimate.interval[0])} to {points(estimate.interval[1])})"
