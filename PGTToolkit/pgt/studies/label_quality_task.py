"""A segmentation task of the study: its cases, what is to be segmented, and how a network fares at it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.geometry import Geometry, Vector
from pgt.studies.label_quality import Scores, scores_against
from pgt.studies.structure_scheme import StructureScheme, scheme_of
from pgt.studies.study_cases import ORIENTATION, CaseReader, StudyCase, read_pair, working_grid
from pgt.studies.supervised import TrainingCase, TrainingSettings, predict_probabilities
from pgt.volume import LabelMap
from pgt.volume_io import read_label_map

_NUMBERED = re.compile(r"Segment_\d+")
"""What segments are called that nobody named."""


@dataclass(frozen=True)
class LabelNames:
    """What files call their label values, by value, with the file that said so first."""

    said: Mapping[int, tuple[str, Path | None]]

    def check(self, path: Path | None, labels: LabelMap) -> LabelNames:
        """With the names of a further file. Raises InputError where it calls a value otherwise."""
        said = dict(self.said)
        for segment in labels.segments:
            if _NUMBERED.fullmatch(segment.name):
                continue
            name, first = said.setdefault(segment.value, (segment.name, path))
            if name != segment.name:
                raise InputError(
                    f"{first} calls label {segment.value} {name!r}, {path} calls it {segment.name!r}; the "
                    "same structure needs the same value in every label map."
                )
        return LabelNames(said)


@dataclass(frozen=True, eq=False)
class SegmentationTask:
    """Cases in memory, and the structures to segment in them.

    Args:
        rows: of the table.
        scheme: the structures; classes count from 1 in its order.
        reader: between a case's own grid and that of the networks.
        cases: images on the networks' grid; ``truth`` holds classes of the base labels on the case's own.
        names: what the files call their label values.
    """

    rows: tuple[CaseRow, ...]
    scheme: StructureScheme
    reader: CaseReader
    cases: tuple[StudyCase, ...]
    names: LabelNames

    def with_structures(self, scheme: StructureScheme) -> SegmentationTask:
        """The same cases with other structures, made of the label values of these."""
        reader = CaseReader(self.reader.spacing, scheme.classes)
        changed = []
        for case in self.cases:
            truth = class_map(self.values_of(case.truth), scheme)
            changed.append(replace(case, truth=truth, label=on_working_grid(truth, reader)))
        return replace(self, scheme=scheme, reader=reader, cases=tuple(changed))

    def values_of(self, classes: LabelMap) -> LabelMap:
        """Classes as the label values of the files."""
        return LabelMap.from_voxels(self.scheme.labelled(classes.voxels), classes.geometry)

    def training_case(self, number: int, labels: LabelMap | None = None) -> TrainingCase:
        """A case to learn from.

        Args:
            number: of the case, from 0.
            labels: classes on the case's own grid; None for the base labels.
        """
        case = self.cases[number]
        label = case.label if labels is None else on_working_grid(labels, self.reader)
        return TrainingCase(case.case, case.image, label)

    def predicted(self, network: torch.nn.Module, number: int, settings: TrainingSettings) -> LabelMap:
        """Classes of a case on its own grid, as a network sees them."""
        case = self.cases[number]
        probabilities = predict_probabilities(network, case.image, settings)
        return replace(case.truth, voxels=self.reader.labelled(probabilities, case.truth).astype(np.uint8))

    def scored(self, labels: LabelMap, number: int, tolerance_mm: float) -> Scores:
        """Dice and NSD of a case against its base labels, [structure, metric]."""
        truth = self.cases[number].truth
        return scores_against(truth.voxels, labels.voxels, truth.geometry, self.scheme.classes, tolerance_mm)


def read_task(
    rows: Sequence[CaseRow], scheme: StructureScheme | None, spacing: Vector | None
) -> SegmentationTask:
    """Read all cases of a task.

    Args:
        rows: of the table, each with an image and a label map.
        scheme: structures to segment; None for every label value that occurs.
        spacing: of the networks' voxels towards right, anterior and superior in mm; None for the median.

    Raises:
        InputError: a file cannot be read, image and labels of a case are on different grids, two files call
            a label value by different names, or no case has one of the structures.
    """
    pairs = [read_pair(row) for row in rows]
    names = LabelNames({})
    for row, (_, labels) in zip(rows, pairs, strict=True):
        names = names.check(row.label, labels)
    scheme = scheme or scheme_of([truth for _, truth in pairs])
    reader = CaseReader(spacing or median_spacing([v.geometry for v, _ in pairs]), scheme.classes)
    cases = []
    for row, (volume, labels) in zip(rows, pairs, strict=True):
        truth = class_map(labels, scheme)
        grid = working_grid(volume.geometry, reader.preparation)
        image = reader.preparation.image(volume)[0].numpy()
        cases.append(StudyCase(row.case, image, on_working_grid(truth, reader), grid, truth))
    for name, value in zip(scheme.names, scheme.classes, strict=True):
        if not any((case.truth.voxels == value).any() for case in cases):
            raise InputError(f"No case has the structure {name} (label {_listed(scheme.structures[name])}).")
    return SegmentationTask(tuple(rows), scheme, reader, tuple(cases), names)


def class_map(labels: LabelMap, scheme: StructureScheme) -> LabelMap:
    """A label map of a file as classes."""
    return LabelMap.from_voxels(scheme.classes_of(labels.voxels), labels.geometry)


def on_working_grid(classes: LabelMap, reader: CaseReader) -> NDArray[np.int16]:
    """The class that fills most of every voxel of the networks' grid."""
    shares = reader.preparation.labels(classes).numpy()
    label: NDArray[np.int16] = shares.argmax(axis=0).astype(np.int16)
    return label


def read_on_grid(path: Path, geometry: Geometry, case: str) -> LabelMap:
    """A label map that has to lie on a case's grid. Raises InputError."""
    labels = read_label_map(path)
    difference = labels.geometry.difference(geometry)
    if difference is not None:
        raise InputError(f"{path} (case {case}) does not lie on the case's image: {difference}.")
    return labels


def median_spacing(grids: Sequence[Geometry]) -> Vector:
    """Median over some grids, towards right, anterior and superior, in mm."""
    turned = [np.array(grid.spacing)[list(grid.turn_to(ORIENTATION)[0])] for grid in grids]
    right, anterior, superior = (float(length) for length in np.median(np.stack(turned), axis=0))
    return right, anterior, superior


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
