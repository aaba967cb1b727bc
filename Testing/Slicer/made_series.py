"""A DICOM series as a scanner writes it, whose patient must not appear in any export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pgt.geometry import Geometry

PATIENT = "Doe^John"
PATIENT_ID = "ID-4711"
_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def write_series(folder: Path, voxels: np.ndarray, geometry: Geometry) -> list[str]:
    """One file a slice across k; the instances' UIDs, in the order of the slices.

    Args:
        folder: where; it must exist.
        voxels: int16 [i, j, k].
        geometry: with orthogonal axes, k along the cross product of i and j in DICOM's axes.
    """
    direction = _TO_LPS @ geometry.ijk_to_ras[:3, :3] / np.array(geometry.spacing)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    instances = []
    for number in range(voxels.shape[2]):
        header = pydicom.Dataset()
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = CTImageStorage
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
        header.PatientName, header.PatientID = PATIENT, PATIENT_ID
        header.PatientBirthDate, header.PatientSex = "19600102", "M"
        header.StudyDate, header.StudyTime, header.StudyID = "20200304", "050607", "STUDY-5"
        header.AccessionNumber, header.ReferringPhysicianName = "ACC-99", "House^Gregory"
        header.StudyInstanceUID, header.SeriesInstanceUID = study, series
        header.FrameOfReferenceUID, header.Modality = frame, "CT"
        header.SeriesNumber, header.InstanceNumber = 3, number + 1
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        header.Columns, header.Rows = voxels.shape[:2]
        header.PixelSpacing = [f"{geometry.spacing[1]:.8g}", f"{geometry.spacing[0]:.8g}"]
        header.SliceThickness = f"{geometry.spacing[2]:.8g}"
        header.ImageOrientationPatient = [f"{value:.12g}" for value in [*direction[:, 0], *direction[:, 1]]]
        corner = _TO_LPS @ (geometry.ijk_to_ras @ np.array([0, 0, number, 1.0]))[:3]
        header.ImagePositionPatient = [f"{value:.10g}" for value in corner]
        header.PixelData = np.ascontiguousarray(voxels[:, :, number].T).tobytes()
        header.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)
        instances.append(str(header.SOPInstanceUID))
    return instances
