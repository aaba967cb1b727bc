"""Fill in the slices that nobody drew: from a volume and a sparse annotation to a label map.

The work falls into *slabs*, runs of slices that depend on a few annotated slices only. Each slab is computed
by itself; a slab on which nothing changed since a previous result is taken over from it, with the same
outcome.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import AXIS_NAMES, SliceState, SparseAnnotation
from pgt.errors import Cancelled, InputError
from pgt.progress import Progress
from pgt.propagation.confidence import next_slice
from pgt.propagation.contour_interpolation import interpolate_contour
from pgt.propagation.fillers import choose_filler
from pgt.propagation.filling import Filler
from pgt.propagation.left_out import unrest
from pgt.propagation.slabs import FilledSlab, Slab, fill_slab, slabs_of
from pgt.propagation.stack import Stack, openings
from pgt.propagation.turning import Turn, choose_turn
from pgt.propagation.windowing import Modality, choose_windowing
from pgt.volume import LabelMap, Volume

Method = Literal["auto", "network", "shape", "contour"]


@dataclass(frozen=True)
class PropagationSettings:
    """How to propagate.

    ``axis`` 0, 1 or 2 is the axis across the slices; None takes the one with most annotated slices. ``model``
    is a model's name or file.
    """

    axis: int | None = None
    method: Method = "auto"
    model: str = "default"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    modality: Modality = "auto"


@dataclass(frozen=True)
class SliceResult:
    """State and confidence (expected Dice, 0 to 1) of one slice along the propagation axis."""

    index: int
    state: SliceState | None
    confidence: float


@dataclass(frozen=True)
class SlabPrint:
    """What a slab was computed from, to tell whether it can be kept; indices along the axis."""

    first: int
    last: int
    fingerprint: str
    ends: tuple[tuple[int, int], ...] = ()
    """Label and number of slices it was followed beyond its first (negative) or last annotated slice."""


@dataclass(frozen=True, eq=False)
class PropagationResult:
    """A filled label map and what there is to say about it.

    ``uncertainty`` is float32 [i, j, k]: the probability that a voxel's label is wrong; 0 on annotated
    slices. ``slices`` holds the annotated slices and all that were filled, ascending. ``prints`` and
    ``source`` let a later run keep what has not changed.
    """

    label_map: LabelMap
    uncertainty: NDArray[np.float32]
    slices: tuple[SliceResult, ...]
    next_slice: int | None
    axis: int
    annotated: tuple[int, ...]
    method: str
    model: str
    device: str
    seconds: float
    messages: tuple[str, ...] = ()
    prints: tuple[SlabPrint, ...] = ()
    source: str = ""


def propagate(
    volume: Volume,
    annotation: SparseAnnotation,
    settings: PropagationSettings = PropagationSettings(),
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    previous: PropagationResult | None = None,
) -> PropagationResult:
    """Fill in the slices around and between the annotated ones.

    Args:
        volume: the image.
        annotation: a label map of the image's geometry and its annotated slices, which come back unchanged.
        settings: axis, method, model and device.
        progress: told after every few slices.
        cancelled: asked after every few slices.
        previous: an earlier result on the same volume; what has not changed since is taken over.

    Raises:
        InputError: the geometries differ, or nothing is annotated across the axis.
        CheckpointError: the model cannot be loaded.
        DeviceError: the device asked for is not there.
        Cancelled: ``cancelled`` returned true.
    """
    started = time.monotonic()
    difference = annotation.label_map.geometry.difference(volume.geometry)
    if difference is not None:
        raise InputError(f"The annotation does not lie on the image: {difference}.")
    axis = annotation.axis_with_most_slices if settings.axis is None else settings.axis
    if not annotation.annotated(axis):
        raise InputError(f"No slice is annotated across axis {AXIS_NAMES[axis]}.")
    turn = choose_turn(volume.voxels, volume.geometry.spacing, axis, annotation.label_map.voxels)
    windowing = choose_windowing(turn.apply(volume.voxels), settings.modality)
    stack = Stack.of(volume, annotation, turn, windowing)
    choice = choose_filler(settings.method, settings.model, settings.device)
    slabs = slabs_of(openings(stack))
    usable = previous if settings.method != "contour" else None
    keeper = _Keeper(usable, _source(volume, settings, turn, choice.key), turn)
    count = _Counter(sum(slab.slices for slab in slabs), started, progress, cancelled)

    canvas = _Canvas(stack, turn, annotation)
    for slab in slabs:
        fingerprint = slab.fingerprint(stack)
        filled = keeper.kept(slab, fingerprint, len(stack.image))
        if filled is None:
            filled = fill_slab(stack, slab, choice.filler, count)
        else:
            count.advance(slab.slices)
        canvas.paint(slab, filled, fingerprint)
    if settings.method == "contour":
        canvas.relabel(interpolate_contour(stack.labels, 0, stack.annotated, cancelled=cancelled))
    canvas.lock_annotated()
    return canvas.result(
        replace(settings, axis=axis), choice.model, choice.filler, time.monotonic() - started, keeper.source
    )


class _Counter:
    """Counts slices towards the total, tells of progress and stops when asked to."""

    def __init__(
        self,
        total: int,
        started: float,
        progress: Callable[[Progress], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.done, self.total, self.started = 0, total, started
        self._progress, self._cancelled = progress, cancelled
        self.check()

    def check(self) -> None:
        """Raise Cancelled where that was asked for."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled

    def advance(self, slices: int) -> None:
        self.check()
        self.done += slices
        if self._progress is not None:
            seconds = time.monotonic() - self.started
            self._progress(Progress(self.done, self.total, seconds, f"{self.done} of {self.total} slices"))


