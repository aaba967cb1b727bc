"""A rater who draws a few slices of a known structure, exactly or with an unsteady hand."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from .real_data import LoadedCase, Structure

_PATCH_VOXELS = 4.0
"""Standard deviation of the smooth random field that decides where the hand strays."""


@dataclass(frozen=True)
class Plan:
    """Which slices are drawn, and how.

    Args:
        count: this many slices, spread evenly from the first to the last slice of the structure; or
        every: every so many slices from the first one on, and the last one.
        jitter: stray by one voxel over about two thirds of the outline (:func:`jittered`).
    """

    count: int | None = None
    every: int | None = None
    jitter: bool = False

    @property
    def name(self) -> str:
        slices = f"N={self.count}" if self.count else f"every {self.every}th"
        return slices + (" jittered" if self.jitter else "")

    def slices(self, structure: Structure) -> tuple[int, ...]:
        """The indices drawn, along the axis of the case."""
        if self.count:
            even = np.linspace(structure.first, structure.last, self.count)
            return tuple(sorted({int(index) for index in np.round(even)}))
        assert self.every
        return (*range(structure.first, structure.last, self.every), structure.last)

    @classmethod
    def from_name(cls, name: str, jitter: bool = False) -> Plan:
        """ "5" is five slices, "every10" every tenth."""
        if name.startswith("every"):
            return cls(every=int(name.removeprefix("every")), jitter=jitter)
        return cls(count=int(name), jitter=jitter)


@dataclass(frozen=True, eq=False)
class Drawing:
    """What the rater handed over.

    Args:
        structure: what was drawn.
        plan: how.
        annotated: indices of the annotated slices.
        mask: bool [i, j, k], empty outside of the annotated slices.
    """

    structure: Structure
    plan: Plan
    annotated: tuple[int, ...]
    mask: NDArray[np.bool_]


def draw(loaded: LoadedCase, structure: Structure, plan: Plan) -> Drawing:
    """Draw a structure of a case as planned. The same call always draws the same."""
    annotated = plan.slices(structure)
    truth = np.moveaxis(loaded.labels == structure.value, loaded.case.axis, 0)
    mask = np.zeros(loaded.labels.shape, dtype=bool)
    slices = np.moveaxis(mask, loaded.case.axis, 0)
    for index in annotated:
        slices[index] = truth[index]
        if plan.jitter:
            seed = zlib.crc32(f"{loaded.case.data_set}/{loaded.case.name}/{structure.value}/{index}".encode())
            slices[index] = jittered(truth[index], np.random.default_rng(seed))
    return Drawing(structure, plan, annotated, mask)


def jittered(mask: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.bool_]:
    """A mask whose outline strays by one voxel: out over a third of it, in over a third, patch by patch.

    A smooth random field over the slice decides which patch goes where. A mask is never eroded to nothing.
    """
    field = gaussian_filter(generator.standard_normal(mask.shape), _PATCH_VOXELS)
    low, high = np.quantile(field, [1 / 3, 2 / 3])
    strayed = np.where(field > high, binary_dilation(mask), mask)
    strayed = np.where(field < low, binary_erosion(mask, border_value=1), strayed)
    return strayed if strayed.any() else mask
