"""Is improving these labels worth it, and for which use: the numbers behind the answer, and the answer.

The rule. A pair of versions *paid off* where the better labels gave a better result on the kept-out cases
beyond doubt (`pgt.studies.label_quality_statistics.Gain`). Improving is

- *worth it* where every improvement of :data:`SMALL` or more paid off,
- *not worth it* where not even the upper end of the slope's interval reaches :data:`FLAT` points of result
  for a point of label quality, whatever single pairs say: where quality does not matter, versions may still
  differ, and half of those pairs look like a gain,
- *worth it only where much can be improved* where the slope's interval lies above 0 and some pair paid off,
- *open* otherwise: these cases cannot tell. So it is, too, where no version led to a mean score of
  :data:`LEARNT`, or not even the base labels to every structure: networks that have not learnt the task say
  nothing of its labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pgt.agreement.bootstrap import mean_estimate
from pgt.agreement.results import Estimate
from pgt.studies.label_quality_results import LabelQualityResults, TaskResults
from pgt.studies.label_quality_statistics import Gain, PayOff, Relation, gains, pay_off, relation
from pgt.studies.label_versions import BASE, NONE

SMALL = 0.02
"""An improvement of label quality that a department would call small."""
FLAT = 0.1
"""Points of result for a point of label quality below which it does not matter."""


LEARNT = 0.5
"""Mean score that the best version must lead to."""


class Use(str, Enum):
    """What networks trained on the labels are for."""

    IN_DOMAIN = "in-domain"
    FINE_TUNING = "pre-training"


class Worth(str, Enum):
    """Whether improving the labels is worth it."""

    YES = "worth it"
    LARGE_ONLY = "worth it only where much can be improved"
    NO = "not worth it"
    OPEN = "open"


@dataclass(frozen=True)
class OverNone:
    """What pre-training on a version brought over none.

    Args:
        version: of the labels.
        gain: of the result, mean over the kept-out cases.
        every_seed: whether it is above 0 with every seed; a training that did not converge can make a mean.
    """

    version: str
    gain: Estimate
    every_seed: bool

    @property
    def helped(self) -> bool:
        """Whether it helped beyond doubt."""
        return self.every_seed and self.gain.lower is not None and self.gain.lower > 0


@dataclass(frozen=True)
class Answer:
    """What was found for one use, by one metric.

    Args:
        use: of the labels.
        metric: "dice" or "nsd", of label quality and of results alike.
        relation: how results follow quality, over all versions.
        pay_off: from which improvement on it was seen to pay off.
        gains: every pair.
        worth: the verdict.
        to_base: what the base labels brought over each other version.
        spread: of the results, best less worst version.
        learnt: whether some version led to a score of :data:`LEARNT`, and the base to every structure.
        over_none: pre-training on each version over none; empty in-domain.
    """

    use: Use
    metric: str
    relation: Relation
    pay_off: PayOff
    gains: tuple[Gain, ...]
    worth: Worth
    to_base: tuple[Gain, ...]
    spread: float
    learnt: bool
    over_none: tuple[OverNone, ...] = ()


def answers_of(results: LabelQualityResults, seed: int = 0) -> tuple[Answer, ...]:
    """The answers by Dice and by NSD, in-domain and, where there is a second task, after fine-tuning."""
    answers = []
    for use, task in ((Use.IN_DOMAIN, results.in_domain), (Use.FINE_TUNING, results.fine_tuned)):
        if task is not None:
            answers += [_answer(results, task, use, metric, seed) for metric in ("dice", "nsd")]
    return tuple(answers)


def _answer(results: LabelQualityResults, task: TaskResults, use: Use, metric: str, seed: int) -> Answer:
    quality = results.labels_by_case(metric)
    by_case = task.by_case(metric)
    scores = by_case[[task.row(name) for name in results.versions]]
    found = gains(results.versions, quality.mean(axis=1).tolist(), scores, seed)
    related = relation(quality, scores, seed)
    summed = pay_off(found)
    over_none: tuple[OverNone, ...] = ()
    if use is Use.FINE_TUNING:
        over = scores - by_case[task.row(NONE)]
        over_none = tuple(
            OverNone(
                name,
                mean_estimate(over[row].mean(axis=0).tolist(), seed=seed),
                bool((over[row].mean(axis=1) > 0).all()),
            )
            for row, name in enumerate(results.versions)
        )
    means = scores.mean(axis=(1, 2))
    learnt = task.converged and bool(means.max() >= LEARNT)
    return Answer(
        use=use,
        metric=metric,
        relation=related,
        pay_off=summed,
        gains=found,
        worth=_worth(summed, related) if learnt else Worth.OPEN,
        to_base=tuple(gain for gain in found if gain.better == BASE),
        spread=float(means.max() - means.min()),
        learnt=learnt,
        over_none=over_none,
    )


def _worth(summed: PayOff, related: Relation) -> Worth:
    without = summed.largest_without.improvement if summed.largest_without else 0.0
    if summed.paid and without < SMALL:
        return Worth.YES
    if related.slope.interval is None:
        return Worth.OPEN
    lower, upper = related.slope.interval
    if upper < FLAT:
        return Worth.NO
    return Worth.LARGE_ONLY if summed.paid and lower > 0 else Worth.OPEN