class _Keeper:
    """Takes slabs over from a previous result on the same volume with the same settings."""

    def __init__(self, previous: PropagationResult | None, source: str, turn: Turn) -> None:
        self.source = source
        self._previous = previous if previous is not None and previous.source == source else None
        self._turn = turn

    def kept(self, slab: Slab, fingerprint: str, size: int) -> FilledSlab | None:
        """The slab as it was filled before, None where it has to be computed."""
        if self._previous is None:
            return None
        first, last = sorted((self._turn.index(slab.first, size), self._turn.index(slab.last, size)))
        sought = (first, last, fingerprint)
        found = [
            made for made in self._previous.prints if (made.first, made.last, made.fingerprint) == sought
        ]
        if not found:
            return None
        labels = self._turn.apply(self._previous.label_map.voxels)[slab.first : slab.last + 1]
        uncertainty = self._turn.apply(self._previous.uncertainty)[slab.first : slab.last + 1]
        confidence = {
            self._turn.index(entry.index, size): entry.confidence
            for entry in self._previous.slices
            if first <= entry.index <= last and entry.state is SliceState.PROPAGATED
        }
        return FilledSlab(labels, uncertainty, confidence, found[0].ends)


class _Canvas:
    """The label map and uncertainty volume under construction, turned like the stack."""

    def __init__(self, stack: Stack, turn: Turn, annotation: SparseAnnotation) -> None:
        self._stack, self._turn, self._annotation = stack, turn, annotation
        voxels = annotation.label_map.voxels
        self._voxels = np.zeros_like(voxels)
        self._uncertainty = np.zeros_like(voxels, dtype=np.float32)
        self._labels = turn.apply(self._voxels)
        self._doubt_map = turn.apply(self._uncertainty)
        self._confidence: dict[int, float] = {}
        self._prints: list[SlabPrint] = []

    def paint(self, slab: Slab, filled: FilledSlab, fingerprint: str) -> None:
        self._labels[slab.first : slab.last + 1] = filled.labels
        self._doubt_map[slab.first : slab.last + 1] = filled.uncertainty
        self._confidence.update(filled.confidence)
        size = len(self._labels)
        first, last = sorted((self._turn.index(slab.first, size), self._turn.index(slab.last, size)))
        self._prints.append(SlabPrint(first, last, fingerprint, filled.ends))

    def relabel(self, labels: NDArray[Any]) -> None:
        """Take the labels of another method that knows no doubt: it is doubtful where the two disagree."""
        self._doubt_map[self._labels != labels] = 0.5
        self._labels[...] = labels

    def lock_annotated(self) -> None:
        """Annotated slices as they were drawn, for every label on its own."""
        for value in self._annotation.labels:
            for axis, indices in self._annotation.slices[value].items():
                for index in indices:
                    place: tuple[Any, ...] = (*[slice(None)] * axis, index)
                    drawn = self._annotation.label_map.voxels[place] == value
                    found = self._voxels[place]
                    found[(found == value) & ~drawn] = 0
                    found[drawn] = value
                    if all(
                        index in self._annotation.slices[v].get(axis, ()) for v in self._annotation.labels
                    ):
                        self._uncertainty[place] = 0

    def result(
        self, settings: PropagationSettings, model: str, filler: Filler, seconds: float, source: str
    ) -> PropagationResult:
        axis = settings.axis if settings.axis is not None else 0
        size = len(self._labels)
        annotated = self._annotation.annotated(axis)
        slices = {index: SliceResult(index, SliceState.ANNOTATED, 1.0) for index in annotated}
        doubt = {}
        for turned, confidence in self._confidence.items():
            index = self._turn.index(turned, size)
            if index not in slices or not self._complete(axis, index):
                slices[index] = SliceResult(index, SliceState.PROPAGATED, confidence)
                doubt[index] = float(self._doubt_map[turned].sum(dtype=np.float64))
        restless = {self._turn.index(at, size): rate for at, rate in unrest(self._stack).items()}
        label_map = replace(self._annotation.label_map, voxels=self._voxels)
        return PropagationResult(
            label_map=label_map,
            uncertainty=self._uncertainty,
            slices=tuple(slices[index] for index in sorted(slices)),
            next_slice=next_slice(dict(sorted(doubt.items())), annotated, restless),
            axis=axis,
            annotated=annotated,
            method=settings.method,
            model=model,
            device=filler.device,
            seconds=seconds,
            messages=(*self._said(axis), *filler.notes),
            prints=tuple(self._prints),
            source=source,
        )

    def _said(self, axis: int) -> list[str]:
        """Where labels were followed beyond what was annotated, and which ones could not be propagated."""
        sentences = []
        for value, followed in (end for made in self._prints for end in made.ends):
            name = self._annotation.label_map.segment(value).name
            bounds = self._annotation.annotated(axis, value)
            forward = (followed > 0) != self._turn.flips[0]
            bound = bounds[-1] if forward else bounds[0]
            if followed:
                stop = bound + abs(followed) * (1 if forward else -1)
                sentences.append(
                    f"{name} was followed beyond annotated slice {bound} and stopped at slice {stop}."
                )
        for value in self._annotation.labels:
            if not self._annotation.annotated(axis, value):
                name = self._annotation.label_map.segment(value).name
                sentences.append(
                    f"{name} has no annotated slice across axis {AXIS_NAMES[axis]}; it was kept as drawn."
                )
        return sentences

    def _complete(self, axis: int, index: int) -> bool:
        """Whether every label is annotated on this slice."""
        return all(index in self._annotation.slices[v].get(axis, ()) for v in self._annotation.labels)


def _source(volume: Volume, settings: PropagationSettings, turn: Turn, filler_key: str) -> str:
    """Changes whenever the image does, or how it is looked at."""
    voxels = volume.voxels.T if volume.voxels.flags.f_contiguous else volume.voxels
    checksum = zlib.crc32(np.ascontiguousarray(voxels).reshape(-1).view(np.uint8).data)
    described: Sequence[Any] = (
        volume.geometry,
        checksum,
        settings.method,
        settings.modality,
        turn,
        filler_key,
    )
    return repr(described)
