"""What the reference networks say of a volume's slices, a few slices at a time.

All classes of all voxels would take as much memory as a volume for every class. What later steps ask for is
the likeliest class, the next one, and their probabilities, so that is what is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import Cancelled
from pgt.progress import Progress

if TYPE_CHECKING:
    from pgt.reference.reference_model import ReferenceModel
    from pgt.reference.slices import WindowedSlices

Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]

_PIXELS_AT_ONCE = 1 << 18
"""Slices are asked for together up to this many pixels; a wish to stop is heard in between."""


@dataclass(frozen=True, eq=False)
class SliceOpinions:
    """The likeliest labels on some slices, arrays (slices, rows, columns).

    Args:
        slices: their indices along the turned axis, ascending.
        labels: the likeliest label value of each pixel, 0 for background.
        probability: of it, float32.
        others: the label value that comes next.
        others_probability: of that one, float32.
    """

    slices: tuple[int, ...]
    labels: NDArray[Any]
    probability: NDArray[np.float32]
    others: NDArray[Any]
    others_probability: NDArray[np.float32]

    def probability_of(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """The probability of any label on every pixel; beyond the first two, the most that is left for it."""
        left = np.clip(1 - self.probability - self.others_probability, 0, self.others_probability)
        second = np.where(labels == self.others, self.others_probability, left)
        return np.where(labels == self.labels, self.probability, second)

    def spread(self, size: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Labels, and the probability that they are wrong, on all ``size`` slices; on others background."""
        shape = (size, *self.labels.shape[1:])
        labels, doubt = np.zeros(shape, self.labels.dtype), np.zeros(shape, np.float32)
        where = list(self.slices)
        labels[where], doubt[where] = self.labels, 1 - self.probability
        return labels, doubt


def opinions_on(
    model: ReferenceModel,
    cut: WindowedSlices,
    slices: Sequence[int],
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> SliceOpinions:
    """Ask a model for some slices of a volume.

    Args:
        model: both networks.
        cut: the volume's slices.
        slices: which of them, ascending.
        progress: told after every few slices.
        cancelled: asked before every few slices.

    Raises:
        Cancelled: ``cancelled`` returned true.
    """
    values = label_values(model)
    shape = (len(slices), *cut.images.shape[2:])
    labels, others = np.zeros(shape, values.dtype), np.zeros(shape, values.dtype)
    first, second = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    began = time.monotonic()
    for part, chosen in batches(cut, slices, cancelled):
        found = model.probabilities(cut.images[chosen], cut.positions[chosen])
        best = _taken(found, labels, first, values, part)
        np.put_along_axis(found, best, -1.0, axis=1)
        _taken(found, others, second, values, part)
        done = part.stop
        progress(Progress(done, len(slices), time.monotonic() - began, f"{done} of {len(slices)} slices"))
    return SliceOpinions(tuple(slices), labels, first, others, second)


def batches(
    cut: WindowedSlices, slices: Sequence[int], cancelled: IsCancelled
) -> Iterator[tuple[slice, list[int]]]:
    """A few slices at a time: their places among ``slices``, and themselves. Raises Cancelled."""
    together = max(_PIXELS_AT_ONCE // (cut.images.shape[2] * cut.images.shape[3]), 1)
    for start in range(0, len(slices), together):
        if cancelled():
            raise Cancelled
        part = slice(start, min(start + together, len(slices)))
        yield part, list(slices[part])


def label_values(model: ReferenceModel) -> NDArray[Any]:
    """The label value of every channel of a model, background first, in the smallest type for them."""
    values = (0, *model.card.values)
    return np.array(values, dtype=np.min_scalar_type(max(values)))


def _taken(
    found: NDArray[np.float32],
    labels: NDArray[Any],
    probability: NDArray[np.float32],
    values: NDArray[Any],
    part: slice,
) -> NDArray[np.intp]:
    """Enter the likeliest class of each pixel; its channel, (slices, 1, rows, columns)."""
    best = found.argmax(axis=1, keepdims=True)
    labels[part] = values[best[:, 0]]
    probability[part] = np.take_along_axis(found, best, axis=1)[:, 0]
    return best
