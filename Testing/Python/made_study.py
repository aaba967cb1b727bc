"""Made cases for the studies: two touching ellipsoids, bright and less bright, anywhere in a small volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pgt.case_table import CaseRow, write_case_table
from pgt.geometry import Geometry, Matrix
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import write_label_map, write_volume

SHAPE = (14, 16, 12)
SPACING = (2.0, 2.0, 2.0)
STRAIGHT: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def made_case(
    number: int, shape: tuple[int, int, int] = SHAPE, direction: Matrix = STRAIGHT
) -> tuple[Volume, LabelMap]:
    """Image and truth; the same number, the same case."""
    random = np.random.default_rng(number)
    geometry = Geometry(shape, SPACING, (1.0, 2.0, 3.0), direction)
    i, j, k = np.indices(shape)
    centre = np.array(shape) / 2 - 0.5 + random.uniform(-1, 1, 3)
    radius = np.array(shape) * random.uniform(0.28, 0.36, 3)
    distance = sum(((x - c) / r) ** 2 for x, c, r in zip((i, j, k), centre, radius, strict=True))
    labels = np.where(distance < 1, np.where(j < centre[1], 1, 2), 0).astype(np.uint8)
    image = np.array([0.0, 60.0, 100.0])[labels] + random.normal(0, 12, shape)
    segments = (Segment(1, "front", (0.9, 0.2, 0.2)), Segment(2, "back", (0.2, 0.2, 0.9)))
    return Volume(image.astype(np.float32), geometry), LabelMap(labels, geometry, segments)


def made_table(folder: Path, cases: int) -> Path:
    """A table of so many cases with their files."""
    rows = []
    for number in range(cases):
        volume, truth = made_case(number)
        row = CaseRow(f"Jane_Doe_{number:02d}", folder / f"{number}.nii", folder / f"{number}-label.nii")
        write_volume(volume, row.image)
        assert row.label is not None
        write_label_map(truth, row.label)
        rows.append(row)
    write_case_table(folder / "CASES.csv", rows)
    return folder / "CASES.csv"
