"""DICOM SEG objects hold every voxel in its place, and nothing of the patient that was not asked for.

What was written with highdicom is read back here three ways: with pydicom and the bits of the standard, with
SimpleITK (GDCM), and with highdicom's own reader.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from geometries import rotation
from made_exports import KIDNEY_CODES, LIVER_CODES, MadeCase, box, reviewed_ledger, table, write_whole_series
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid
from test_volume_dicom import SPACING, slice_header

from pgt.annotation import SliceLedger, SliceRecord
from pgt.case_table import CaseRow
from pgt.errors import InputError, OutputError
from pgt.export import dicom_seg
from pgt.export.case_list import read_cases
from pgt.export.dicom_seg import cielab_of
from pgt.export.dicom_seg_check import check_dicom_seg, read_dicom_seg
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.export.segment_codes import DEFAULT_CODES, Coding, segment_codes
from pgt.geometry import Geometry
from pgt.resampling import reoriented
from pgt.volume import LabelMap, Segment
from pgt.volume_io import read_geometry, write_layers

highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")

SEG = ExportSettings((ExportFormat.DICOM_SEG,))
SHAPE = (13, 9, 6)
AXIAL = np.eye(3)
SAGITTAL = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
CORONAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
OBLIQUE = rotation(20, -15, 35).round(6)


def masks(overlap: bool) -> tuple[np.ndarray, np.ndarray]:
    liver = box(SHAPE, (1, 2, 1), (8, 7, 5))
    kidney = box(SHAPE, (6, 4, 2) if overlap else (9, 1, 0), (12, 8, 6))
    liver[1, 2, 1] = 0  # so that no axis can be mistaken for its mirror
    assert bool((liver & kidney).any()) is overlap
    return liver, kidney


def write_case(
    folder: Path,
    direction: np.ndarray = OBLIQUE,
    overlap: bool = True,
    orientation: str = "",
    ledger: SliceLedger | None = None,
) -> CaseRow:
    """A series, and a segmentation on its grid, or with its voxels in another order."""
    voxels = np.random.default_rng(3).integers(0, 3000, SHAPE).astype(np.int16)
    geometry = write_whole_series(folder / "series", voxels, direction)
    layers = [
        LabelMap(mask, geometry, (Segment(1, name, color, codes, identifier),))
        for mask, name, color, codes, identifier in zip(
            masks(overlap), ("Liver", "Kidney"), ((0.8, 0.4, 0.2), (0.2, 0.6, 0.9)),
            (LIVER_CODES, KIDNEY_CODES), ("S_liver", "S_kidney"), strict=True,
        )
    ]  # fmt: skip
    if orientation:
        layers = [reoriented(layer, orientation) for layer in layers]
    by_segment: dict[str, list[SliceRecord]] = {}
    for record in ledger or ():
        by_segment.setdefault(record.segment, []).append(record)
    write_layers(layers, folder / "a.seg.nrrd", {name: SliceLedger(one) for name, one in by_segment.items()})
    return CaseRow("case-1", folder / "series", folder / "a.seg.nrrd")


def exported(folder: Path, row: CaseRow, settings: ExportSettings = SEG) -> Path:
    export_cases(read_cases(table(folder, [row])), settings, folder / "out")
    return folder / "out" / "dicom-seg" / "case-1.dcm"


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize(
    "direction", [AXIAL, SAGITTAL, CORONAL, OBLIQUE], ids=["axial", "sagittal", "coronal", "oblique"]
)
def test_every_voxel_comes_back(tmp_path: Path, direction: np.ndarray, overlap: bool) -> None:
    row = write_case(tmp_path, direction, overlap)
    path = exported(tmp_path, row)
    geometry = read_geometry(tmp_path / "series")
    for found, mask in zip(read_dicom_seg(path, geometry, 2), masks(overlap), strict=True):
        np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("overlap", [False, True])
def test_simpleitk_reads_the_same_frames(tmp_path: Path, overlap: bool) -> None:
    """GDCM decodes the bits; the positions are those of the frames in their order.

    GDCM leaves undefined the pixels that do not fill a last byte, as frames of 13x9 may have.
    """
    path = exported(tmp_path, write_case(tmp_path, OBLIQUE, overlap))
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    undefined = frames.size % 8
    assert undefined == (0 if overlap else 2)
    frames[-1, -1, frames.shape[2] - undefined :] = 0
    header = pydicom.dcmread(path, stop_before_pixels=True)
    geometry = read_geometry(tmp_path / "series")
    found = [np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)]
    for frame, group in zip(frames, header.PerFrameFunctionalGroupsSequence, strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float) * [-1, -1, 1]
        k = round((geometry.ras_to_ijk @ [*position, 1])[2])
        found[number - 1][:, :, k] = frame.T > 0
    for read, mask in zip(found, masks(overlap), strict=True):
        np.testing.assert_array_equal(read, mask)


@pytest.mark.parametrize("overlap", [False, True])
def test_highdicom_reads_the_same_places(tmp_path: Path, overlap: bool) -> None:
    """Through its own volume: the affine takes its indices to the patient's LPS."""
    if not hasattr(highdicom.seg.Segmentation, "get_volume"):
        pytest.skip("highdicom before 0.24 reads no volumes")
    path = exported(tmp_path, write_case(tmp_path, OBLIQUE, overlap))
    volume = highdicom.seg.segread(path).get_volume(combine_segments=False)
    geometry = read_geometry(tmp_path / "series")
    for number, mask in enumerate(masks(overlap)):
        indices = np.argwhere(volume.array[..., number])
        lps = indices @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        ijk = (lps * [-1, -1, 1]) @ geometry.ras_to_ijk[:3, :3].T + geometry.ras_to_ijk[:3, 3]
        read = np.zeros(SHAPE, np.uint8)
        read[tuple(np.rint(ijk).astype(int).T)] = 1
        assert np.abs(ijk - np.rint(ijk)).max() < 0.02
        np.testing.assert_array_equal(read, mask)


