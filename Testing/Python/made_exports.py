"""Small cases to export: images, segmentations in layers with slice states, DICOM series that are whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import generate_uid
from test_volume_dicom import Edit, write_series

from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.case_table import CaseRow, write_case_table
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import read_geometry, write_label_map, write_layers, write_volume

LIVER_CODES = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
    "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)
KIDNEY_CODES = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
    "~SCT^64033007^Kidney~SCT^7771000^Left~Anatomic codes - DICOM master list~SCT^818983003^Abdomen~^^"
)
OBLIQUE = Geometry(
    (12, 10, 8),
    (0.7, 0.9, 2.5),
    (-31.25, 12.5, 900.125),
    ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
)
PATIENT = "Doe^John"
MACHINE = f"network old sha256:{'ab' * 32}"


def box(shape: Sequence[int], start: Sequence[int], stop: Sequence[int]) -> np.ndarray:
    """A box of ones."""
    voxels = np.zeros(shape, np.uint8)
    voxels[tuple(slice(low, high) for low, high in zip(start, stop, strict=True))] = 1
    return voxels


@dataclass
class MadeCase:
    """What a case's files are made from: a liver and a kidney, which overlap if wanted."""

    geometry: Geometry = OBLIQUE
    overlap: bool = False
    ledger: SliceLedger = field(default_factory=SliceLedger)
    names: tuple[str, str] = ("Liver", "Kidney")
    seed: int = 0

    @property
    def liver(self) -> np.ndarray:
        return box(self.geometry.shape, (2, 2, 1), (7, 7, 5))

    @property
    def kidney(self) -> np.ndarray:
        start = (5, 5, 3) if self.overlap else (8, 2, 2)
        return box(self.geometry.shape, start, (11, 9, 6))

    @property
    def image(self) -> Volume:
        values = np.random.default_rng(self.seed).integers(-500, 1500, self.geometry.shape)
        return Volume(values.astype(np.int16), self.geometry)

    def layers(self) -> list[LabelMap]:
        liver = Segment(1, self.names[0], (0.8, 0.4, 0.2), LIVER_CODES, "S_liver")
        kidney = Segment(1, self.names[1], (0.2, 0.6, 0.9), KIDNEY_CODES, "S_kidney")
        return [
            LabelMap(self.liver, self.geometry, (liver,)),
            LabelMap(self.kidney, self.geometry, (kidney,)),
        ]

    def write(self, folder: Path, case: str) -> CaseRow:
        """``<case>_ct.nii.gz`` and ``<case>.seg.nrrd``."""
        image, label = folder / f"{case}_ct.nii.gz", folder / f"{case}.seg.nrrd"
        write_volume(self.image, image)
        states = {
            segment: SliceLedger(record for record in self.ledger if record.segment == segment)
            for segment in self.ledger.segments
        }
        write_layers(self.layers(), label, states)
        return CaseRow(case, image, label)


def record(segment: str, index: int, state: SliceState, **others: object) -> SliceRecord:
    """The state of one slice across k."""
    drawn = state is not SliceState.PROPAGATED
    values = {
        "rater": "rater 1" if drawn else "network default",
        "session": "first",
        "time": "2026-11-21T09:30:00+00:00",
        "confidence": None if drawn else 0.75,
        "machine": MACHINE if state is SliceState.REVIEWED else "",
        **others,
    }
    return SliceRecord(segment, 2, index, state, **values)  # type: ignore[arg-type]


def reviewed_ledger(propagated: int = 0) -> SliceLedger:
    """Both segments on slices 0 to 7: the first two drawn, the last so many propagated, the rest accepted."""
    ledger = SliceLedger()
    for segment in ("S_liver", "S_kidney"):
        for index in range(8):
            state = SliceState.REVIEWED if index > 1 else SliceState.ANNOTATED
            state = SliceState.PROPAGATED if index >= 8 - propagated else state
            ledger.mark(record(segment, index, state))
    return ledger


def table(folder: Path, rows: Sequence[CaseRow], name: str = "cases.csv") -> Path:
    path = folder / name
    write_case_table(path, rows, overwrite=True)
    return path


def write_whole_series(
    folder: Path, voxels: np.ndarray, direction: np.ndarray, edit: Edit = lambda number, header: None
) -> Geometry:
    """A series with the attributes that every scanner writes, its files in no order; its geometry."""
    study, frame_of_reference = generate_uid(), generate_uid()

    def complete(number: int, header: pydicom.Dataset) -> None:
        header.StudyInstanceUID, header.FrameOfReferenceUID = study, frame_of_reference
        header.PatientName = PATIENT
        header.PatientID = "ID-4711"
        header.PatientBirthDate, header.PatientSex = "19600102", "M"
        header.StudyDate, header.StudyTime = "20200304", "050607"
        header.AccessionNumber, header.StudyID = "ACC-99", "STUDY-5"
        header.ReferringPhysicianName = "House^Gregory"
        header.StudyDescription = "Abdomen of Doe"
        header.InstitutionName = "Princeton-Plainsboro"
        header.OtherPatientIDs = "OTHER-1"
        header.PatientComments = "Doe again"
        header.SeriesNumber, header.InstanceNumber = 3, number + 1
        edit(number, header)

    write_series(folder, voxels, direction, complete)
    return read_geometry(folder)


def written_label_map(path: Path, voxels: np.ndarray, geometry: Geometry = OBLIQUE) -> Path:
    """A plain label map, whose labels nobody named."""
    write_label_map(LabelMap.from_voxels(voxels, geometry), path)
    return path
