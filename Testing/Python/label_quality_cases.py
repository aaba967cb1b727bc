"""Small made data sets for studies of label quality: an ellipsoid of two halves, and other labels of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from style_cases import made_case

from pgt.case_table import CaseRow, write_case_table
from pgt.resampling import reoriented
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume

STRUCTURES = [{"name": "lower", "values": [3]}, {"name": "upper", "values": [5]}]

Turn = Callable[[Any], Any]


def halves(label_map: LabelMap) -> LabelMap:
    """The lower half along k as 3, the upper one as 5."""
    voxels = label_map.voxels * 3
    voxels[..., label_map.geometry.shape[2] // 2 :] = (
        label_map.voxels[..., label_map.geometry.shape[2] // 2 :] * 5
    )
    return LabelMap.from_voxels(voxels, label_map.geometry)


def without(label_map: LabelMap, value: int) -> LabelMap:
    """The label map less one label."""
    return LabelMap.from_voxels(np.where(label_map.voxels == value, 0, label_map.voxels), label_map.geometry)


def write_cases(folder: Path, name: str, count: int, first: int = 0, turn: str = "RAS") -> Path:
    """A case list with the columns label (base), same (a copy of it) and half (without the upper half)."""
    rows = []
    for number in range(first, first + count):
        volume, label_map = made_case(number, 1.0)
        base = reoriented(halves(label_map), turn)
        files = {kind: folder / f"{name}-{number}-{kind}.nrrd" for kind in ("image", "base", "same", "half")}
        write_volume(reoriented(Volume(volume.voxels, volume.geometry), turn), files["image"])
        write_label_map(base, files["base"])
        write_label_map(base, files["same"])
        write_label_map(without(base, 5), files["half"])
        others = {"same": str(files["same"]), "half": str(files["half"])}
        rows.append(CaseRow(f"Doe John {number}", files["image"], files["base"], others))
    write_case_table(folder / f"{name}.csv", rows)
    return folder / f"{name}.csv"


def write_configuration(folder: Path, name: str = "study.json", **entries: Any) -> Path:
    """A configuration that takes seconds; ``entries`` replace or add some, None removes one."""
    content: dict[str, Any] = {
        "cases": "cases.csv",
        "structures": STRUCTURES,
        "perturbed": [{"name": "thin", "perturbation": "eroded", "mm": 1}],
        "spacing_mm": [1, 1, 1],
        "seeds": [0],
        "channels": [4, 4, 8],
        "steps": 3,
        **entries,
    }
    path = folder / name
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path
