"""Fill an opening with the network: a correction added to the interpolated signed distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pgt.errors import DeviceError
from pgt.propagation.area_keeping import Areas, keep_areas, profile_share
from pgt.propagation.calibration import NETWORK
from pgt.propagation.filling import FilledSlices, Logits, runs, with_known
from pgt.propagation.gaps import GapMaker, Memory, Query
from pgt.propagation.interpolation import ShapeInterpolator
from pgt.propagation.network import HALF_FREEDOM
from pgt.propagation.propagator import Propagator
from pgt.propagation.regions import Region, masks_to_working, region_around, to_working
from pgt.propagation.stack import REACH, Opening, Stack

REHEARSAL_HALO = 4
"""Slices on either side seen when a left-out annotated slice is filled in: quicker, hardly less exact."""
REHEARSAL_REACH = REACH - 1
"""Annotated slices on either side that a left-out slice is filled in from."""
PIXELS_AT_ONCE = 1_200_000
HALF_FREEDOM_ON_REAL_VOLUMES = 10.0
"""Pixels at which half of the correction counts, where training had ``HALF_FREEDOM``.

Outlines on made volumes are tidier than any rater's, so the network learns to correct more than it should
close to annotated slices. Measured on real volumes: 8 and 16 do better than 2 and 4 on every data set tried.
"""
HARM_THAT_ENDS_TRUST = 0.05
"""Loss of Dice on left-out annotated slices at which the correction is dropped altogether."""


def caution(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the correction that real volumes bear, ``pixels`` from the nearest annotated slice."""
    return (pixels + HALF_FREEDOM) / (pixels + HALF_FREEDOM_ON_REAL_VOLUMES)


@dataclass(frozen=True)
class Rehearsal:
    """An annotated slice left out and filled in from the others, by label.

    ``overlap`` (2, O, 2), without and with correction: twice the overlap with what was drawn, and the sum of
    both sizes. ``areas`` tells which size was right.
    """

    overlap: NDArray[np.float64]
    areas: Areas


class NetworkFiller:
    """The network's correction, added to the interpolated signed distance.

    With ``doubting``, the correction counts only as much as it has earned on the annotated slices: each slice
    that bounds the opening is left out in turn and filled from the others, with and without the correction.
    Between annotated slices, the areas that they lead to expect are kept as far as they came true there.
    """

    def __init__(
        self, network: Propagator, device: str, doubting: bool, pixels_at_once: int = PIXELS_AT_ONCE
    ) -> None:
        self.network = network
        self.device = device
        self.notes: list[str] = []
        self.doubting = doubting
        self.pixels_at_once = pixels_at_once
        self._rehearsed_stack: Stack | None = None
        self._rehearsals: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Rehearsal] = {}

    def fill(
        self, stack: Stack, opening: Opening, region: Region, values: tuple[int, ...]
    ) -> Iterator[FilledSlices]:
        view = WorkingView(stack, opening, region, values)
        rehearsed = (
            [self._rehearsed(stack, one, values) for one in rehearsals(opening)] if self.doubting else []
        )
        trust = _trust(rehearsed, len(values))
        share = profile_share([one.areas for one in rehearsed], len(values))
        room = self.pixels_at_once // int(np.prod(region.working_shape)) - 2 * self.network.slice_reach
        for indices in runs(opening, max(room, 4)):
            distance, correction = self._terms(view, indices, self.network.slice_reach)
            pixels = opening.distances(indices) * stack.thickness / region.factor
            weight = trust[:, None] * caution(pixels)
            logits = distance + weight[:, :, None, None].astype(np.float32) * correction
            if not opening.one_sided:
                logits = keep_areas(logits, distance, share)
            known = stack.known(values, indices, region.box)
            yield FilledSlices(indices, with_known(NETWORK(logits, pixels), known))

    def _terms(self, view: WorkingView, indices: tuple[int, ...], halo: int) -> tuple[Logits, Logits]:
        """Shape and correction, each (O, D, rows, columns), whose sum are the logits.

        Where memory runs out, fewer slices at once are tried, then the CPU.
        """
        try:
            return self._computed_terms(view, indices, halo)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        if len(indices) > 1:
            self.pixels_at_once //= 2
            middle = len(indices) // 2
            first, second = (self._terms(view, part, halo) for part in (indices[:middle], indices[middle:]))
            distance, correction = (np.concatenate(both, axis=1) for both in zip(first, second, strict=True))
            return distance, correction
        if self.device == "cpu":
            raise DeviceError("There is not enough memory to propagate even a slice at a time.")
        self.notes.append("The GPU's memory did not suffice; the rest was computed on the CPU.")
        self.network, self.device = self.network.to("cpu"), "cpu"
        torch.cuda.empty_cache()
        return self._terms(view, indices, halo)

    def _computed_terms(
        self, view: WorkingView, indices: tuple[int, ...], halo: int
    ) -> tuple[Logits, Logits]:
        seen = view.surroundings(indices, halo)
        gap = view.maker.gap(view.query(seen)).to(self.device)
        with (
            torch.inference_mode(),
            torch.autocast(self.device, torch.float16, enabled=self.device == "cuda"),
        ):
            logits = self.network([gap], top_k=self.network.top_k)[0] - self.network.sharpness * gap.prior
        start = seen.index(indices[0])
        correction = logits[:, start : start + len(indices)].float()
        factor = view.region.factor
        if factor > 1:
            correction = functional.interpolate(
                correction, scale_factor=factor, mode="bilinear", align_corners=False
            )
        rows, columns = view.region.shape
        distance = view.distances(indices) * np.float32(float(self.network.sharpness.detach()) / factor)
        return distance, np.asarray(correction[..., :rows, :columns].cpu().numpy())

    def _rehearsed(self, stack: Stack, rehearsal: Opening, values: tuple[int, ...]) -> Rehearsal:
        """Both openings that an annotated slice bounds ask for its rehearsal; it is held once."""
        if self._rehearsed_stack is not stack:
            self._rehearsed_stack, self._rehearsals = stack, {}
        key = (rehearsal.first, rehearsal.memory, values)
        if key not in self._rehearsals:
            self._rehearsals[key] = self._rehearse(stack, rehearsal, values)
        return self._rehearsals[key]

    def _rehearse(self, stack: Stack, rehearsal: Opening, values: tuple[int, ...]) -> Rehearsal:
        index = rehearsal.first
        whole = slice(0, stack.image.shape[1]), slice(0, stack.image.shape[2])
        region = region_around(stack.masks(values, (*rehearsal.memory, index), whole))
        overlap, sizes = np.zeros((2, len(values), 2)), np.zeros((3, len(values)), np.int64)
        if region is None:
            return Rehearsal(overlap, Areas(*sizes))
        view = WorkingView(stack.without(index), rehearsal, region, values)
        distance, correction = self._terms(view, (index,), min(REHEARSAL_HALO, self.network.slice_reach))
        correction *= caution(rehearsal.distances((index,)) * stack.thickness / region.factor)[0]
        truth = stack.masks(values, (index,), region.box)[:, 0]
        sizes[0] = truth.sum(axis=(1, 2))
        for number, logits in enumerate((distance, distance + correction)):
            inside = logits[:, 0] > 0
            sizes[number + 1] = inside.sum(axis=(1, 2))
            overlap[number, :, 0] = 2 * (inside & truth).sum(axis=(1, 2))
            overlap[number, :, 1] = sizes[number + 1] + sizes[0]
        return Rehearsal(overlap, Areas(*sizes))


