"""DICOM segmentation objects (SEG) that refer to the series that was drawn on.

Every segment is stored as binary frames of its own, so segments may overlap. The object is written with
highdicom and read back with pydicom, voxel for voxel, before anything is published.

The study, series, instance and frame of reference UIDs of the source are in every SEG: without them it
belongs to nothing. What names or describes the patient is not, unless identifiers are asked for: the case's
name takes the place of name and ID, and the object says that the identity was removed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt import __version__
from pgt.errors import InputError, OutputError, PGTError
from pgt.export.dicom_seg_check import check_dicom_seg
from pgt.export.segment_codes import Coding, SegmentCodes
from pgt.geometry import Geometry
from pgt.output_files import whole_file
from pgt.volume import Color

if TYPE_CHECKING:
    from pydicom import Dataset

Mask = NDArray[np.bool_]

_UNKNOWN_ALGORITHM = "not recorded"
_SERIES_NUMBER = 100

_STUDY_EMPTIED = ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID")
_PATIENT_EMPTIED = ("PatientBirthDate", "PatientSex")
_MAY_BE_EMPTY = ("PatientName", "PatientID", *_PATIENT_EMPTIED, *_STUDY_EMPTIED)
_TIES = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
_PATIENT_GROUPS = (0x0010, 0x0012, 0x0032, 0x0038)
_STUDY_KEYWORDS = (
    "StudyDescription", "ProcedureCodeSequence", "ConsultingPhysicianName", "PhysiciansOfRecord",
    "ConsultingPhysicianIdentificationSequence", "PhysiciansOfRecordIdentificationSequence",
    "NameOfPhysiciansReadingStudy", "PhysiciansReadingStudyIdentificationSequence",
    "ReferringPhysicianIdentificationSequence", "RequestingServiceCodeSequence", "ReferencedStudySequence",
    "ReasonForPerformedProcedureCodeSequence", "IssuerOfAccessionNumberSequence", "InstitutionName",
    "InstitutionAddress", "InstitutionalDepartmentName", "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence", "RequestingService",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class DicomSegment:
    """One segment to write.

    Args:
        name: its label.
        mask: voxels [i, j, k] on the grid of the series.
        codes: what it is.
        color: red, green and blue from 0 to 1.
        drawn_by_hand: a rater drew every slice; otherwise a machine filled some, or nothing is known.
        algorithm: what filled slices, empty if unknown.
    """

    name: str
    mask: Mask
    codes: SegmentCodes
    color: Color
    drawn_by_hand: bool
    algorithm: str = ""


@dataclass(frozen=True)
class SourceSeries:
    """The series that was drawn on.

    Args:
        geometry: with k along the normal of the slices, as :func:`pgt.dicom_series.read_series` gives it.
        headers: of its files without pixels; one for each slice k, or a single multi-frame one.
        frames: for each slice k its frame in a multi-frame file, None for single-frame files.
    """

    geometry: Geometry
    headers: tuple[Dataset, ...]
    frames: tuple[int, ...] | None


def read_source(folder: Path) -> SourceSeries:
    """The headers of a series in the order of its slices.

    Raises:
        InputError: the folder holds no series, or one that is no volume, such as one that lacks slices.
    """
    import pydicom

    from pgt.dicom_series import series_frames

    geometry, places = series_frames(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes the values it doubts
        files = list(dict.fromkeys(path for path, _ in places))
        headers = tuple(pydicom.dcmread(file, stop_before_pixels=True) for file in files)
        _check_headers(folder, headers)
        for header in headers:
            for keyword in _MAY_BE_EMPTY:
                if keyword not in header:  # as whoever took the patient's identity out may have left it
                    setattr(header, keyword, "")
    if len(headers) == len(places):
        return SourceSeries(geometry, headers, None)
    if len(headers) > 1:
        raise InputError(f"{folder} holds several multi-frame files; a DICOM SEG can refer to one.")
    return SourceSeries(geometry, headers, tuple(number for _, number in places))


def _check_headers(folder: Path, headers: Sequence[Dataset]) -> None:
    """Everything that ties a segmentation to its series is there, and the same in every file."""
    for keyword in _TIES:
        values = {str(header.get(keyword, "")) for header in headers}
        if "" in values:
            raise InputError(f"{folder} holds a DICOM image without {keyword}, which a DICOM SEG needs.")
        if len(values) > 1:
            raise InputError(f"{folder} holds DICOM images with different {keyword}; is it one series?")


def write_dicom_seg(
    path: Path,
    segments: Sequence[DicomSegment],
    source: SourceSeries,
    case: str,
    rater: str = "",
    identifiers: bool = False,
) -> None:
    """Write a segmentation object and read it back.

    Args:
        path: of the object, which must not exist.
        segments: in the order of their numbers from 1.
        source: the series.
        case: the name that takes the place of the patient's.
        rater: pseudonym of who answers for the segmentation.
        identifiers: keep what the series says of patient and study.

    Raises:
        InputError: there is no segment, or the series lacks an attribute that is needed.
        OutputError: the file exists, or cannot be written.
        PGTError: highdicom is not installed.
    """
    check_highdicom()
    if not segments:
        raise InputError(f"Case {case} has no segment, and a DICOM SEG needs one.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values in the source that pydicom doubts, quoting them
        dataset = _dataset(segments, source, case, rater)
        if not identifiers:
            _remove_identity(dataset, case)
        with whole_file(path) as beside:
            dataset.save_as(beside)
            masks = [segment.mask for segment in segments]
            if not check_dicom_seg(beside, masks, source.geometry):
                raise OutputError(f"{path} did not read back as it was written; the disk may be full.")


def check_highdicom() -> None:
    """Refuse to go on without highdicom.

    Raises:
        PGTError: it is not installed.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise PGTError('DICOM SEG needs the package highdicom: pip install "pgt-toolkit[export]".') from error


