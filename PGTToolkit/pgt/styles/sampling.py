"""Patches of prepared cases: the whole of a small volume, a window of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_SHARE_AT_STRUCTURES = 0.67
"""Part of the patches of large volumes that are centred on a labelled voxel, each class as often."""
_INSIDE = 0.5
_PLACES_A_CLASS = 5000


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One training case as the network sees it.

    Args:
        name: of the case.
        image: float [1, i, j, k].
        labels: shares of the classes, float [class, i, j, k], background first, adding up to 1.
    """

    name: str
    image: Tensor
    labels: Tensor

    @cached_property
    def places(self) -> tuple[NDArray[np.intp], ...]:
        """Some voxels of every class that has any, background excepted: int arrays [voxel, 3]."""
        found = []
        for shares in self.labels[1:]:
            places = np.argwhere(shares.numpy() >= _INSIDE)
            if len(places):
                found.append(places[:: -(-len(places) // _PLACES_A_CLASS)].copy())
        return tuple(found)


def take_patches(
    cases: Sequence[PreparedCase],
    patch: tuple[int, int, int],
    generators: Sequence[np.random.Generator],
) -> tuple[Tensor, Tensor]:
    """One patch of each case.

    Args:
        cases: what to take from.
        patch: size in voxels [i, j, k]; smaller volumes are padded to it around their middle.
        generators: one a case, drawing where the patch of a larger volume lies.

    Returns:
        Images [case, 1, *patch] and labels [case, class, *patch], both float32.
    """
    images, labels = [], []
    for case, generator in zip(cases, generators, strict=True):
        corner = _corner(case, patch, generator)
        images.append(window(case.image.float(), corner, patch))
        shares = window(case.labels.float(), corner, patch)
        shares[0] += 1 - shares.sum(dim=0)  # what was padded is background
        labels.append(shares)
    return torch.stack(images), torch.stack(labels)


def window(fields: Tensor, corner: Sequence[int], patch: Sequence[int]) -> Tensor:
    """A window of [field, i, j, k] that may reach beyond the volume, where it is 0."""
    padding: list[int] = []
    parts = [slice(None)]
    for start, size, present in zip(corner, patch, fields.shape[1:], strict=True):
        before, after = max(-start, 0), max(start + size - present, 0)
        parts.append(slice(max(start, 0), min(start + size, present)))
        padding = [before, after, *padding]
    return functional.pad(fields[tuple(parts)], padding)


def _corner(case: PreparedCase, patch: Sequence[int], generator: np.random.Generator) -> list[int]:
    shape = case.image.shape[1:]
    free = [present - size for present, size in zip(shape, patch, strict=True)]
    centre: NDArray[np.intp] | None = None
    if max(free) > 0 and case.places and generator.random() < _SHARE_AT_STRUCTURES:
        places = case.places[int(generator.integers(len(case.places)))]
        centre = places[int(generator.integers(len(places)))]
    corner = []
    for axis, room in enumerate(free):
        if room <= 0:
            corner.append(-((-room) // 2))
        elif centre is None:
            corner.append(int(generator.integers(room + 1)))
        else:
            corner.append(int(np.clip(centre[axis] - patch[axis] // 2, 0, room)))
    return corner
