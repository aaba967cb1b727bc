"""Fill an opening with the network: a correction added to the interpolated signed distance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from pgt.propagation.filling import FilledSlices, Logits, runs, with_known
from pgt.propagation.gaps import GapMaker, Memory, Query
from pgt.propagation.interpolation import ShapeInterpolator
from pgt.propagation.network import SliceNetwork
from pgt.propagation.regions import Region, masks_to_working, to_working
from pgt.propagation.stack import Opening, Stack

HALO = 9
"""Slices on either side that the network's convolutions along the slices look at."""
PIXELS_AT_ONCE = 1_200_000
TOP_K = 32


class NetworkFiller:
    """The network's correction, added to the interpolated signed distance."""

    def __init__(self, network: SliceNetwork, device: str, pixels_at_once: int = PIXELS_AT_ONCE) -> None:
        self.network = network
        self.device = device
        self.pixels_at_once = pixels_at_once

    def fill(
        self, stack: Stack, opening: Opening, region: Region, values: tuple[int, ...]
    ) -> Iterator[FilledSlices]:
        view = WorkingView(stack, opening, region, values)
        room = self.pixels_at_once // int(np.prod(region.working_shape)) - 2 * HALO
        for indices in runs(opening, max(room, 4)):
            correction = self._correction(view, indices)
            distance = view.distances(indices) / region.factor
            logits = float(self.network.sharpness) * distance + correction
            known = stack.known(values, indices, region.box)
            yield FilledSlices(indices, with_known(logits, known))

    def _correction(self, view: WorkingView, indices: tuple[int, ...]) -> Logits:
        """(O, D, rows, columns) at the resolution of the volume."""
        seen = view.surroundings(indices)
        gap = view.maker.gap(view.query(seen)).to(self.device)
        with torch.inference_mode(), torch.autocast(self.device, torch.float16, enabled=self.device == "cuda"):
            logits = self.network([gap], top_k=TOP_K)[0] - self.network.sharpness * gap.prior
        start = seen.index(indices[0])
        wanted = logits[:, start : start + len(indices)].float()
        factor = view.region.factor
        if factor > 1:
            wanted = functional.interpolate(
                wanted, scale_factor=factor, mode="bilinear", align_corners=False
            )
        rows, columns = view.region.shape
        return np.asarray(wanted[..., :rows, :columns].cpu().numpy())


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
            ShapeInterpolator(dict(zip(opening.memory, segment, strict=True)), (1.0, 1.0), stack.thickness)
            for segment in masks
        ]

    def distances(self, indices: tuple[int, ...]) -> Logits:
        """(O, D, rows, columns) interpolated signed distance in pixels of the volume."""
        return np.stack([interpolator.distances(indices) for interpolator in self._interpolators])

    def surroundings(self, indices: tuple[int, ...]) -> tuple[int, ...]:
        """The slices that the network looks at to fill ``indices``, bounding annotated slices included."""
        low = self.opening.first if self.opening.before is None else self.opening.before
        high = self.opening.last if self.opening.after is None else self.opening.after
        return tuple(range(max(indices[0] - HALO, low), min(indices[-1] + HALO, high) + 1))

    def query(self, indices: tuple[int, ...]) -> Query:
        intensities = to_working(self.stack.intensities(indices, self.region.box), self.region)
        known = self.stack.known(self.values, indices, self.region.box)
        inside = masks_to_working(known > 0, self.region).astype(np.int8)
        outside = masks_to_working(known < 0, self.region).astype(np.int8)
        return Query(indices, intensities, self.stack.windowing.channels(intensities), inside - outside)