def test_frames_refer_to_the_slices_that_they_lie_on(tmp_path: Path) -> None:
    row = write_case(tmp_path)
    header = pydicom.dcmread(exported(tmp_path, row), stop_before_pixels=True)
    sources = [pydicom.dcmread(file, stop_before_pixels=True) for file in (tmp_path / "series").iterdir()]
    positions = {one.SOPInstanceUID: np.array(one.ImagePositionPatient, float) for one in sources}
    assert header.ReferencedSeriesSequence[0].SeriesInstanceUID == sources[0].SeriesInstanceUID
    assert header.StudyInstanceUID == sources[0].StudyInstanceUID
    assert header.FrameOfReferenceUID == sources[0].FrameOfReferenceUID
    for group in header.PerFrameFunctionalGroupsSequence:
        referred = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        place = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        np.testing.assert_allclose(positions[referred], place, atol=1e-4)


@pytest.mark.parametrize("orientation", ["RAS", "LPI", "SPL", "AIR"])
def test_a_segmentation_in_another_order_of_voxels(tmp_path: Path, orientation: str) -> None:
    path = exported(tmp_path, write_case(tmp_path, SAGITTAL, True, orientation))
    geometry = read_geometry(tmp_path / "series")
    for found, mask in zip(read_dicom_seg(path, geometry, 2), masks(True), strict=True):
        np.testing.assert_array_equal(found, mask)


def test_codes_colours_and_algorithm_come_from_the_segments(tmp_path: Path) -> None:
    ledger = reviewed_ledger(propagated=3)
    kept = SliceLedger(one for one in ledger if one.index < 2 or (one.segment == "S_liver" and one.index < 6))
    header = pydicom.dcmread(exported(tmp_path, write_case(tmp_path, ledger=kept)), stop_before_pixels=True)
    liver, kidney = header.SegmentSequence
    assert (liver.SegmentLabel, liver.SegmentedPropertyTypeCodeSequence[0].CodeValue) == ("Liver", "10200004")
    assert liver.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert liver.SegmentAlgorithmName == "network default, network old"
    assert kidney.SegmentAlgorithmType == "MANUAL"
    kind = kidney.SegmentedPropertyTypeCodeSequence[0]
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert kidney.AnatomicRegionSequence[0].CodeValue == "818983003"
    assert list(liver.RecommendedDisplayCIELabValue) == list(cielab_of((0.8, 0.4, 0.2)))


def test_segments_without_terminology_get_the_default_code_and_a_message(tmp_path: Path) -> None:
    row = write_case(tmp_path)
    geometry = read_geometry(tmp_path / "series")
    layer = LabelMap(masks(False)[0], geometry, (Segment(1, "Thing", (1, 0, 0), "", "S_1"),))
    write_layers([layer], tmp_path / "b.seg.nrrd", {})
    report = export_cases(
        read_cases(table(tmp_path, [replace(row, label=tmp_path / "b.seg.nrrd")])), SEG, tmp_path / "out"
    )
    assert "Thing" in report.messages[0]
    header = pydicom.dcmread(tmp_path / "out" / "dicom-seg" / "case-1.dcm", stop_before_pixels=True)
    assert header.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "85756007"


