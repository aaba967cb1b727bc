"""Small made training cases in known styles: a bright ellipsoid, labelled tightly or loosely."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pgt.case_table import CaseRow, write_case_table
from pgt.geometry import Geometry
from pgt.styles.hypernetwork import HyperNetworkShape
from pgt.styles.preparation import Preparation
from pgt.styles.sampling import PreparedCase
from pgt.styles.style_model import StyleModel
from pgt.styles.unet import UNetShape
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume

SHAPE = (16, 16, 12)
PREPARATION = Preparation((1.0, 1.0, 1.0), (1,))
TIGHT, LOOSE = 0.72, 1.2


def made_case(number: int, size: float, geometry: Geometry | None = None) -> tuple[Volume, LabelMap]:
    """An image and its label, whose radii are ``size`` times the structure's."""
    geometry = geometry or Geometry(SHAPE)
    draw = np.random.default_rng(number)
    places = np.indices(geometry.shape).reshape(3, -1).T
    middle = (np.array(geometry.shape) - 1) / 2 + draw.uniform(-1, 1, 3)
    radii = np.array(geometry.shape) * draw.uniform(0.27, 0.36, 3)
    far = np.sqrt((((places - middle) / radii) ** 2).sum(axis=1)).reshape(geometry.shape)
    voxels = 100 / (1 + np.exp(8 * (far - 1))) + draw.normal(0, 4, geometry.shape)
    labels = (far <= size).astype(np.uint8)
    return Volume(voxels.astype(np.float32), geometry), LabelMap.from_voxels(labels, geometry)


def made_rows(folder: Path, sizes: list[float]) -> list[CaseRow]:
    """Files of cases, one a size, and their table ``cases.csv`` in ``folder``."""
    rows = []
    for number, size in enumerate(sizes):
        volume, label_map = made_case(number, size)
        image, label = folder / f"image{number}.nrrd", folder / f"label{number}.nrrd"
        write_volume(volume, image)
        write_label_map(label_map, label)
        style = "tight" if size < 1 else "loose"
        rows.append(CaseRow(f"case{number}", image, label, {"style": style}))
    write_case_table(folder / "cases.csv", rows)
    return rows


def prepared_cases(sizes: list[float]) -> list[PreparedCase]:
    """Cases as the network sees them, without files."""
    made = [made_case(number, size) for number, size in enumerate(sizes)]
    return [
        PreparedCase(f"case{number}", PREPARATION.image(volume), PREPARATION.labels(label_map))
        for number, (volume, label_map) in enumerate(made)
    ]


def tiny_model(seed: int = 0, classes: int = 2) -> StyleModel:
    """A model that trains in seconds."""
    import torch

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return StyleModel.new(
            UNetShape(classes=classes, channels=6, levels=1, layers=1),
            HyperNetworkShape(hidden=(16, 16), rank=4),
            PREPARATION,
            SHAPE,
            ("Structure",),
        )
