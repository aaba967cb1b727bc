"""Small made cases for the reference stage: a bright ellipsoid with a brighter small core, in noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pgt.case_table import CaseRow, write_case_table
from pgt.geometry import Geometry
from pgt.reference.cases import ReferenceCase
from pgt.reference.settings import ReferenceSettings
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume

SHAPE = (20, 24, 10)
QUICK = ReferenceSettings.of_size("small", iterations=4, labelled=2, unlabelled=2, device="cpu")


def made_case(number: int, geometry: Geometry | None = None) -> tuple[Volume, LabelMap]:
    """An image and its label map: 1 is the ellipsoid, 3 its core."""
    geometry = geometry or Geometry(SHAPE)
    draw = np.random.default_rng(number)
    places = np.indices(geometry.shape).reshape(3, -1).T
    middle = (np.array(geometry.shape) - 1) / 2 + draw.uniform(-1, 1, 3)
    radii = np.array(geometry.shape) * draw.uniform(0.27, 0.36, 3)
    far = np.sqrt((((places - middle) / radii) ** 2).sum(axis=1)).reshape(geometry.shape)
    labels = np.where(far <= 0.5, 3, np.where(far <= 1, 1, 0)).astype(np.uint8)
    voxels = 30 + 60 * (labels > 0) + 60 * (labels == 3) + draw.normal(0, 4, geometry.shape)
    return Volume(voxels.astype(np.float32), geometry), LabelMap.from_voxels(labels, geometry)


def made_cases(folder: Path, labelled: int, unlabelled: int) -> list[ReferenceCase]:
    """Files of cases, and their table ``cases.csv``, in ``folder``; sizes differ from case to case."""
    folder.mkdir(exist_ok=True)
    cases = []
    for number in range(labelled + unlabelled):
        i, j, k = SHAPE
        volume, label_map = made_case(number, Geometry((i + number % 3, j - number % 2, k)))
        image, label = folder / f"image{number}.nrrd", folder / f"label{number}.nrrd"
        write_volume(volume, image)
        if number < labelled:
            write_label_map(label_map, label)
        cases.append(ReferenceCase(f"case{number}", image, label if number < labelled else None))
    rows = [CaseRow(case.case, case.image, case.label) for case in cases]
    write_case_table(folder / "cases.csv", rows)
    return cases


def dice(found: np.ndarray, truth: np.ndarray, value: int) -> float:
    """Dice of one label."""
    one, other = found == value, truth == value
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))