def _dataset(segments: Sequence[DicomSegment], source: SourceSeries, case: str, rater: str) -> Any:
    import highdicom
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    try:
        return highdicom.seg.Segmentation(
            source_images=list(source.headers),
            pixel_array=_frames(segments, source),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(n, one) for n, one in enumerate(segments, start=1)],
            series_instance_uid=generate_uid(),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="PGT Toolkit",
            manufacturer_model_name="pgt export",
            software_versions=__version__,
            device_serial_number="none",
            content_description="Exported by PGT Toolkit",
            content_creator_name=_person_name(rater),
            transfer_syntax_uid=ExplicitVRLittleEndian,
            omit_empty_frames=any(segment.mask.any() for segment in segments),
            series_description="Segmentation exported by PGT Toolkit",
        )
    except AttributeError as error:
        if not isinstance(error.obj, pydicom.Dataset):
            raise
        raise InputError(
            f"The DICOM series of case {case} lacks {error.name}, which a DICOM SEG needs."
        ) from error
    except ValueError as error:
        # Without what was said: it may quote the header, and with it the patient.
        raise InputError(
            f"A DICOM SEG cannot refer to the DICOM series of case {case}: its headers contradict each other "
            "or the standard."
        ) from error


def _person_name(rater: str) -> str | None:
    """A pseudonym as a person's family name; what separates the parts of names is left out."""
    cleaned = "".join(" " if letter in "^=\\" else letter for letter in rater).strip()
    return f"{cleaned}^" if cleaned else None


def _frames(segments: Sequence[DicomSegment], source: SourceSeries) -> NDArray[np.uint8]:
    """Frames [frame, row, column] with segment numbers, or [frame, row, column, segment] where they overlap.

    Frames are in the order of the source: k for single-frame files, the file's own for a multi-frame one.
    """
    order = range(source.geometry.shape[2]) if source.frames is None else np.argsort(source.frames)
    highest = sum(segment.mask.astype(np.uint8) for segment in segments)
    overlap = bool(np.max(highest) > 1)
    if overlap or len(segments) > np.iinfo(np.uint8).max:
        stacked = np.stack([segment.mask for segment in segments], axis=-1)
        return stacked.transpose(2, 1, 0, 3)[list(order)].astype(np.uint8)
    numbers = np.zeros(source.geometry.shape, np.uint8)
    for number, segment in enumerate(segments, start=1):
        numbers[segment.mask] = number
    return numbers.transpose(2, 1, 0)[list(order)]


def _description(number: int, segment: DicomSegment) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    algorithm = None
    if not segment.drawn_by_hand:
        algorithm = highdicom.AlgorithmIdentificationSequence(
            name=(segment.algorithm or _UNKNOWN_ALGORITHM)[:64],
            family=codes.DCM.ArtificialIntelligence,
            version=__version__,
        )
    described = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:64],
        segmented_property_category=_concept(segment.codes.category),
        segmented_property_type=_concept(segment.codes.type),
        algorithm_type="MANUAL" if segment.drawn_by_hand else "SEMIAUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[_concept(segment.codes.region)] if segment.codes.region else None,
    )
    described.RecommendedDisplayCIELabValue = list(cielab_of(segment.color))
    if segment.codes.modifier:
        kind = described.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(segment.codes.modifier)]
    if segment.codes.region_modifier:
        region = described.AnatomicRegionSequence[0]
        region.AnatomicRegionModifierSequence = [_concept(segment.codes.region_modifier)]
    return described


def _concept(coding: Coding) -> Any:
    import highdicom

    return highdicom.sr.CodedConcept(coding.value, coding.scheme, coding.meaning)


def cielab_of(color: Color) -> tuple[int, int, int]:
    """An sRGB colour as DICOM stores colours: CIELab under D50, 16 bits a part (PS3.3 C.10.7.1.1).

    The matrix is sRGB's primaries, adapted to D50 by Bradford's method.
    """
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
    to_xyz = np.array(
        [
            [0.4360747, 0.3850649, 0.1430804],
            [0.2225045, 0.7168786, 0.0606169],
            [0.0139322, 0.0971045, 0.7141733],
        ]
    )
    white = np.array([0.96422, 1.0, 0.82521])
    x, y, z = (
        part ** (1 / 3) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116
        for part in to_xyz @ np.array(linear) / white
    )
    lightness, red_green, yellow_blue = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    scaled = (lightness / 100, (red_green + 128) / 255, (yellow_blue + 128) / 255)
    first, second, third = (round(float(np.clip(part, 0, 1)) * 65535) for part in scaled)
    return first, second, third


def _remove_identity(dataset: Any, case: str) -> None:
    """Put the case's name in the place of the patient, and take out what else describes patient and study."""
    for element in list(dataset):
        patient = element.tag.group in _PATIENT_GROUPS
        if patient or element.keyword in _STUDY_KEYWORDS or element.tag.is_private:
            del dataset[element.tag]
    for keyword in (*_STUDY_EMPTIED, *_PATIENT_EMPTIED):
        setattr(dataset, keyword, "")
    dataset.PatientName = dataset.PatientID = case
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "PGT Toolkit: patient and study module"


def source_identifiers(source: SourceSeries) -> Mapping[str, str]:
    """Identifiers of patient, study and series by DICOM keyword, for those who ask for them; no names."""
    keywords = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber")
    found = {keyword: str(source.headers[0].get(keyword, "")) for keyword in keywords}
    return {keyword: value for keyword, value in found.items() if value}
