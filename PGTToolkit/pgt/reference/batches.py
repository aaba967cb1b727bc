"""The slices of one training step: which are drawn, and how they are turned and mirrored.

What is drawn depends on seed, step and process alone, labelled and unlabelled slices each on their own: a
training takes the same course after an interruption, and one without unlabelled slices sees the same labelled
ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pgt.reference.cases import PreparedSlices
from pgt.reference.networks import BLACK
from pgt.reference.settings import ReferenceSettings
from pgt.reference.slices import PLANES, Plane

IGNORED = 255
"""The label of pixels beyond a slice, which teach nothing."""

_LABELLED, _UNLABELLED = 0, 1


@dataclass(frozen=True)
class Batch:
    """Some slices.

    Args:
        images: float32 [slice, 3, row, column], -1 to 1.
        positions: float32 [slice].
        labels: int64 [slice, row, column]: the class, 0 where a slice is unlabelled, `IGNORED` beyond slices.
    """

    images: Tensor
    positions: Tensor
    labels: Tensor

    def to(self, device: str) -> Batch:
        """The same on a device."""
        return Batch(self.images.to(device), self.positions.to(device), self.labels.to(device))


class SliceSampler:
    """Draws the slices of every step.

    Args:
        cases: labelled and unlabelled ones.
        settings: how many slices, and what becomes of them.
        plane: which way the slices are cut.
        rank: of this process among those that train together.
    """

    def __init__(
        self, cases: Sequence[PreparedSlices], settings: ReferenceSettings, plane: Plane, rank: int = 0
    ) -> None:
        self._labelled = [case for case in cases if case.labels is not None]
        self._unlabelled = [case for case in cases if case.labels is None]
        self._settings, self._rank = settings, rank
        in_plane = [letter for letter, name in zip("RAS", PLANES, strict=True) if name != plane]
        # The axes of a slice that mirroring is allowed along: 0 for rows, 1 for columns.
        self._flips = [axis for axis, letter in enumerate(in_plane) if letter in settings.flips]
        classes = self._labelled[0].classes
        self._showing = [
            [(case, case.showing[number]) for case in self._labelled if len(case.showing[number])]
            for number in range(classes - 1)
        ]

    @property
    def has_unlabelled(self) -> bool:
        """Whether steps have unlabelled slices."""
        return bool(self._unlabelled) and self._settings.unlabelled > 0

    def labelled(self, step: int) -> Batch:
        """The labelled slices of a step."""
        draw = self._generator(step, _LABELLED)
        return self._batch([self._labelled_slice(draw) for _ in range(self._settings.labelled)], draw)

    def unlabelled(self, step: int) -> Batch | None:
        """The unlabelled slices of a step; None where there are none."""
        if not self.has_unlabelled:
            return None
        draw = self._generator(step, _UNLABELLED)
        return self._batch([_any(self._unlabelled, draw) for _ in range(self._settings.unlabelled)], draw)

    def _generator(self, step: int, stream: int) -> np.random.Generator:
        return np.random.default_rng((self._settings.seed, step, self._rank, stream))

    def _labelled_slice(self, draw: np.random.Generator) -> tuple[PreparedSlices, int]:
        """A slice of a class drawn first, so that small structures come as often as large ones."""
        shown = [cases for cases in self._showing if cases]
        if not shown or draw.random() >= self._settings.class_share:
            return _any(self._labelled, draw)
        cases = shown[int(draw.integers(len(shown)))]
        case, indices = cases[int(draw.integers(len(cases)))]
        return case, int(indices[draw.integers(len(indices))])

    def _batch(self, drawn: Sequence[tuple[PreparedSlices, int]], draw: np.random.Generator) -> Batch:
        rows = max(case.images.shape[2] for case, _ in drawn)
        columns = max(case.images.shape[3] for case, _ in drawn)
        slices = [_padded(case, index, rows, columns) for case, index in drawn]
        images, labels = turned(
            torch.stack([image for image, _ in slices]),
            torch.stack([label for _, label in slices]),
            draw.uniform(-1, 1, len(drawn)) * self._settings.rotation,
            np.array([[axis in self._flips and draw.random() < 0.5 for axis in (0, 1)] for _ in drawn]),
        )
        positions = torch.tensor([float(case.positions[index]) for case, index in drawn])
        return Batch(images, positions, labels)


def turned(
    images: Tensor, labels: Tensor, degrees: NDArray[np.float64], flips: NDArray[np.bool_]
) -> tuple[Tensor, Tensor]:
    """Turn slices about their middles, and mirror them.

    Args:
        images: float32 [slice, 3, row, column].
        labels: int64 [slice, row, column], `IGNORED` included.
        degrees: how far to turn each.
        flips: whether to mirror each along rows and columns, [slice, 2].

    Returns:
        Images and labels of the same shapes. Pixels from beyond a slice are black and `IGNORED`.
    """
    rows, columns = images.shape[2:]
    angles = np.radians(degrees)
    signs = np.where(flips, -1.0, 1.0)
    matrices = np.zeros((len(images), 2, 3), np.float32)
    # Coordinates of grids run from -1 to 1 along either side, x (columns) first.
    matrices[:, 0, 0] = np.cos(angles) * signs[:, 1]
    matrices[:, 0, 1] = -np.sin(angles) * signs[:, 1] * rows / columns
    matrices[:, 1, 0] = np.sin(angles) * signs[:, 0] * columns / rows
    matrices[:, 1, 1] = np.cos(angles) * signs[:, 0]
    shape = [len(images), 1, rows, columns]
    grid = functional.affine_grid(torch.from_numpy(matrices), shape, align_corners=False)
    # Beyond the slice grid_sample finds 0, which therefore stands for black and for ignored.
    moved = functional.grid_sample(images - BLACK, grid, align_corners=False) + BLACK
    codes = torch.where(labels == IGNORED, 0, labels + 1).float()[:, None]
    codes = functional.grid_sample(codes, grid, mode="nearest", align_corners=False)[:, 0].round().long()
    return moved, torch.where(codes == 0, IGNORED, codes - 1)


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches behind each other, smaller slices padded to the largest."""
    rows = max(batch.images.shape[2] for batch in batches)
    columns = max(batch.images.shape[3] for batch in batches)
    alike = [_padded_batch(batch, rows, columns) for batch in batches]
    return Batch(
        torch.cat([batch.images for batch in alike]),
        torch.cat([batch.positions for batch in alike]),
        torch.cat([batch.labels for batch in alike]),
    )


def _padded_batch(batch: Batch, rows: int, columns: int) -> Batch:
    sides = (0, columns - batch.labels.shape[2], 0, rows - batch.labels.shape[1])
    images = functional.pad(batch.images, sides, value=BLACK)
    return Batch(images, batch.positions, functional.pad(batch.labels, sides, value=IGNORED))


def _padded(case: PreparedSlices, index: int, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """One slice with its middle in the middle of a larger one."""
    image = torch.from_numpy(case.images[index].astype(np.float32) / 127.5 - 1)
    shown = np.zeros(image.shape[1:], np.int64) if case.labels is None else case.labels[index]
    label = torch.from_numpy(shown.astype(np.int64))
    above, left = (rows - label.shape[0]) // 2, (columns - label.shape[1]) // 2
    sides = (left, columns - label.shape[1] - left, above, rows - label.shape[0] - above)
    return functional.pad(image, sides, value=BLACK), functional.pad(label, sides, value=IGNORED)


def _any(cases: Sequence[PreparedSlices], draw: np.random.Generator) -> tuple[PreparedSlices, int]:
    case = cases[int(draw.integers(len(cases)))]
    return case, math.floor(draw.random() * len(case.images))
