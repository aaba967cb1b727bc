"""The real volumes that the benchmarks run on: which files, which structures, along which axis.

They lie outside of the project, in ``$PGT_DATA`` or ``../shared/data`` beside its root. A data set whose
folder is missing is left out; :func:`missing_data_sets` says which.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MINIMUM_SLICES = 12
"""Structures on fewer slices are left out: with nine of them annotated nothing would remain to be scored."""

HIPPOCAMPUS_CASES = 30

_PROJECT_ROOT = Path(__file__).resolve().parents[2]
_HEAD_NECK_ORGANS = {
    1: "brainstem",
    2: "spinal cord",
    3: "right parotid",
    4: "left parotid",
    5: "esophagus",
    6: "larynx",
    7: "mandible",
}


@dataclass(frozen=True)
class Case:
    """One image and its reference label map.

    Args:
        data_set: the row of the tables that it counts towards.
        name: unique within the data set.
        image: file of the image.
        labels: file of the reference label map, of the same geometry.
        axis: the axis [i, j, k] across the annotated slices.
        structure_names: label value -> name, where known.
    """

    data_set: str
    name: str
    image: Path
    labels: Path
    axis: int
    structure_names: dict[int, str]

    def load(self) -> LoadedCase:
        """Read both files."""
        import SimpleITK as sitk

        image = sitk.ReadImage(str(self.image))
        voxels = np.ascontiguousarray(sitk.GetArrayViewFromImage(image).T)
        labels = np.ascontiguousarray(sitk.GetArrayFromImage(sitk.ReadImage(str(self.labels))).T)
        labels = np.rint(labels).astype(np.uint8)
        if labels.shape != voxels.shape:
            raise ValueError(f"{self.labels} has another shape than {self.image}")
        i, j, k = image.GetSpacing()
        return LoadedCase(self, voxels, (i, j, k), labels, tuple(self._structures(labels)))

    def _structures(self, labels: NDArray[np.uint8]) -> list[Structure]:
        structures = []
        for value in np.unique(labels[labels > 0]).tolist():
            other_axes = tuple(axis for axis in range(3) if axis != self.axis)
            used = np.flatnonzero((labels == value).any(axis=other_axes))
            if len(used) >= MINIMUM_SLICES:
                name = self.structure_names.get(value, f"label {value}")
                structures.append(Structure(value, name, int(used[0]), int(used[-1])))
        return structures


@dataclass(frozen=True)
class Structure:
    """A label of a case: its value, its name, its first and last slice along the case's axis."""

    value: int
    name: str
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A case in memory: arrays [i, j, k], spacing in mm, and the structures that count."""

    case: Case
    voxels: NDArray[Any]
    spacing: tuple[float, float, float]
    labels: NDArray[np.uint8]
    structures: tuple[Structure, ...]


def data_folder() -> Path:
    """Where the real volumes are looked for."""
    return Path(os.environ.get("PGT_DATA") or _PROJECT_ROOT.parent / "shared" / "data")


def list_cases(folder: Path | None = None, data_sets: list[str] | None = None) -> list[Case]:
    """Every case of the data sets that are there (all of DATA_SETS unless some are named)."""
    folder = folder or data_folder()
    chosen = list(DATA_SETS) if data_sets is None else data_sets
    return [case for data_set in chosen for case in _finder(data_set)(folder) if case.image.exists()]


def missing_data_sets(folder: Path | None = None) -> list[str]:
    """The data sets without a single case in the folder."""
    present = {case.data_set for case in list_cases(folder)}
    return [data_set for data_set in DATA_SETS if data_set not in present]


def quick_subset(cases: list[Case]) -> list[Case]:
    """The first two cases of every data set: a look in a few minutes."""
    chosen: dict[str, list[Case]] = {}
    for case in cases:
        chosen.setdefault(case.data_set, []).append(case)
    return [case for of_set in chosen.values() for case in of_set[:2]]


def _finder(data_set: str) -> Callable[[Path], list[Case]]:
    finders = {**DATA_SETS, **EXTRA_DATA_SETS}
    if data_set not in finders:
        raise ValueError(f"unknown data set {data_set!r}; there are {', '.join(finders)}")
    return finders[data_set]


def _sarcoma(modality: str) -> Callable[[Path], list[Case]]:
    def find(folder: Path) -> list[Case]:
        return [
            Case(
                data_set=f"sarcoma {modality[:2]}",
                name=mask.name.split("_mask")[0],
                image=mask.with_name(mask.name.replace("_mask", "_image")),
                labels=mask,
                axis=2,
                structure_names={1: "tumour"},
            )
            for mask in sorted((folder / "sarcoma_ct_mr").glob(f"*_{modality}_mask.nii.gz"))
        ]

    return find


def _spleen(folder: Path) -> list[Case]:
    spleen = folder / "spleen_ct"
    return [Case("spleen CT", "spleen", spleen / "image.nii.gz", spleen / "label.nii.gz", 2, {1: "spleen"})]


def _torso_ct(folder: Path) -> list[Case]:
    torso = folder / "torso_ct_auto_labels"
    return [Case("torso CT", "torso", torso / "image.nii.gz", torso / "labels_auto.nii.gz", 2, {})]


def _torso_mr(folder: Path) -> list[Case]:
    torso = folder / "torso_ct_auto_labels"
    image, labels = torso / "mr_20slices_image.nii.gz", torso / "mr_20slices_labels_auto.nii.gz"
    return [Case("torso MR", "torso", image, labels, 2, {})]


def _head_neck(folder: Path) -> list[Case]:
    return [
        Case(
            data_set="head-neck CT",
            name=labels.name.split("_oars")[0],
            image=labels.with_name(labels.name.replace("_oars", "_image")),
            labels=labels,
            axis=2,
            structure_names=_HEAD_NECK_ORGANS,
        )
        for labels in sorted((folder / "headneck_ct").glob("*_oars.nii.gz"))
    ]


def _spinal_cord(folder: Path) -> list[Case]:
    """The cord runs along k in the T1w image and along j in the T2w one."""
    cord = folder / "spinal_cord_mr"
    return [
        Case(
            data_set="spinal cord MR",
            name=name,
            image=cord / f"{name}_image.nii.gz",
            labels=cord / f"{name}_cord_manual.nii.gz",
            axis=axis,
            structure_names={1: "cord"},
        )
        for name, axis in (("t1", 2), ("t2", 1))
    ]


def _hippocampus(data_set: str, axis: int) -> Callable[[Path], list[Case]]:
    def find(folder: Path) -> list[Case]:
        hippocampi = folder / "hippocampus_mr"
        return [
            Case(
                data_set=data_set,
                name=labels.name.split(".")[0],
                image=hippocampi / "images" / labels.name,
                labels=labels,
                axis=axis,
                structure_names={1: "anterior", 2: "posterior"},
            )
            for labels in sorted((hippocampi / "labels").glob("*.nii.gz"))[:HIPPOCAMPUS_CASES]
        ]

    return find


DATA_SETS: dict[str, Callable[[Path], list[Case]]] = {
    "sarcoma CT": _sarcoma("CT"),
    "sarcoma MR": _sarcoma("MR_T1"),
    "spleen CT": _spleen,
    "torso CT": _torso_ct,
    "torso MR": _torso_mr,
    "head-neck CT": _head_neck,
    "spinal cord MR": _spinal_cord,
    "hippocampus MR": _hippocampus("hippocampus MR", axis=2),
}

EXTRA_DATA_SETS: dict[str, Callable[[Path], list[Case]]] = {
    "hippocampus MR coronal": _hippocampus("hippocampus MR coronal", axis=1),
}
"""Only run when named: the same volumes from another side."""
