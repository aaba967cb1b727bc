"""One segmentation out of several raters' (Kofler et al., section 3.1).

Majority, any and all count votes. STAPLE weighs the raters by the reliability that it estimates for each,
and what it finds depends on the voxels it is shown: with more background every rater's specificity nears 1
and the prior nears 0, and whoever draws too large is believed. It is therefore shown a region that neither
the size of the volume nor that of the structure changes: the voxels on which the raters do not all agree,
and those within ``margin`` voxels of them. The margin holds what all raters call inside and what all call
outside; without it (0) nothing tells a good rater from one who is always wrong. Two voxels were measured to
be the least that never does worse than a majority of raters with known faults; five and more, up to the
whole volume, do (docs/agreement.md). The prior is the share of marks among all votes there.

A voxel on which all raters agree stays as they drew it, whatever the method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import Box, CroppedMask, Mask, occupied_box
from pgt.agreement.readings import DrawnSlices, Reading
from pgt.agreement.votes import Votes, collect_votes, first_sessions
from pgt.errors import InputError

MARGIN = 2
"""Voxels around the dispute, along every axis and diagonally, that STAPLE is shown as well."""

# Probabilities this near to one half are a tie; STAPLE's own accuracy is about seven digits.
_TIE = 1e-6

NO_SOLUTION = "STAPLE has no solution here (it leaves no structure or no background); votes decide."

_Chosen = TypeVar("_Chosen", bound=Enum)


class Method(str, Enum):
    """How voxels in dispute are decided."""

    MAJORITY = "majority"
    STAPLE = "staple"
    ANY = "any"
    ALL = "all"


class Ties(str, Enum):
    """What becomes of a voxel with as much for it as against it."""

    BACKGROUND = "background"
    FOREGROUND = "foreground"


@dataclass(frozen=True)
class Rules:
    """How a consensus is made; see :func:`consensus`."""

    method: Method
    margin: int = MARGIN
    ties: Ties = Ties.BACKGROUND

    @classmethod
    def of(cls, method: Method | str, margin: int, ties: Ties | str = Ties.BACKGROUND) -> Rules:
        """From what a user wrote; InputError where it makes no sense."""
        if margin < 0:
            raise InputError(f"The margin around the dispute cannot be {margin} voxels.")
        return cls(_choice(Method, method), margin, _choice(Ties, ties))


@dataclass(frozen=True)
class RaterPerformance:
    """A rater against the consensus, in the region in dispute: not comparable between structures or cases.

    Args:
        sensitivity: share of the consensus there that the rater marked; 1 where it has no voxel there.
        specificity: share of the background there that the rater left out; 1 where there is none.
        rater: who, where names are known.
    """

    sensitivity: float
    specificity: float
    rater: str = ""


@dataclass(frozen=True, eq=False)
class Consensus:
    """What several raters come to on one structure of one case.

    Args:
        mask: the consensus.
        probability: a box of the volume and, on it, float32 [i, j, k] from 0 to 1, 0 elsewhere: STAPLE's
            probability, for every other method the share of the raters who marked the voxel.
        ties: voxels with as much for them as against them, which a rule decided.
        disputed: voxels on which the raters do not all agree.
        region: voxels in dispute and around, in which the raters' performances are counted.
        raters: one a mask, in their order.
        slices: the slices that the consensus was made on, those which all raters drew; None for all slices.
        note: method, region and ties in words, and what to mind.
    """

    mask: CroppedMask
    probability: tuple[Box, NDArray[np.float32]]
    ties: int
    disputed: int
    region: int
    raters: tuple[RaterPerformance, ...]
    slices: DrawnSlices | None
    note: str


@dataclass(frozen=True, eq=False)
class _Decided:
    """What became of the box: chosen voxels, probability, ties, and each rater against it in the region."""

    chosen: Mask
    probability: NDArray[np.float64]
    ties: int
    raters: tuple[RaterPerformance, ...]
    remark: str = ""


def consensus(
    masks: Sequence[CroppedMask],
    method: Method | str = Method.STAPLE,
    *,
    ties: Ties | str = Ties.BACKGROUND,
    margin: int = MARGIN,
    drawn: Sequence[DrawnSlices | None] | None = None,
) -> Consensus:
    """The consensus on one structure.

    Args:
        masks: one a rater, on the same grid.
        method: majority of the votes, STAPLE, what any rater marked, or what all did.
        ties: what a voxel becomes that has half the votes (majority) or probability one half (STAPLE).
        margin: width in voxels of what belongs to the region besides the dispute, see the module.
        drawn: for each rater the slices drawn, None for all. Only slices that all raters drew take part.

    Raises:
        InputError: there are fewer than two raters, their grids differ in size, they drew no slice in
            common, or ``method``, ``ties`` or ``margin`` is none that is known.
    """
    rules = Rules.of(method, margin, ties)
    check_raters(len(masks))
    votes = collect_votes(masks, drawn, margin)
    region = region_in_dispute(votes, margin)
    decided = _decide(votes, region, rules)
    return Consensus(
        mask=placed(decided.chosen, votes.box, masks[0].shape),
        probability=(votes.box, np.asarray(decided.probability, np.float32)),
        ties=decided.ties,
        disputed=int(np.count_nonzero(votes.disputed)),
        region=int(np.count_nonzero(region)),
        raters=decided.raters,
        slices=votes.slices,
        note=describe(rules, votes, decided.ties, decided.remark),
    )


def consensus_of_readings(
    readings: Sequence[Reading],
    label: str,
    method: Method | str = Method.STAPLE,
    *,
    ties: Ties | str = Ties.BACKGROUND,
    margin: int = MARGIN,
) -> Consensus:
    """The consensus on one label of one case; each rater who has it has one voice, that of the first session.

    Raises:
        InputError: as :func:`consensus`, or the readings are not of one case.
    """
    cases = sorted({reading.case for reading in readings})
    if len(cases) > 1:
        raise InputError(f"A consensus is made case by case; these readings are of {', '.join(cases)}.")
    voices = [reading for reading in first_sessions(readings) if label in reading.masks]
    if len(voices) < 2:
        where = f" in case {cases[0]}" if cases else ""
        raise InputError(
            f"A consensus needs two raters or more who drew {label}{where}; there {_number(len(voices))}."
        )
    found = consensus(
        [reading.masks[label] for reading in voices],
        method,
        ties=ties,
        margin=margin,
        drawn=[reading.drawn.get(label) for reading in voices],
    )
    named = tuple(
        replace(rater, rater=reading.sitting.rater)
        for rater, reading in zip(found.raters, voices, strict=True)
    )
    return replace(found, raters=named)


def multi_label(
    raters: Sequence[Mapping[str, CroppedMask]],
    method: Method | str = Method.STAPLE,
    *,
    margin: int = MARGIN,
    drawn: Sequence[DrawnSlices | None] | None = None,
) -> dict[str, Consensus]:
    """The consensus on labels of which a voxel has one at most, decided together (:mod:`.label_consensus`).

    Args:
        raters: for each rater the masks by label; the same labels for all.
        method: majority (most votes win) or STAPLE.
        margin: as for :func:`consensus`.
        drawn: as for :func:`consensus`, the same for all labels.

    Raises:
        InputError: as :func:`consensus`; a label is missing for a rater, or two labels overlap.
    """
    from pgt.agreement.label_consensus import consensus_of_labels

    rules = Rules.of(method, margin)
    check_raters(len(raters))
    return consensus_of_labels(raters, rules, drawn)


def region_in_dispute(votes: Votes, margin: int) -> Mask:
    """The voxels of the box within ``margin`` voxels of a disputed one, on slices that count."""
    return votes.on_counted_slices(grown(votes.disputed, margin))


def grown(voxels: Mask, margin: int) -> Mask:
    """Voxels [i, j, k] and those within ``margin`` of one along every axis and diagonally."""
    from scipy.ndimage import maximum_filter

    if not margin or not voxels.size:
        return voxels
    return np.asarray(
        maximum_filter(voxels.view(np.uint8), size=2 * margin + 1, mode="constant").view(bool), dtype=bool
    )


def _decide(votes: Votes, region: Mask, rules: Rules) -> _Decided:
    """By STAPLE where it is asked for and has a solution, else by votes."""
    shares = votes.counts / max(len(votes.marks), 1)
    if rules.method is not Method.STAPLE or not region.any():
        return _by_votes(votes, region, rules, shares)
    from pgt.agreement.staple import staple

    found = staple(votes.marks[:, region])
    if found is None:
        return replace(_by_votes(votes, region, rules, shares), remark=NO_SOLUTION)
    shares[region] = np.where(votes.disputed[region], found.probability, shares[region])
    chosen, ties = _above_half(shares, votes.disputed, rules.ties)
    raters = tuple(map(RaterPerformance, found.sensitivity.tolist(), found.specificity.tolist()))
    return _Decided(chosen, shares, ties, raters, chance_remark(raters))


def _by_votes(votes: Votes, region: Mask, rules: Rules, shares: NDArray[np.float64]) -> _Decided:
    """What the shares of marks decide, and how each rater compares with that in the region."""
    ties = 0
    if rules.method is Method.ANY:
        chosen = np.asarray(votes.marks.any(axis=0))
    elif rules.method is Method.ALL:
        chosen = np.asarray(votes.marks.all(axis=0))
    else:
        chosen, ties = _above_half(shares, votes.disputed, rules.ties)
    raters = tuple(performance(marks[region], chosen[region].astype(float)) for marks in votes.marks)
    return _Decided(chosen, shares, ties, raters)


def _above_half(probability: NDArray[np.float64], disputed: Mask, rule: Ties) -> tuple[Mask, int]:
    """The voxels more probable than not, ties as the rule has it, and how many there were."""
    tied: Mask = disputed & (np.abs(probability - 0.5) <= _TIE)
    chosen = (probability > 0.5) & ~tied
    return chosen | tied if rule is Ties.FOREGROUND else chosen, int(np.count_nonzero(tied))


def performance(marks: Mask, truth: NDArray[np.float64]) -> RaterPerformance:
    """A rater's marks against the probability (or 0 and 1) of the same voxels."""
    inside, outside = float(truth.sum()), float((1 - truth).sum())
    return RaterPerformance(
        sensitivity=float(truth[marks].sum()) / inside if inside else 1.0,
        specificity=float((1 - truth[~marks]).sum()) / outside if outside else 1.0,
    )


