"""Volumes of two bright ellipsoids, and a stand-in for a reference model that tells them by brightness."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgt.case_table import CaseRow, write_case_table
from pgt.geometry import Geometry
from pgt.reference.reference_card import ReferenceCard
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume

SHAPE = (26, 22, 16)
CARD = ReferenceCard((1, 3), ("Pale", "Bright"), "axial", "mr", "small")
_BACKGROUND, _PALE, _BRIGHT = 0.0, 100.0, 200.0


def made_volume(
    number: int = 0, noise: float = 3.0, geometry: Geometry | None = None
) -> tuple[Volume, LabelMap]:
    """An image and its truth: label 1 is pale, label 3 bright; slices (axis k) are 2 mm thick."""
    draw = np.random.default_rng(number)
    geometry = geometry or Geometry(SHAPE, (1.0, 1.0, 2.0), (-10.0, 20.0, 5.0))
    places = np.indices(SHAPE).reshape(3, -1).T
    voxels, labels = np.full(SHAPE, _BACKGROUND), np.zeros(SHAPE, np.uint8)
    for value, brightness, middle in ((1, _PALE, (0.32, 0.5, 0.42)), (3, _BRIGHT, (0.68, 0.45, 0.58))):
        centre = np.array(SHAPE) * middle + draw.uniform(-1, 1, 3)
        radii = np.array(SHAPE) * draw.uniform(0.15, 0.2, 3) * (1, 1, 1.4)
        inside = ((((places - centre) / radii) ** 2).sum(axis=1) <= 1).reshape(SHAPE)
        voxels[inside], labels[inside] = brightness, value
    voxels = voxels + draw.normal(0, noise, SHAPE)
    segments = LabelMap.from_voxels(labels, geometry).segments
    return Volume(voxels.astype(np.float32), geometry), LabelMap(labels, geometry, segments)


@dataclass
class Oracle:
    """Answers like a `ReferenceModel` that tells the structures by their brightness.

    Args:
        blind: parts of the axis, from 0 to 1, on which it sees nothing.
        shift: rows by which its masks are displaced.
        sure: probability of the class that it names.
        unsure: the same where it is blind.
    """

    blind: tuple[tuple[float, float], ...] = ()
    shift: int = 0
    sure: float = 0.9
    unsure: float = 0.9
    card: ReferenceCard = CARD
    asked: list[int] = field(default_factory=list)

    @property
    def device(self) -> object:
        import torch

        return torch.device("cpu")

    def probabilities(
        self, slices: NDArray[np.float32], positions: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        self.asked.append(len(slices))
        seen = np.roll(slices[:, 0], self.shift, axis=1)
        named = (seen > -0.5).astype(int) + (seen > 0.5)
        sure = np.full(named.shape, self.sure, np.float32)
        for first, last in self.blind:
            unseen = (positions >= first) & (positions <= last)
            named[unseen], sure[unseen] = 0, self.unsure
        found = np.repeat((1 - sure)[None] / 2, 3, axis=0)
        np.put_along_axis(found, named[None], sure[None], axis=0)
        return np.ascontiguousarray(found.transpose(1, 0, 2, 3))


def made_rows(folder: Path, labelled: int, unlabelled: int) -> list[CaseRow]:
    """Files of cases and their table ``cases.csv`` in ``folder``."""
    rows = []
    for number in range(labelled + unlabelled):
        volume, label_map = made_volume(number)
        image, label = folder / f"image{number}.nrrd", folder / f"label{number}.nii.gz"
        write_volume(volume, image)
        if number < labelled:
            write_label_map(label_map, label)
        rows.append(CaseRow(f"case{number}", image, label if number < labelled else None))
    write_case_table(folder / "cases.csv", rows)
    return rows