def _trust(rehearsed: list[Rehearsal], labels: int) -> NDArray[np.float64]:
    """(O,) how much of the correction each label takes: 1 where it did not harm, down to 0."""
    overlap = np.sum([one.overlap for one in rehearsed], axis=0) if rehearsed else np.zeros((2, labels, 2))
    dice = overlap[..., 0] / np.maximum(overlap[..., 1], 1)
    return np.asarray(np.clip(1 + (dice[1] - dice[0]) / HARM_THAT_ENDS_TRUST, 0, 1))


def rehearsals(opening: Opening) -> list[Opening]:
    """Each bounding slice with annotated slices on both sides, to be filled from the nearest others.

    What an opening remembers reaches far enough for its two rehearsals to be those of its neighbours too.
    """
    found = []
    for bound in opening.bounds:
        below = [index for index in opening.memory if index < bound][-REHEARSAL_REACH:]
        above = [index for index in opening.memory if index > bound][:REHEARSAL_REACH]
        if below and above:
            found.append(Opening(opening.values, below[-1], above[0], bound, bound, memory=(*below, *above)))
    return found


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch, on either device, or NumPy could not get memory."""
    told = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return told or "can't allocate memory" in str(error)


class WorkingView:
    """One region of an opening as the network looks at it."""

    def __init__(self, stack: Stack, opening: Opening, region: Region, values: tuple[int, ...]) -> None:
        self.stack, self.opening, self.region, self.values = stack, opening, region, values
        masks = stack.masks(values, opening.memory, region.box)
        intensities = to_working(stack.intensities(opening.memory, region.box), region)
        memory = Memory(
            opening.memory,
            intensities,
            stack.windowing.channels(intensities),
            masks_to_working(masks, region),
        )
        self.maker = GapMaker(memory, stack.thickness / region.factor)
        self._interpolators = [
            ShapeInterpolator(
                dict(zip(opening.memory, segment, strict=True)), (1.0, 1.0), stack.thickness, "area"
            )
            for segment in masks
        ]

    def distances(self, indices: tuple[int, ...]) -> Logits:
        """(O, D, rows, columns) interpolated signed distance in pixels of the volume."""
        return np.stack([interpolator.distances(indices) for interpolator in self._interpolators])

    def surroundings(self, indices: tuple[int, ...], halo: int) -> tuple[int, ...]:
        """The slices that the network looks at to fill ``indices``, bounding annotated slices included."""
        low = self.opening.first if self.opening.before is None else self.opening.before
        high = self.opening.last if self.opening.after is None else self.opening.after
        return tuple(range(max(indices[0] - halo, low), min(indices[-1] + halo, high) + 1))

    def query(self, indices: tuple[int, ...]) -> Query:
        intensities = to_working(self.stack.intensities(indices, self.region.box), self.region)
        known = self.stack.known(self.values, indices, self.region.box)
        inside = masks_to_working(known > 0, self.region).astype(np.int8)
        outside = masks_to_working(known < 0, self.region).astype(np.int8)
        return Query(indices, intensities, self.stack.windowing.channels(intensities), inside - outside)
