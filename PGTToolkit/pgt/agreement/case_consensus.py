"""The consensus on all structures of a case, as one label map.

Labels that exclude each other in every rater's segmentation are decided together, so that no voxel goes to
two of them; others, and what any or all raters marked, one by one. Where two of these come to claim a voxel,
a label map cannot hold the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.consensus import Consensus, Method, consensus_of_readings, multi_label
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import Reading
from pgt.agreement.votes import first_sessions
from pgt.errors import InputError
from pgt.geometry import Shape


@dataclass(frozen=True, eq=False)
class CaseConsensus:
    """What several raters come to in one case.

    Args:
        labels: the consensus on each label.
        together: whether the labels were decided together.
        messages: what to mind, one sentence each.
    """

    labels: Mapping[str, Consensus]
    together: bool
    messages: tuple[str, ...]

    def label_voxels(self, values: Mapping[str, int], shape: Shape) -> NDArray[np.unsignedinteger]:
        """The result as one array [i, j, k].

        Args:
            values: value of each label.
            shape: of the volume.

        Raises:
            InputError: two labels claim a voxel.
        """
        voxels = np.zeros(shape, np.min_scalar_type(max(values.values())), order="F")
        names = {value: label for label, value in values.items()}
        for label, found in self.labels.items():
            if found.mask.is_empty:
                continue
            here = voxels[found.mask.box]
            taken = here[found.mask.voxels & (here != 0)]
            if taken.size:
                raise InputError(
                    f"{names[int(taken[0])]} and {label} share {taken.size} voxels of the consensus, which a "
                    "label map cannot hold; make one of each structure by itself (--label)."
                )
            here[found.mask.voxels] = values[label]
        return voxels

    def probability(self, shape: Shape) -> NDArray[np.float32]:
        """For each voxel [i, j, k] the probability of the label that is most probable there, 0 to 1."""
        highest = np.zeros(shape, np.float32, order="F")
        for found in self.labels.values():
            box, values = found.probability
            np.maximum(highest[box], values, out=highest[box])
        return highest


def case_consensus(
    readings: Sequence[Reading], method: Method | str = Method.STAPLE, labels: Sequence[str] | None = None
) -> CaseConsensus:
    """The consensus of the raters of one case; each has one voice, that of the first session.

    Args:
        readings: of one case, on one grid.
        method: see :class:`pgt.agreement.consensus.Method`.
        labels: the labels wanted; None for all that two raters have.

    Raises:
        InputError: a label is not known or only one rater has it, or no label is shared.
    """
    voices = first_sessions(readings)
    counts: dict[str, int] = {}
    for voice in voices:
        for label in voice.labels:
            counts[label] = counts.get(label, 0) + 1
    for label in labels or ():
        if label not in counts:
            raise InputError(f"There is no label {label!r}; the labels are {', '.join(counts)}.")
    wanted = [label for label in (labels or counts) if labels or counts[label] > 1]
    if not wanted:
        raise InputError("No two raters have a label in common.")
    alone = [label for label in counts if not labels and counts[label] == 1]
    messages = [f"Only one rater has {label}; it is left out." for label in alone]
    messages += [
        f"{counts[label]} of {len(voices)} raters have {label}; the others have no voice on it."
        for label in wanted
        if counts[label] < len(voices)
    ]
    together = _decided_together(voices, wanted, Method(method))
    found = _together(voices, wanted, method) if together else _one_by_one(voices, wanted, method)
    return CaseConsensus(found, together, tuple(messages))


def _together(voices: Sequence[Reading], labels: Sequence[str], method: Method | str) -> dict[str, Consensus]:
    found = multi_label(
        [{label: voice.masks[label] for label in labels} for voice in voices],
        method,
        drawn=[voice.drawn.get(labels[0]) for voice in voices],
    )
    return {label: _with_names(one, voices) for label, one in found.items()}


def _with_names(found: Consensus, voices: Sequence[Reading]) -> Consensus:
    named = (
        replace(rater, rater=voice.sitting.rater) for rater, voice in zip(found.raters, voices, strict=True)
    )
    return replace(found, raters=tuple(named))


def _one_by_one(
    voices: Sequence[Reading], labels: Sequence[str], method: Method | str
) -> dict[str, Consensus]:
    return {label: consensus_of_readings(voices, label, method) for label in labels}


def _decided_together(voices: Sequence[Reading], labels: Sequence[str], method: Method) -> bool:
    """Whether the labels are such that each voxel has one at most, and all are known on the same slices."""
    if len(labels) < 2 or method not in (Method.MAJORITY, Method.STAPLE):
        return False
    for voice in voices:
        if any(label not in voice.masks for label in labels):
            return False
        if any(voice.drawn.get(label) != voice.drawn.get(labels[0]) for label in labels):
            return False
        if _overlap([voice.masks[label] for label in labels], voice.geometry.shape):
            return False
    return True


def _overlap(masks: Sequence[CroppedMask], shape: Shape) -> bool:
    taken = np.zeros(shape, bool, order="F")
    for mask in masks:
        if mask.is_empty:
            continue
        here = taken[mask.box]
        if np.any(here & mask.voxels):
            return True
        here |= mask.voxels
    return False