@pytest.mark.parametrize(
    ("entry", "type_", "region"),
    [
        (LIVER_CODES, Coding("SCT", "10200004", "Liver"), None),
        (KIDNEY_CODES, Coding("SCT", "64033007", "Kidney"), Coding("SCT", "818983003", "Abdomen")),
        ("", DEFAULT_CODES.type, None),
        ("a~b~c", DEFAULT_CODES.type, None),
        ("x~SCT^1^a~^^~^^~y~^^~^^", DEFAULT_CODES.type, None),
        ("x~SCT^1^a~MUCH-TOO-LONG-SCHEME^1^b~^^~y~^^~^^", DEFAULT_CODES.type, None),
    ],
)
def test_codes_of_terminology_entries(entry: str, type_: Coding, region: Coding | None) -> None:
    found = segment_codes(entry)
    assert (found.type, found.region) == (type_, region)
    assert found.given is (type_ is not DEFAULT_CODES.type)


@pytest.mark.parametrize("color", [(1, 1, 1), (0, 0, 0), (1, 0, 0), (0.2, 0.6, 0.9), (0.01, 0.02, 0.9)])
def test_colours_match_an_independent_library(color: tuple[float, float, float]) -> None:
    skimage = pytest.importorskip("skimage.color")
    lightness, a, b = skimage.xyz2lab(
        skimage.rgb2xyz(np.array([[color]], float)) * [0.96422, 1.0, 0.82521] / [0.95047, 1.0, 1.08883],
        illuminant="D50",
    )[0, 0]
    if max(color) == min(color):  # scaling white points is not Bradford's adaptation, except on greys
        stored = np.array([lightness / 100, (a + 128) / 255, (b + 128) / 255]) * 65535
        np.testing.assert_allclose(cielab_of(color), stored, atol=20)
    assert abs(cielab_of(color)[0] / 65535 * 100 - lightness) < 4


SECRETS = (
    "Doe", "4711", "19600102", "20200304", "050607", "ACC-99", "STUDY-5", "House", "Abdomen of", "Plainsboro",
    "OTHER-1",
)  # fmt: skip


def test_nothing_of_the_patient_is_in_an_object_by_default(tmp_path: Path) -> None:
    path = exported(tmp_path, write_case(tmp_path))
    content = path.read_bytes() + path.with_name("case-1.provenance.json").read_bytes()
    source = b"".join(file.read_bytes() for file in (tmp_path / "series").iterdir())
    for secret in SECRETS:
        assert secret.encode() in source
        assert secret.encode() not in content
    header = pydicom.dcmread(path, stop_before_pixels=True)
    assert (header.PatientName, header.PatientID) == ("case-1", "case-1")
    assert header.PatientIdentityRemoved == "YES"


def test_identifiers_are_kept_when_asked_for_but_the_record_names_nobody(tmp_path: Path) -> None:
    path = exported(tmp_path, write_case(tmp_path), replace(SEG, identifiers=True))
    header = pydicom.dcmread(path, stop_before_pixels=True)
    assert (header.PatientName, header.PatientID) == ("Doe^John", "ID-4711")
    assert header.AccessionNumber == "ACC-99"
    text = path.with_name("case-1.provenance.json").read_text()
    assert "ID-4711" in text
    assert "Doe" not in text


def test_an_enhanced_series_in_one_file(tmp_path: Path) -> None:
    """Its frames are stored in another order than they lie in."""
    header = slice_header(generate_uid())
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    header.StudyInstanceUID, header.FrameOfReferenceUID = generate_uid(), generate_uid()
    header.Columns, header.Rows, header.NumberOfFrames = SHAPE
    order = [3, 0, 5, 1, 4, 2]
    pixels = np.random.default_rng(0).integers(0, 100, SHAPE).astype(np.int16)
    shared, frames = pydicom.Dataset(), []
    measures, orientation = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
    orientation.ImageOrientationPatient = [*OBLIQUE[:, 0], *OBLIQUE[:, 1]]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    for k in order:
        frame, place, content = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = list((k * SPACING[2] * OBLIQUE[:, 2]).round(5))
        content.DimensionIndexValues = [k + 1]
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        frames.append(frame)
    header.SharedFunctionalGroupsSequence, header.PerFrameFunctionalGroupsSequence = [shared], frames
    header.PixelData = pixels.transpose(2, 1, 0)[order].tobytes()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    (tmp_path / "series").mkdir()
    header.save_as(tmp_path / "series" / "enhanced.dcm", enforce_file_format=True)
    geometry = read_geometry(tmp_path / "series")
    layers = [
        LabelMap(mask, geometry, (Segment(1, name, (1, 0, 0), "", name),))
        for mask, name in zip(masks(True), ("Liver", "Kidney"), strict=True)
    ]
    write_layers(layers, tmp_path / "a.seg.nrrd", {})
    path = exported(tmp_path, CaseRow("case-1", tmp_path / "series", tmp_path / "a.seg.nrrd"))
    for found, mask in zip(read_dicom_seg(path, geometry, 2), masks(True), strict=True):
        np.testing.assert_array_equal(found, mask)


