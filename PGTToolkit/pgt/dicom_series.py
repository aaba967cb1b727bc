"""One DICOM series as a volume.

pydicom reads the headers: which series a folder holds and where each slice lies. SimpleITK (GDCM) reads the
pixels, compressed ones too, and applies the rescale slope. The geometry is made here from the headers, in
double precision, because a series reader that is given unevenly spaced slices only prints a warning.

Only technical tags are ever read, so no patient name can reach a message or a log.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.itk_images import quiet_libraries, voxels_of
from pgt.volume import Volume

_log = logging.getLogger(__name__)

_TAGS = [
    "SeriesInstanceUID", "Modality", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "RescaleSlope",
]  # fmt: skip

# A slice further from its even place than this part of the spacing means a slice is missing; a smaller
# shift is rounding by the scanner and is only worth a warning above the second limit.
_MISSING_SLICE = 0.1
_ROUNDED_SLICE = 0.02
_SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class _Frame:
    """One slice: where it is stored and where it lies (DICOM's LPS, mm)."""

    path: Path
    number: int
    size: tuple[int, int]
    position: NDArray[np.float64]
    rows_and_columns: NDArray[np.float64]
    pixel_spacing: tuple[float, float]
    thickness: float
    slope: float


def is_dicom(path: Path) -> bool:
    """Whether a path is a folder or a file with DICOM's preamble."""
    if not path.is_file():
        return path.is_dir()
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_series(path: Path) -> Volume:
    """Read the one image series of a folder, or one multi-frame file.

    Returns:
        The volume with k along the normal of the slices and the rescale slope applied.

    Raises:
        InputError: the folder holds no series or several, or the series is in colour, 4D, unevenly spaced, of
            mixed sizes or directions, tilted, or damaged.
    """
    frames = _frames_of_one_series(path)
    geometry, order = _stacked(path, frames)
    try:
        with quiet_libraries():
            voxels = _pixels([frames[n] for n in order])
    except RuntimeError as error:
        raise InputError(f"{path} holds a damaged DICOM image, or one in an unknown compression.") from error
    if voxels.shape != geometry.shape:
        raise InputError(f"{path} holds a damaged DICOM image: its size is not the one that its header says.")
    return Volume(voxels, geometry)


def series_geometry(path: Path) -> Geometry:
    """The geometry that :func:`read_series` gives, from the headers alone; it raises the same errors."""
    return _stacked(path, _frames_of_one_series(path))[0]


def series_frames(path: Path) -> tuple[Geometry, tuple[tuple[Path, int], ...]]:
    """The geometry of a series, and for each of its slices k the file and the number of the frame in it.

    From the headers alone; it raises the errors of :func:`read_series`.
    """
    frames = _frames_of_one_series(path)
    geometry, order = _stacked(path, frames)
    return geometry, tuple((frames[n].path, frames[n].number) for n in order)


def _frames_of_one_series(path: Path) -> list[_Frame]:
    headers = _image_headers(path)
    if not headers:
        raise InputError(f"{path} holds no DICOM images.")
    series = Counter(str(header.get("SeriesInstanceUID", "")) for _, header in headers)
    if len(series) > 1:
        counts = ", ".join(str(count) for _, count in series.most_common())
        raise InputError(
            f"{path} holds {len(series)} DICOM series ({counts} files); give a folder with one of them."
        )
    if any(int(header.get("SamplesPerPixel", 1)) != 1 for _, header in headers):
        raise InputError(f"{path} holds colour images; a scalar image is needed.")
    frames = [frame for file, header in headers for frame in _frames(file, header)]
    if not frames:
        raise InputError(f"{path} holds DICOM images without a position in the patient.")
    return frames


def _image_headers(path: Path) -> list[tuple[Path, pydicom.Dataset]]:
    """Headers of the image files in a folder; other files, DICOM or not, are passed over."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    headers: list[tuple[Path, pydicom.Dataset]] = []
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom quotes the values it doubts
                header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        except (InvalidDicomError, EOFError):
            continue
        except OSError as error:
            raise InputError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}.") from error
        if "Rows" in header and "SeriesInstanceUID" in header:
            headers.append((file, header))
    return headers


def _frames(file: Path, header: pydicom.Dataset) -> list[_Frame]:
    """The slices of a file: one, or as many as a multi-frame file describes."""
    shared = _first_item(header, "SharedFunctionalGroupsSequence")
    groups = header.get("PerFrameFunctionalGroupsSequence")
    frames = []
    for number, group in enumerate(groups if groups is not None else [pydicom.Dataset()]):
        entry = _Lookup((group, shared, header))
        position = entry.find("PlanePositionSequence", "ImagePositionPatient")
        orientation = entry.find("PlaneOrientationSequence", "ImageOrientationPatient")
        pixel_spacing = entry.find("PixelMeasuresSequence", "PixelSpacing")
        if position is None or orientation is None or pixel_spacing is None:
            continue
        thickness = (
            entry.find("PixelMeasuresSequence", "SpacingBetweenSlices")
            or entry.find("PixelMeasuresSequence", "SliceThickness")
            or 1.0
        )
        frames.append(
            _Frame(
                path=file,
                number=number,
                size=(int(header.Columns), int(header.Rows)),
                position=np.array(position, dtype=float),
                rows_and_columns=np.array(orientation, dtype=float).reshape(2, 3),
                pixel_spacing=(float(pixel_spacing[0]), float(pixel_spacing[1])),
                thickness=abs(float(thickness)),
                slope=float(header.get("RescaleSlope") or 1.0),
            )
        )
    if groups is None and int(header.get("NumberOfFrames") or 1) > 1:
        raise InputError(f"{file} holds several frames without saying where each one lies.")
    return frames


@dataclass(frozen=True)
class _Lookup:
    """Finds an attribute in a frame's own group, in the shared group, or in the plain header."""

    places: tuple[pydicom.Dataset, ...]

    def find(self, sequence: str, attribute: str) -> Any:
        for place in self.places:
            for item in (_first_item(place, sequence), place):
                if item.get(attribute) not in (None, ""):
                    return item[attribute].value
        return None


def _first_item(dataset: pydicom.Dataset, sequence: str) -> pydicom.Dataset:
    items = dataset.get(sequence)
    return items[0] if items else pydicom.Dataset()


def _stacked(path: Path, frames: list[_Frame]) -> tuple[Geometry, list[int]]:
    """The geometry of the stack, and the order in which its slices follow each other."""
    first = frames[0]
    if any(frame.size != first.size or frame.pixel_spacing != first.pixel_spacing for frame in frames):
        raise InputError(f"{path} holds slices of different sizes; is it more than one acquisition?")
    if any(
        np.abs(frame.rows_and_columns - first.rows_and_columns).max() > _SAME_DIRECTION for frame in frames
    ):
        raise InputError(f"{path} holds slices in different directions; is it a localizer?")
    along_row, along_column = first.rows_and_columns
    normal = np.cross(along_row, along_column)
    positions = np.array([frame.position for frame in frames])
    heights = positions @ normal
    order = [int(n) for n in np.argsort(heights, kind="stable")]
    spacing = _slice_spacing(path, heights[order], first.thickness)
    _refuse_tilt(path, positions[order], normal)
    to_ras = np.array([-1.0, -1.0, 1.0])
    direction = np.stack([along_row, along_column, normal], axis=1) * to_ras[:, None]
    row_distance, column_distance = first.pixel_spacing
    geometry = Geometry(
        shape=(*first.size, len(frames)),
        spacing=(column_distance, row_distance, spacing),
        origin=tuple(frames[order[0]].position * to_ras),
        direction=direction,
    )
    return geometry, order


def _slice_spacing(path: Path, heights: NDArray[np.float64], thickness: float) -> float:
    """Distance of neighbouring slices whose places along the normal are given in ascending order."""
    if len(heights) == 1:
        return thickness
    gaps = np.diff(heights)
    spacing = float(heights[-1] - heights[0]) / (len(heights) - 1)
    if gaps.min() < 0.01 * max(spacing, 1e-6):
        raise InputError(
            f"{path} holds several images at the same place (a 4D series); one volume is needed."
        )
    even = heights[0] + spacing * np.arange(len(heights))
    shift = float(np.abs(heights - even).max()) / spacing
    if shift > _MISSING_SLICE:
        raise InputError(
            f"{path} has unevenly spaced slices, {gaps.min():.4g} to {gaps.max():.4g} mm apart: "
            "a slice is missing, or the series is a mixture."
        )
    if shift > _ROUNDED_SLICE:
        _log.warning(
            "Slices of a DICOM series lie %.4g to %.4g mm apart; %.4g mm is used for all.",
            gaps.min(), gaps.max(), spacing,
        )  # fmt: skip
    return spacing


def _refuse_tilt(path: Path, positions: NDArray[np.float64], normal: NDArray[np.float64]) -> None:
    travel = positions[-1] - positions[0]
    sideways = np.linalg.norm(travel - (travel @ normal) * normal)
    if sideways > _SAME_DIRECTION * max(float(np.linalg.norm(travel)), 1.0):
        raise InputError(f"{path} was scanned with a tilted gantry; correct the tilt in 3D Slicer first.")


def _pixels(frames: list[_Frame]) -> NDArray[Any]:
    """Voxels [i, j, k] of slices in their order."""
    paths = [str(frame.path) for frame in frames]
    if len(set(paths)) == 1:
        return voxels_of(sitk.ReadImage(paths[0], imageIO="GDCMImageIO"))[:, :, [f.number for f in frames]]
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames(paths)
    if len({frame.slope for frame in frames}) > 1:
        # PET scales every slice on its own; SimpleITK would cut all of them to the first slice's type.
        reader.SetOutputPixelType(sitk.sitkFloat32)
    return voxels_of(reader.Execute())
