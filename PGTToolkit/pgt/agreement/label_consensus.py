"""Consensus on several labels at once, where a voxel has one label at most.

Labels that touch are in dispute with each other, not only with the background: decided one by one, two of
them could both win a voxel, or none. Structures that overlap are decided one by one (:func:`.consensus`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.consensus import (
    NO_SOLUTION,
    Consensus,
    Method,
    RaterPerformance,
    Rules,
    chance_remark,
    describe,
    grown,
    performance,
    placed,
)
from pgt.agreement.masks import Box, CroppedMask, Mask
from pgt.agreement.readings import DrawnSlices
from pgt.agreement.votes import Votes, collect_votes
from pgt.errors import InputError
from pgt.geometry import Shape

BACKGROUND = 0


@dataclass(frozen=True, eq=False)
class _Dispute:
    """The raters' label numbers (0 is background, then in the order of the names) where they matter.

    Args:
        box: what holds every mark, with the margin.
        numbers: (R, i, j, k) on the box.
        disputed: voxels of the box where the numbers are not all the same.
        region: those and the margin.
    """

    box: Box
    numbers: NDArray[np.uint16]
    disputed: Mask
    region: Mask


@dataclass(frozen=True, eq=False)
class _Decided:
    """What became of the N voxels of the region, for L numbers.

    Args:
        numbers: (N), background where undecided.
        undecided: (N) no number is more probable than all others.
        probability: (N, L).
        performances: for each number, background too, one a rater.
        remark: what to mind.
    """

    numbers: NDArray[np.uint16]
    undecided: Mask
    probability: NDArray[np.float64]
    performances: tuple[tuple[RaterPerformance, ...], ...]
    remark: str = ""


def consensus_of_labels(
    raters: Sequence[Mapping[str, CroppedMask]],
    rules: Rules,
    drawn: Sequence[DrawnSlices | None] | None = None,
) -> dict[str, Consensus]:
    """A consensus for every label, no two of which share a voxel.

    A voxel whose most probable (or most voted) label is not the only one becomes background; it counts as a
    tie of every label that some rater gave it. The region in which raters' performances are counted is that
    of all labels together. With the majority, the label with most votes wins, be it fewer than half.

    Raises:
        InputError: a label is missing for a rater, labels overlap, or the method is any or all.
    """
    if rules.method not in (Method.MAJORITY, Method.STAPLE):
        raise InputError(f"Labels that exclude each other cannot be joined by {rules.method.value!r}.")
    names = _names(raters)
    votes = [collect_votes([rater[name] for rater in raters], drawn, rules.margin) for name in names]
    dispute = _dispute(names, votes, rules.margin)
    decided = _decide(dispute.numbers[:, dispute.region], len(names) + 1, rules.method)
    shape = raters[0][names[0]].shape
    return {
        name: _of_label(number, votes[number - 1], dispute, decided, rules, shape)
        for number, name in enumerate(names, start=1)
    }


def _names(raters: Sequence[Mapping[str, CroppedMask]]) -> tuple[str, ...]:
    names = tuple(raters[0])
    for number, rater in enumerate(raters, start=1):
        lacking = [
            name for name in dict.fromkeys(name for other in raters for name in other) if name not in rater
        ]
        if lacking:
            raise InputError(
                f"Rater {number} lacks {', '.join(lacking)}; a joint consensus needs every label of all."
            )
    if not names:
        raise InputError("There is no label to make a consensus on.")
    return names


def _dispute(names: Sequence[str], votes: Sequence[Votes], margin: int) -> _Dispute:
    i, j, k = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*([found.box for found in votes if found.marks.size] or [votes[0].box]), strict=True)
    )
    box = (i, j, k)
    numbers = np.zeros((len(votes[0].marks), *(part.stop - part.start for part in box)), np.uint16)
    for number, found in enumerate(votes, start=1):
        i, j, k = _inside(found.box, box)
        here = numbers[:, i, j, k]
        clash = found.marks & (here != BACKGROUND)
        if clash.any():
            rater = int(np.nonzero(clash)[0][0])
            other = names[int(here[clash][0]) - 1]
            raise InputError(
                f"{other} and {names[number - 1]} overlap in rater {rater + 1}'s segmentation: structures "
                "that overlap need a consensus each."
            )
        here[found.marks] = number
    disputed = np.asarray((numbers != numbers[:1]).any(axis=0))
    slices = Votes(numbers[:0].astype(bool), box, votes[0].slices)
    return _Dispute(box, numbers, disputed, slices.on_counted_slices(grown(disputed, margin)))


def _inside(inner: Box, outer: Box) -> Box:
    i, j, k = (
        slice(part.start - whole.start, part.stop - whole.start) if part.stop > part.start else slice(0, 0)
        for part, whole in zip(inner, outer, strict=True)
    )
    return i, j, k


def _decide(numbers: NDArray[np.uint16], count: int, method: Method) -> _Decided:
    """Numbers (R, N) of ``count`` labels, background included."""
    if method is Method.MAJORITY or not numbers.size:
        return _by_votes(numbers, count)
    from pgt.agreement.staple import multi_label_staple

    used, compact = np.unique(numbers, return_inverse=True)
    found = multi_label_staple(compact.reshape(numbers.shape), len(used))
    if found is None:
        return replace(_by_votes(numbers, count), remark=NO_SOLUTION)
    undecided = found.labels == len(used)
    probability = np.zeros((numbers.shape[1], count))
    probability[:, used] = found.probability
    labels = np.where(undecided, BACKGROUND, used[np.minimum(found.labels, len(used) - 1)]).astype(np.uint16)
    performances = tuple(
        tuple(performance(row == number, probability[:, number]) for row in numbers)
        for number in range(count)
    )
    remarks = (chance_remark(performances[number]) for number in used if number != BACKGROUND)
    return _Decided(labels, undecided, probability, performances, next(filter(None, remarks), ""))


def _by_votes(numbers: NDArray[np.uint16], count: int) -> _Decided:
    shares = np.stack([(numbers == number).mean(axis=0) for number in range(count)], axis=1)
    undecided = np.count_nonzero(shares == shares.max(axis=1, keepdims=True), axis=1) > 1
    chosen = np.where(undecided, BACKGROUND, shares.argmax(axis=1)).astype(np.uint16)
    performances = tuple(
        tuple(performance(row == number, (chosen == number).astype(float)) for row in numbers)
        for number in range(count)
    )
    return _Decided(chosen, undecided, shares, performances)


def _of_label(
    number: int, votes: Votes, dispute: _Dispute, decided: _Decided, rules: Rules, shape: Shape
) -> Consensus:
    """One label's part. A voxel on which all raters agree stays as they drew it."""
    chosen = dispute.numbers[0] == number
    probability = chosen.astype(np.float32)
    in_question = dispute.disputed[dispute.region]
    chosen[dispute.disputed] = decided.numbers[in_question] == number
    probability[dispute.disputed] = decided.probability[in_question, number]
    marked = (dispute.numbers == number).any(axis=0)[dispute.disputed]
    ties = int(np.count_nonzero(decided.undecided[in_question] & marked))
    own = _inside(votes.box, dispute.box)
    return Consensus(
        mask=placed(chosen[own], votes.box, shape),
        probability=(votes.box, probability[own]),
        ties=ties,
        disputed=int(np.count_nonzero(votes.disputed)),
        region=int(np.count_nonzero(dispute.region)),
        raters=decided.performances[number],
        slices=votes.slices,
        note=describe(rules, votes, ties, decided.remark),
    )