def placed(chosen: Mask, box: Box, shape: tuple[int, int, int]) -> CroppedMask:
    """The voxels of a box as a structure of the volume."""
    inner = occupied_box(chosen)
    if inner is None:
        return CroppedMask.empty(shape)
    i, j, k = (outer.start + part.start for outer, part in zip(box, inner, strict=True))
    return CroppedMask(np.ascontiguousarray(chosen[inner]), (i, j, k), shape)


def describe(rules: Rules, votes: Votes, ties: int, remark: str = "") -> str:
    """What a reader has to know of a consensus."""
    raters, disputed = len(votes.marks), int(np.count_nonzero(votes.disputed))
    around = f"{rules.margin} voxel{'' if rules.margin == 1 else 's'} around"
    how = {
        Method.MAJORITY: f"Majority of {raters} raters",
        Method.STAPLE: f"STAPLE of {raters} raters on the voxels in dispute and {around}",
        Method.ANY: f"All that any of {raters} raters marked",
        Method.ALL: f"Only what all {raters} raters marked",
    }[rules.method]
    parts = [f"{how}; {disputed} voxels were in dispute."]
    if ties:
        parts.append(f"{ties} of them were tied and became {rules.ties.value}.")
    if votes.slices is not None:
        parts.append(f"Made on the {len(votes.slices.indices)} slices that all raters drew; empty elsewhere.")
    if rules.method is Method.STAPLE and raters == 2:
        parts.append("Two raters do not tell which of them is right: STAPLE's result rests on its prior.")
    return " ".join([*parts, remark]).strip()


def chance_remark(raters: Sequence[RaterPerformance]) -> str:
    """Who is no better than chance where the dispute is; raters count from 1."""
    poor = [str(n) for n, rater in enumerate(raters, start=1) if rater.sensitivity + rater.specificity <= 1]
    if not poor:
        return ""
    who = f"rater{'s' if len(poor) > 1 else ''} {', '.join(poor)}"
    return f"STAPLE finds {who} no better than chance in this region: look at the masks."


def check_raters(raters: int) -> None:
    """InputError with fewer than two."""
    if raters < 2:
        raise InputError(f"A consensus needs the masks of two raters or more; there {_number(raters)}.")


def _choice(kind: type[_Chosen], value: _Chosen | str) -> _Chosen:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(option.value for option in kind)
        raise InputError(f"{value!r} is none of {known}.") from None


def _number(raters: int) -> str:
    return {0: "is none", 1: "is one"}.get(raters, f"are {raters}")
