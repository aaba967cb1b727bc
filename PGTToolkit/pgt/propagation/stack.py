"""A volume and its annotation as a stack of slices: what every way of filling works on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SparseAnnotation
from pgt.propagation.turning import Turn
from pgt.propagation.windowing import Windowing
from pgt.volume import Volume

REACH = 3
"""Annotated slices on either side that a gap reads; so a changed slice concerns few gaps."""


@dataclass(frozen=True)
class Stack:
    """Turned views of image and annotation, propagation axis first.

    ``image`` and ``labels`` are (slices, rows, columns). ``annotated`` holds the annotated slices of each
    label along the propagation axis, ``crossing`` its annotated rows and columns: slices drawn along the
    other two axes.
    """

    image: NDArray[Any]
    labels: NDArray[Any]
    annotated: Mapping[int, tuple[int, ...]]
    crossing: Mapping[int, tuple[tuple[int, ...], tuple[int, ...]]]
    spacing: tuple[float, float, float]
    """mm between slices, rows and columns."""
    windowing: Windowing

    @classmethod
    def of(cls, volume: Volume, annotation: SparseAnnotation, turn: Turn, windowing: Windowing) -> Stack:
        """Turn a volume and its annotation."""
        shape = [volume.voxels.shape[axis] for axis in turn.axes]

        def turned(value: int, place: int) -> tuple[int, ...]:
            indices = annotation.slices[value].get(turn.axes[place], ())
            return tuple(sorted(turn.index(index, shape[place], place) for index in indices))

        spacing = volume.geometry.spacing
        return cls(
            image=turn.apply(volume.voxels),
            labels=turn.apply(annotation.label_map.voxels),
            annotated={value: turned(value, 0) for value in annotation.labels},
            crossing={value: (turned(value, 1), turned(value, 2)) for value in annotation.labels},
            spacing=(spacing[turn.axes[0]], spacing[turn.axes[1]], spacing[turn.axes[2]]),
            windowing=windowing,
        )

    @property
    def thickness(self) -> float:
        """Distance between slices in pixels of the slice."""
        return self.spacing[0] / float(np.sqrt(self.spacing[1] * self.spacing[2]))

    def masks(
        self, values: Sequence[int], indices: Sequence[int], box: tuple[slice, slice]
    ) -> NDArray[np.bool_]:
        """(len(values), len(indices), rows, columns): where annotated slices show each label."""
        planes = self.labels[list(indices)][:, box[0], box[1]]
        return np.stack([planes == value for value in values])

    def intensities(self, indices: Sequence[int], box: tuple[slice, slice]) -> NDArray[np.float32]:
        """(len(indices), rows, columns) of the image."""
        return np.stack([self.image[index][box] for index in indices]).astype(np.float32)

    def known(
        self, values: Sequence[int], indices: Sequence[int], box: tuple[slice, slice]
    ) -> NDArray[np.int8]:
        """(len(values), len(indices), rows, columns): 1 annotated inside, -1 annotated outside, 0 unknown."""
        shape = (box[0].stop - box[0].start, box[1].stop - box[1].start)
        known = np.zeros((len(values), len(indices), *shape), np.int8)
        for number, value in enumerate(values):
            rows, columns = self.crossing[value]
            seen = np.zeros((len(indices), *shape), bool)
            seen[[place for place, index in enumerate(indices) if index in self.annotated[value]]] = True
            seen[:, [row - box[0].start for row in rows if box[0].start <= row < box[0].stop]] = True
            seen[:, :, [c - box[1].start for c in columns if box[1].start <= c < box[1].stop]] = True
            if seen.any():
                inside = self.masks([value], indices, box)[0]
                known[number] = np.where(seen, np.where(inside, 1, -1), 0)
        return known

    def without(self, index: int) -> Stack:
        """The same stack, as if nobody had annotated the slice ``index``."""
        rest = {
            value: tuple(other for other in annotated if other != index)
            for value, annotated in self.annotated.items()
        }
        return replace(self, annotated=rest)

    def fingerprint(self, first: int, last: int) -> str:
        """Changes whenever anything annotated on the slices ``first`` to ``last`` (inclusive) does.

        Slices drawn along the other two axes count as far as they reach into this run.
        """
        part = self.labels[first : last + 1]
        text = hashlib.sha256()
        for value, annotated in self.annotated.items():
            within = tuple(index - first for index in annotated if first <= index <= last)
            text.update(repr((value, within, self.crossing[value])).encode())
            for place, indices in enumerate((within, *self.crossing[value])):
                # Not `take`, which would first copy the whole part.
                text.update((np.moveaxis(part, place, 0)[list(indices)] == value).tobytes())
        return text.hexdigest()


@dataclass(frozen=True)
class Opening:
    """A run of slices to fill in, for the labels that are annotated on just the same slices around it.

    ``before`` and ``after`` are the bounding annotated slices, None beyond the first or last one. Slices
    ``first`` to ``last`` (inclusive) are to be filled in; ``memory`` are the annotated slices to learn from.
    """

    values: tuple[int, ...]
    before: int | None
    after: int | None
    first: int
    last: int
    memory: tuple[int, ...]

    @property
    def one_sided(self) -> bool:
        """Whether it lies beyond the first or last annotated slice."""
        return self.before is None or self.after is None

    @property
    def bounds(self) -> tuple[int, ...]:
        """The bounding annotated slices."""
        return tuple(bound for bound in (self.before, self.after) if bound is not None)

    def distances(self, indices: Sequence[int]) -> NDArray[np.float64]:
        """(len(indices),) slices to the nearest bounding annotated slice."""
        return np.min([np.abs(np.asarray(indices) - bound) for bound in self.bounds], axis=0).astype(float)

    def fingerprint(self, stack: Stack) -> str:
        """Changes whenever the annotated slices to learn from do, or what is to be filled in."""
        whole = slice(0, stack.labels.shape[1]), slice(0, stack.labels.shape[2])
        text = hashlib.sha256(repr(self).encode())
        text.update(stack.masks(self.values, self.memory, whole).tobytes())
        return text.hexdigest()


def openings(stack: Stack) -> list[Opening]:
    """Everything that is to be filled in, in the order of the slices."""
    found = []
    cohorts: dict[tuple[int, ...], list[int]] = {}
    for value, annotated in stack.annotated.items():
        if annotated:
            cohorts.setdefault(annotated, []).append(value)
    for annotated, values in cohorts.items():
        bounds: list[int | None] = [None, *annotated, None]
        for before, after in pairwise(bounds):
            first = 0 if before is None else before + 1
            last = len(stack.image) - 1 if after is None else after - 1
            shown = _shown(stack, values, [bound for bound in (before, after) if bound is not None])
            if first <= last and shown:
                found.append(Opening(shown, before, after, first, last, _nearest(annotated, first, last)))
    return sorted(found, key=lambda opening: (opening.first, opening.last, opening.values))


def _shown(stack: Stack, values: Sequence[int], bounds: Sequence[int]) -> tuple[int, ...]:
    """The labels seen on a bounding slice; one that is absent on both sides does not come in between."""
    present = {int(value) for bound in bounds for value in np.unique(stack.labels[bound])}
    return tuple(value for value in values if value in present)


def _nearest(annotated: Sequence[int], first: int, last: int) -> tuple[int, ...]:
    below = [index for index in annotated if index < first][-REACH:]
    above = [index for index in annotated if index > last][:REACH]
    return (*below, *above)
