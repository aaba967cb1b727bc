"""Patches of prepared cases: the whole of a small volume, a window of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_SHARE_AT_STRUCTURES = 0.67
"""Part of the patches of large volumes that are centred on a labelled voxel."""


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One training case as the network sees it.

    Args:
        name: of the case.
        image: float32 [1, i, j, k].
        labels: shares of the classes [class, i, j, k], background first.
    """

    name: str
    image: Tensor
    labels: Tensor


def take_patches(
    cases: Sequence[PreparedCase], patch: tuple[int, int, int], generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """One patch of each case.

    Args:
        cases: what to take from.
        patch: size in voxels [i, j, k]; smaller volumes are padded to it around their middle.
        generator: draws where the patches of larger volumes lie.

    Returns:
        Images [case, 1, *patch] and labels [case, class, *patch], both float32.
    """
    images, labels = [], []
    for case in cases:
        corner = _corner(case, patch, generator)
        images.append(window(case.image, corner, patch))
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
    centre = None
    if max(free) > 0 and generator.random() < _SHARE_AT_STRUCTURES:
        labelled = torch.nonzero(case.labels[0] < 0.5)
        if len(labelled):
            centre = labelled[int(generator.integers(len(labelled)))].tolist()
    corner = []
    for axis, room in enumerate(free):
        if room <= 0:
            corner.append(-((-room) // 2))
        elif centre is None:
            corner.append(int(generator.integers(room + 1)))
        else:
            corner.append(min(max(centre[axis] - patch[axis] // 2, 0), room))
    return corner
