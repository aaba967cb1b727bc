"""Two readers of head-and-neck CT: every structure against DeepMind surface-distance, SimpleITK and MONAI."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from Benchmarks.agreement_peers import deepmind_values, monai_values
from Benchmarks.real_data import data_folder
from pgt.agreement.masks import CroppedMask, common_box
from pgt.agreement.pair_measurement import MeasureOptions, measure_pair
from pgt.agreement.results import Occupancy
from pgt.geometry import Geometry

FOLDER = data_folder() / "headneck_two_readers"
CASES = sorted(path.name.removesuffix("_oncologist.nii.gz") for path in FOLDER.glob("*_oncologist.nii.gz"))
TOLERANCE_MM = 2.0
SAME_AS_DEEPMIND = {"dice": 1e-6, "nsd": 1e-6, "hd_mm": 1e-3, "hd95_mm": 1e-3, "assd_mm": 1e-3}

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not CASES, reason=f"no head-and-neck readers in {FOLDER}"),
]


@cache
def _names() -> list[str]:
    return list(json.loads((FOLDER / "index.json").read_text())["bits"])


def _read(path: Path) -> tuple[NDArray[np.uint32], Geometry]:
    """One bit a structure: readers' structures may overlap."""
    image = sitk.ReadImage(str(path))
    voxels = np.ascontiguousarray(sitk.GetArrayFromImage(image).T)
    return voxels, Geometry(voxels.shape, image.GetSpacing())


def _structures(case: str) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_], Geometry]]:
    """Each structure of a case by both readers, on the whole volume."""
    first, geometry = _read(FOLDER / f"{case}_oncologist.nii.gz")
    second, _ = _read(FOLDER / f"{case}_radiographer.nii.gz")
    for bit, name in enumerate(_names()):
        a, b = ((voxels >> np.uint32(bit) & np.uint32(1)).astype(bool) for voxels in (first, second))
        yield name, a, b, geometry


@pytest.mark.parametrize("case", CASES)
def test_every_structure_has_the_numbers_of_deepmind_and_simpleitk(case):
    compared = 0
    for name, a, b, geometry in _structures(case):
        crops = CroppedMask.of(a), CroppedMask.of(b)
        found = measure_pair(*crops, geometry, MeasureOptions(TOLERANCE_MM))
        box = common_box(crops)
        if found.occupancy is not Occupancy.BOTH or box is None:
            continue
        compared += 1
        near = a[box], b[box]
        theirs = deepmind_values(*near, geometry.spacing, TOLERANCE_MM)
        for key, tolerance in SAME_AS_DEEPMIND.items():
            assert found.values[key] == pytest.approx(theirs[key], rel=0, abs=tolerance), (name, key)
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in near))
        assert found.values["dice"] == pytest.approx(overlap.GetDiceCoefficient(1), abs=1e-6), name
        assert found.values["iou"] == pytest.approx(overlap.GetJaccardCoefficient(1), abs=1e-6), name
    assert compared >= 10


@pytest.mark.parametrize("case", CASES[:1])
def test_monai_agrees_where_it_means_the_same(case):
    """Dice and subvoxel NSD are the same. Its distances go between border voxels, without areas."""
    pytest.importorskip("monai")
    for name, a, b, geometry in _structures(case):
        crops = CroppedMask.of(a), CroppedMask.of(b)
        box = common_box(crops)
        if box is None or any(crop.is_empty for crop in crops):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = monai_values(a[box], b[box], geometry.spacing, TOLERANCE_MM)
        values = measure_pair(*crops, geometry, MeasureOptions(TOLERANCE_MM)).values
        assert values["dice"] == pytest.approx(theirs["dice"], abs=1e-6), name
        assert values["nsd"] == pytest.approx(theirs["nsd"], abs=1e-6), name
        voxel_mm = float(np.linalg.norm(geometry.spacing))
        assert abs(values["hd_mm"] - theirs["hd_mm"]) <= voxel_mm, name
