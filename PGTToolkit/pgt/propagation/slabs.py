"""Slabs: runs of slices that are filled together, and how one is filled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pgt.propagation.assembly import SoftAggregation
from pgt.propagation.confidence import expected_dice
from pgt.propagation.filling import CERTAIN, FilledSlices, Filler
from pgt.propagation.regions import Region, region_around, shared_regions
from pgt.propagation.stack import Opening, Stack

LEAST_CONFIDENCE = 0.6
"""Beyond the last annotated slice a structure is followed while its slices' expected Dice is above this."""


class Counter(Protocol):
    """Takes note of slices done; raises Cancelled when the user wants to stop."""

    def advance(self, slices: int) -> None: ...


@dataclass(frozen=True)
class Slab:
    """Openings that overlap, and the slices ``first`` to ``last`` (inclusive) that they cover together."""

    openings: tuple[Opening, ...]

    @property
    def first(self) -> int:
        return min(opening.first for opening in self.openings)

    @property
    def last(self) -> int:
        return max(opening.last for opening in self.openings)

    @property
    def slices(self) -> int:
        """Slices to fill, each counted once for every opening."""
        return sum(opening.last - opening.first + 1 for opening in self.openings)

    def fingerprint(self, stack: Stack) -> str:
        """Changes whenever anything does that the slab's result depends on, the image apart."""
        read = [index for opening in self.openings for index in opening.memory]
        parts = [opening.fingerprint(stack) for opening in self.openings]
        parts.append(stack.fingerprint(min(self.first, *read), max(self.last, *read)))
        return hashlib.sha256("".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class FilledSlab:
    """Labels and uncertainty (slices, rows, columns) of a slab, and the confidence of its slices.

    ``confidence`` holds the slices that were filled; beyond the end of a structure there are none. ``ends``
    holds for each label how many slices it was followed beyond its first (negative) or last annotated slice.
    """

    labels: NDArray[np.integer]
    uncertainty: NDArray[np.float32]
    confidence: Mapping[int, float]
    ends: tuple[tuple[int, int], ...]


def slabs_of(openings: Sequence[Opening]) -> list[Slab]:
    """Join openings that share a slice; ``openings`` are in order of their first slice."""
    groups: list[list[Opening]] = []
    last = -1
    for opening in openings:
        if not groups or opening.first > last:
            groups.append([])
        groups[-1].append(opening)
        last = max(last, opening.last)
    return [Slab(tuple(group)) for group in groups]


def fill_slab(stack: Stack, slab: Slab, filler: Filler, counter: Counter) -> FilledSlab:
    """Fill every opening of a slab and let the labels compete."""
    work = _SlabInProgress(stack, slab)
    for opening in slab.openings:
        regions = _regions(stack, opening)
        share = 1 / max(len(regions), 1)
        left = opening.last - opening.first + 1
        done = 0.0
        for region, values in regions:
            walk = _Walk(stack, opening, region, values)
            for part in filler.fill(stack, opening, region, values):
                walk.follow(part, work)
                done += share * len(part.indices)
                counter.advance(int(done))
                left, done = left - int(done), done - int(done)
                if walk.ended:
                    break
            work.ends.extend(walk.ends())
        counter.advance(left)
    return work.result()


def _regions(stack: Stack, opening: Opening) -> list[tuple[Region, tuple[int, ...]]]:
    """Where to look for each label, labels that lie together sharing a region."""
    whole = slice(0, stack.image.shape[1]), slice(0, stack.image.shape[2])
    alone = {}
    for value in opening.values:
        region = region_around(stack.masks([value], opening.memory, whole))
        if region is not None:
            alone[value] = region
    return shared_regions(alone)


@dataclass
class _SlabInProgress:
    """What has been filled of a slab so far."""

    stack: Stack
    slab: Slab
    ends: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows, columns = self.stack.image.shape[1:]
        shape = (self.slab.last - self.slab.first + 1, rows, columns)
        self._confidences: dict[int, list[float]] = {}
        self._aggregation = SoftAggregation(shape, self.stack.labels.dtype)

    def add(self, value: int, index: int, region: Region, logits: NDArray[np.float32]) -> None:
        self._aggregation.add(value, index - self.slab.first, region.box, logits)

    def note(self, index: int, confidence: float) -> None:
        """A slice is as trustworthy as its labels are on average."""
        self._confidences.setdefault(index, []).append(confidence)

    def result(self) -> FilledSlab:
        self._add_drawn()
        shape = (self.slab.last - self.slab.first + 1, *self.stack.image.shape[1:])
        labels = np.zeros(shape, self.stack.labels.dtype)
        uncertainty = np.zeros(shape, np.float32)
        for place in range(shape[0]):
            labels[place], uncertainty[place] = self._aggregation.result(place)
        confidence = {index: float(np.mean(values)) for index, values in self._confidences.items()}
        return FilledSlab(labels, uncertainty, confidence, tuple(self.ends))

    def _add_drawn(self) -> None:
        """Labels that are annotated on a slice where others are to be filled in."""
        for value, annotated in self.stack.annotated.items():
            for index in annotated:
                drawn = self.stack.labels[index] == value
                if self.slab.first <= index <= self.slab.last and drawn.any():
                    box = _box_around(drawn)
                    logits = np.where(drawn[box], CERTAIN, -CERTAIN).astype(np.float32)
                    self._aggregation.add(value, index - self.slab.first, box, logits)


def _box_around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns of a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


class _Walk:
    """Follows the labels of one region through an opening, and beyond an end decides where each one stops."""

    def __init__(self, stack: Stack, opening: Opening, region: Region, values: tuple[int, ...]) -> None:
        self.opening, self.region, self.values = opening, region, values
        sizes = stack.masks(values, opening.memory, region.box).sum(axis=(2, 3))
        self._typical_voxels = {
            value: float(drawn[drawn > 0].mean()) for value, drawn in zip(values, sizes, strict=True)
        }
        self._stopped: set[int] = set()
        self._followed = dict.fromkeys(values, 0)

    def ends(self) -> list[tuple[int, int]]:
        """How far each label was followed beyond the last annotated slice, see FilledSlab."""
        direction = -1 if self.opening.before is None else 1
        return [
            (value, direction * count) for value, count in self._followed.items() if self.opening.one_sided
        ]

    @property
    def ended(self) -> bool:
        return len(self._stopped) == len(self.values)

    def follow(self, part: FilledSlices, work: _SlabInProgress) -> None:
        places = range(len(part.indices))
        for place in reversed(places) if self.opening.before is None else places:
            for number, value in enumerate(self.values):
                if value not in self._stopped:
                    self._take(value, part.indices[place], part.logits[number, place], work)

    def _take(self, value: int, index: int, logits: NDArray[np.float32], work: _SlabInProgress) -> None:
        confidence = expected_dice(logits, self._typical_voxels[value])
        if self.opening.one_sided and (confidence < LEAST_CONFIDENCE or not (logits > 0).any()):
            self._stopped.add(value)
            return
        work.add(value, index, self.region, logits)
        work.note(index, confidence)
        self._followed[value] += 1
