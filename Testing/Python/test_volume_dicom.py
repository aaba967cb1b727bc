"""A folder of DICOM slices is one volume, or a sentence says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from geometries import DIRECTIONS, rotation
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.volume_io import read_geometry, read_label_map, read_volume

PATIENT = "Doe^John"
SPACING = (0.7, 0.9, 2.5)
ORIGIN = np.array([-31.25, 12.5, 900.125])

Edit = Callable[[int, pydicom.Dataset], None]


def stored_numbers(shape: tuple[int, int, int] = (7, 6, 5)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.int16)


def slice_header(series: str) -> pydicom.Dataset:
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = generate_uid()
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.PatientName = header.PatientID = PATIENT
    header.Modality = "CT"
    header.SeriesInstanceUID = series
    header.StudyInstanceUID = generate_uid()
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
    header.RescaleSlope, header.RescaleIntercept = 1, -1024
    return header


def write_series(
    folder: Path,
    voxels: np.ndarray,
    direction: np.ndarray | None = None,
    edit: Edit = lambda number, header: None,
) -> None:
    """Slices [i, j, k] in files whose names have nothing to do with their order."""
    direction = np.array(DIRECTIONS["RAS"]) if direction is None else direction
    folder.mkdir(exist_ok=True)
    series = generate_uid()
    names = np.random.default_rng(1).permutation(voxels.shape[2])
    for number in range(voxels.shape[2]):
        header = slice_header(series)
        header.Columns, header.Rows = voxels.shape[:2]
        header.PixelSpacing = [SPACING[1], SPACING[0]]
        header.SliceThickness = SPACING[2]
        header.ImageOrientationPatient = [*direction[:, 0], *direction[:, 1]]
        header.ImagePositionPatient = list(ORIGIN + number * SPACING[2] * direction[:, 2])
        header.PixelData = voxels[:, :, number].T.tobytes()
        edit(number, header)
        header.save_as(folder / f"{series[-6:]}_{names[number]}", enforce_file_format=True)


def expected_geometry(shape: tuple[int, int, int], direction: np.ndarray) -> Geometry:
    to_ras = np.diag([-1.0, -1.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, :3] = to_ras @ direction * SPACING
    matrix[:3, 3] = to_ras @ ORIGIN
    return Geometry.from_ijk_to_ras(matrix, shape)


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -15, 35), (90, 0, 90), (-100, 40, 170)])
def test_slices_are_stacked_where_their_positions_say(tmp_path: Path, angles: tuple[float, ...]) -> None:
    direction = rotation(*angles).round(6)
    stored = stored_numbers()
    write_series(tmp_path / "series", stored, direction)
    (tmp_path / "series" / "notes.txt").write_text("not DICOM")
    volume = read_volume(tmp_path / "series")
    np.testing.assert_array_equal(volume.voxels, stored - 1024)
    expected = expected_geometry(stored.shape, direction)
    np.testing.assert_allclose(volume.geometry.ijk_to_ras, expected.ijk_to_ras, atol=1e-4)
    assert read_geometry(tmp_path / "series") == volume.geometry


def test_a_compressed_series_is_read(tmp_path: Path) -> None:
    stored = stored_numbers((64, 48, 5))
    write_series(tmp_path / "series", stored, edit=lambda number, header: header.compress(RLELossless))
    np.testing.assert_array_equal(read_volume(tmp_path / "series").voxels, stored - 1024)


def test_slopes_of_each_slice_are_applied(tmp_path: Path) -> None:
    """As PET is stored."""

    def scale(number: int, header: pydicom.Dataset) -> None:
        header.RescaleSlope, header.RescaleIntercept = 1 + number / 4, 0

    stored = stored_numbers()
    write_series(tmp_path / "series", stored, edit=scale)
    expected = stored * (1 + np.arange(stored.shape[2]) / 4)
    np.testing.assert_allclose(read_volume(tmp_path / "series").voxels, expected, rtol=1e-6)


def test_a_series_of_one_slice_takes_its_thickness(tmp_path: Path) -> None:
    write_series(tmp_path / "series", stored_numbers((7, 6, 1)))
    assert read_volume(tmp_path / "series").geometry.spacing == pytest.approx(SPACING)


def test_rounded_positions_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def shift(number: int, header: pydicom.Dataset) -> None:
        header.ImagePositionPatient[2] += 0.1 * (number == 2)

    write_series(tmp_path / "series", stored_numbers(), edit=shift)
    with caplog.at_level(logging.WARNING):
        read_volume(tmp_path / "series")
    assert "2.4 to 2.6 mm apart; 2.5 mm is used for all" in caplog.text


def set_on_third(**attributes: object) -> Edit:
    def edit(number: int, header: pydicom.Dataset) -> None:
        if number == 2:
            for name, value in attributes.items():
                setattr(header, name, value)

    return edit


def move(number: int, header: pydicom.Dataset) -> None:
    """The slices after the third lie one slice further: one is missing."""
    header.ImagePositionPatient[2] += SPACING[2] * (number > 2)


def tilt(number: int, header: pydicom.Dataset) -> None:
    header.ImagePositionPatient[1] += 0.3 * number


def repeat(number: int, header: pydicom.Dataset) -> None:
    header.ImagePositionPatient[2] = ORIGIN[2] + SPACING[2] * (number // 2)


def colour(number: int, header: pydicom.Dataset) -> None:
    header.SamplesPerPixel, header.PhotometricInterpretation = 3, "RGB"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (move, "unevenly spaced slices, 2.5 to 5 mm apart"),
        (tilt, "tilted gantry"),
        (repeat, "several images at the same place"),
        (colour, "colour images"),
        (set_on_third(SeriesInstanceUID="1.2.3"), r"2 DICOM series \(4, 1 files\)"),
        (set_on_third(PixelSpacing=[0.5, 0.5]), "slices of different sizes"),
        (set_on_third(ImageOrientationPatient=[0, 1, 0, 0, 0, 1]), "slices in different directions"),
    ],
)
def test_what_is_no_single_volume_is_refused(tmp_path: Path, edit: Edit, words: str) -> None:
    write_series(tmp_path / "series", stored_numbers(), edit=edit)
    for read in (read_volume, read_geometry):
        with pytest.raises(InputError, match=words) as caught:
            read(tmp_path / "series")
        assert str(tmp_path / "series") in str(caught.value)
        assert "Doe" not in str(caught.value)


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no DICOM images"):
        read_volume(tmp_path)

    def drop_position(number: int, header: pydicom.Dataset) -> None:
        del header.ImagePositionPatient

    write_series(tmp_path / "series", stored_numbers(), edit=drop_position)
    with pytest.raises(InputError, match="without a position in the patient"):
        read_volume(tmp_path / "series")


def test_a_truncated_slice_is_refused_quietly(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "series", stored_numbers())
    file = next((tmp_path / "series").iterdir())
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(InputError, match="damaged DICOM image"):
        read_volume(tmp_path / "series")
    assert capfd.readouterr() == ("", "")


def test_dicom_is_no_label_map(tmp_path: Path) -> None:
    write_series(tmp_path / "series", stored_numbers())
    with pytest.raises(InputError, match="must be a NIfTI, NRRD or MetaImage"):
        read_label_map(tmp_path / "series")


def test_frames_of_an_enhanced_image_are_stacked_by_position(tmp_path: Path) -> None:
    stored = stored_numbers()
    header = slice_header(generate_uid())
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    header.Columns, header.Rows = stored.shape[:2]
    header.NumberOfFrames = stored.shape[2]
    order = [3, 0, 4, 1, 2]
    shared, orientation, measures = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    header.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for number in order:
        frame, position = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = list(ORIGIN + np.array([0, 0, number * SPACING[2]]))
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    header.PerFrameFunctionalGroupsSequence = frames
    header.PixelData = stored.transpose(2, 1, 0)[order].tobytes()
    header.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "enhanced.dcm")
    expected = expected_geometry(stored.shape, np.eye(3))
    np.testing.assert_allclose(volume.geometry.ijk_to_ras, expected.ijk_to_ras, atol=1e-6)
    np.testing.assert_array_equal(volume.voxels - volume.voxels.min(), stored - stored.min())