def test_segments_without_voxels(tmp_path: Path) -> None:
    row = write_case(tmp_path)
    geometry = read_geometry(tmp_path / "series")
    layers = [
        LabelMap(np.zeros(SHAPE, np.uint8), geometry, (Segment(1, name, (1, 0, 0), "", name),))
        for name in ("Liver", "Kidney")
    ]
    write_layers(layers, tmp_path / "b.seg.nrrd", {})
    path = exported(tmp_path, replace(row, label=tmp_path / "b.seg.nrrd"))
    assert not any(mask.any() for mask in read_dicom_seg(path, geometry, 2))
    assert len(pydicom.dcmread(path, stop_before_pixels=True).SegmentSequence) == 2


def test_a_series_that_lacks_a_slice_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    row = write_case(tmp_path)
    headers = {file: pydicom.dcmread(file).InstanceNumber for file in (tmp_path / "series").iterdir()}
    next(file for file, number in headers.items() if number == 3).unlink()
    with pytest.raises(InputError, match="a slice is missing"):
        exported(tmp_path, row)
    assert not (tmp_path / "out").exists()


def test_a_series_cut_at_its_end_is_refused(tmp_path: Path) -> None:
    """Evenly spaced all the same, but not what was drawn on."""
    row = write_case(tmp_path)
    headers = {file: pydicom.dcmread(file).InstanceNumber for file in (tmp_path / "series").iterdir()}
    next(file for file, number in headers.items() if number == SHAPE[2]).unlink()
    with pytest.raises(InputError, match="does not lie on the voxels of its DICOM series"):
        exported(tmp_path, row)


def test_a_case_without_a_series_is_refused(tmp_path: Path) -> None:
    row = replace(MadeCase().write(tmp_path, "x"), case="case-1")
    with pytest.raises(InputError, match="names no DICOM series"):
        exported(tmp_path, row)


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_headers_that_tie_to_nothing_are_refused(tmp_path: Path, keyword: str) -> None:
    row = write_case(tmp_path)
    file = next((tmp_path / "series").iterdir())
    header = pydicom.dcmread(file)
    setattr(header, keyword, generate_uid())
    header.save_as(file)
    with pytest.raises(InputError, match=f"different {keyword}"):
        exported(tmp_path, row)
    delattr(header, keyword)
    header.save_as(file)
    with pytest.raises(InputError, match=f"without {keyword}"):
        exported(tmp_path, row, replace(SEG, overwrite=True))


def test_an_attribute_that_is_missing_is_named(tmp_path: Path) -> None:
    row = write_case(tmp_path)
    for file in (tmp_path / "series").iterdir():
        header = pydicom.dcmread(file)
        del header.SOPInstanceUID
        header.save_as(file)
    with pytest.raises(InputError, match="case-1 lacks SOPInstanceUID"):
        exported(tmp_path, row)


def test_an_object_that_does_not_read_back_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_seg, "check_dicom_seg", lambda *_: False)
    with pytest.raises(OutputError, match="did not read back"):
        exported(tmp_path, write_case(tmp_path))
    assert not (tmp_path / "out" / "dicom-seg").exists()


def test_the_reading_back_notices_a_single_voxel(tmp_path: Path) -> None:
    path = exported(tmp_path, write_case(tmp_path))
    geometry = read_geometry(tmp_path / "series")
    liver, kidney = (mask.astype(bool) for mask in masks(True))
    assert check_dicom_seg(path, [liver, kidney], geometry)
    changed = kidney.copy()
    changed[0, 0, 0] = True
    assert not check_dicom_seg(path, [liver, changed], geometry)
    moved = Geometry(geometry.shape, geometry.spacing, (0, 0, 0), geometry.direction)
    assert not check_dicom_seg(path, [liver, kidney], moved)
    path.write_bytes(path.read_bytes()[:-30])
    assert not check_dicom_seg(path, [liver, kidney], geometry)


def test_the_checksum_of_the_record_is_that_of_the_object(tmp_path: Path) -> None:
    path = exported(tmp_path, write_case(tmp_path))
    record = path.with_name("case-1.provenance.json").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in record
