"""The propagation stage: masks of the reference stage, taken as if drawn, propagated through the volume.

FLARE22 seed, section 2.2. Where the networks looked at all slices and no number of slices is asked for, every
slice that shows a structure takes part in turn: the masks of every other one are propagated to those between,
and the other way round. So each slice gets a second opinion from its neighbours, which is weighed against
what the networks say of it. Measured on hippocampi this is better than the networks alone, while propagation
from a few of their masks, as published, is not (docs/automatic-path.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SparseAnnotation
from pgt.propagation.engine import PropagationSettings, propagate
from pgt.reference.selection import Selection
from pgt.reference.slice_opinions import IsCancelled, Report, SliceOpinions
from pgt.volume import LabelMap, Segment, Volume

if TYPE_CHECKING:
    from pgt.propagation.turning import Turn


@dataclass(frozen=True, eq=False)
class Arrived:
    """What came by propagation, arrays (slices, rows, columns) of the whole turned volume.

    Args:
        labels: label values.
        doubt: float32, the probability that they are wrong.
        messages: what the user should know.
    """

    labels: NDArray[Any]
    doubt: NDArray[np.float32]
    messages: tuple[str, ...]


class Propagating:
    """Propagates masks of one volume.

    Args:
        volume: the image.
        opinions: of the networks, whose masks are propagated.
        segments: that the masks may show.
        turn: from the volume's [i, j, k] to the opinions' (slices, rows, columns).
        settings: of the propagation; the axis is the turn's.
        progress: told after every few slices.
        cancelled: asked after every few slices.
    """

    def __init__(
        self,
        volume: Volume,
        opinions: SliceOpinions,
        segments: tuple[Segment, ...],
        turn: Turn,
        settings: PropagationSettings,
        progress: Report,
        cancelled: IsCancelled,
    ) -> None:
        self._volume, self._opinions, self._turn = volume, opinions, turn
        self._settings, self._progress, self._cancelled = settings, progress, cancelled
        self._size = volume.geometry.shape[turn.axes[0]]
        masks, self._own_doubt = opinions.spread(self._size)
        self._masks = masks
        self._drawn = LabelMap(np.ascontiguousarray(turn.undo(masks)), volume.geometry, segments)

    def from_selected(self, selection: Selection) -> Arrived:
        """From the selected masks to all other slices."""
        return self._run(selection.annotated())

    def crossed(self, selection: Selection) -> Arrived:
        """To every selected slice from its neighbours: twice, with every other one left out.

        On a slice that was left out, a structure that no other slice shows is taken from the slice itself:
        of it propagation knows nothing.
        """
        drawn = selection.drawn
        if len(drawn) < 2:
            return self.from_selected(selection)
        runs = [self._without(selection, drawn[half::2]) for half in (0, 1)]
        labels, doubt = runs[1].labels.copy(), runs[1].doubt.copy()
        left_out = list(drawn[0::2])
        labels[left_out], doubt[left_out] = runs[0].labels[left_out], runs[0].doubt[left_out]
        return Arrived(labels, doubt, tuple(dict.fromkeys((*runs[0].messages, *runs[1].messages))))

    def _without(self, selection: Selection, left_out: tuple[int, ...]) -> Arrived:
        away = set(left_out)
        known = {
            value: tuple(index for index in indices if index not in away)
            for value, indices in selection.annotated().items()
        }
        shown = [value for value, indices in known.items() if np.any(self._masks[list(indices)] == value)]
        arrived = self._run({value: known[value] for value in shown})
        unknown = ~np.isin(self._masks, (0, *shown))
        labels = np.where(unknown, self._masks, arrived.labels)
        return Arrived(labels, np.where(unknown, self._own_doubt, arrived.doubt), ())

    def _run(self, known: Mapping[int, tuple[int, ...]]) -> Arrived:
        axis = self._turn.axes[0]
        original = {
            value: {axis: tuple(self._turn.index(index, self._size) for index in indices)}
            for value, indices in known.items()
        }
        result = propagate(
            self._volume,
            SparseAnnotation(self._drawn, original),
            self._settings,
            progress=self._progress,
            cancelled=self._cancelled,
        )
        labels = self._turn.apply(result.label_map.voxels)
        return Arrived(labels, self._turn.apply(result.uncertainty), result.messages)


def weighed(
    opinions: SliceOpinions, arrived: Arrived, weight: float, classes: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Both stages' opinions together: the label with the largest sum of probabilities, propagation's weighed.

    Args:
        opinions: of the networks, on some slices or all; on others what arrived stands alone.
        arrived: by propagation; its doubt is shared evenly by all other classes.
        weight: of propagation.
        classes: background included.

    Returns:
        Labels and the probability that they are wrong, both (slices, rows, columns).
    """
    labels, wrong = arrived.labels.copy(), arrived.doubt.copy()
    where = list(opinions.slices)
    there, doubt = labels[where], wrong[where]
    rest = doubt / (classes - 1)
    for_arrived = opinions.probability_of(there) + weight * (1 - doubt)
    for_own = opinions.probability + weight * np.where(there == opinions.labels, 1 - doubt, rest)
    taken = for_arrived > for_own
    labels[where] = np.where(taken, there, opinions.labels)
    wrong[where] = np.clip(1 - np.where(taken, for_arrived, for_own) / (1 + weight), 0, 1)
    return labels, wrong
