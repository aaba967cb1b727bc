"""Label files hold what was drawn: voxel for voxel, on the grid of the image, in labels that cases share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from geometries import DIRECTIONS
from made_exports import (
    OBLIQUE,
    MadeCase,
    record,
    reviewed_ledger,
    table,
    written_label_map,
)

from pgt.annotation import SliceLedger, SliceState
from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.export.case_list import read_cases
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.export.grids import on_grid, records_on_grid
from pgt.geometry import Geometry
from pgt.resampling import reoriented
from pgt.volume import LabelMap
from pgt.volume_io import read_label_map, read_layers, read_volume, write_label_map, write_volume

NIFTI = ExportSettings((ExportFormat.NIFTI,))
SEG = ExportSettings((ExportFormat.SEG_NRRD,))


def exported(folder: Path, rows: list[CaseRow], settings: ExportSettings) -> Path:
    export_cases(read_cases(table(folder, rows)), settings, folder / "out")
    return folder / "out"


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_a_label_map_comes_back_voxel_for_voxel(
    tmp_path: Path, direction: tuple[tuple[float, float, float], ...]
) -> None:
    geometry = Geometry((12, 10, 8), (0.7, 0.9, 2.5), (-31.25, 12.5, 900.125), direction)  # type: ignore[arg-type]
    case = MadeCase(geometry)
    out = exported(tmp_path, [case.write(tmp_path, "a")], NIFTI)
    found = read_label_map(out / "nifti" / "a.nii.gz")
    np.testing.assert_array_equal(found.voxels, case.liver + 2 * case.kidney)
    assert found.geometry.difference(geometry, 1e-3) is None
    independent = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "nifti" / "a.nii.gz"))).T
    np.testing.assert_array_equal(independent, case.liver + 2 * case.kidney)


def test_overlapping_segments_are_kept_where_they_can_be(tmp_path: Path) -> None:
    case = MadeCase(overlap=True, ledger=reviewed_ledger(2))
    assert np.any(case.liver & case.kidney)
    out = exported(tmp_path, [case.write(tmp_path, "a")], SEG)
    stored = read_layers(out / "seg-nrrd" / "a.seg.nrrd")
    np.testing.assert_array_equal(stored.layers[0].voxels, case.liver)
    np.testing.assert_array_equal(stored.layers[1].voxels, case.kidney)
    assert stored.layers[0].geometry.difference(OBLIQUE, 1e-9) is None
    assert [layer.segments for layer in stored.layers] == [
        tuple(replace(one, color=pytest.approx(one.color)) for one in layer.segments)  # type: ignore[arg-type]
        for layer in case.layers()
    ]
    together = SliceLedger(record for ledger in stored.slice_states.values() for record in ledger)
    assert together == case.ledger


def test_overlapping_segments_do_not_become_a_label_map(tmp_path: Path) -> None:
    row = MadeCase(overlap=True).write(tmp_path, "a")
    with pytest.raises(InputError, match="Liver and Kidney of case a overlap"):
        exported(tmp_path, [row], NIFTI)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="Kidney and Liver of case a overlap"):
        exported(tmp_path, [row], replace(NIFTI, labels=("Kidney", "Liver")))


def test_one_file_a_segment_keeps_overlaps(tmp_path: Path) -> None:
    case = MadeCase(overlap=True)
    out = exported(tmp_path, [case.write(tmp_path, "a")], replace(NIFTI, separate_segments=True))
    np.testing.assert_array_equal(read_volume(out / "nifti" / "a_1-Liver.nii.gz").voxels, case.liver)
    np.testing.assert_array_equal(read_volume(out / "nifti" / "a_2-Kidney.nii.gz").voxels, case.kidney)
    assert (out / "nifti" / "a_2-Kidney.provenance.json").exists()


def test_labels_have_the_same_values_in_all_cases(tmp_path: Path) -> None:
    first, second = MadeCase(), MadeCase(names=("kidney ", "LIVER"))
    rows = [first.write(tmp_path, "a"), second.write(tmp_path, "b")]
    out = exported(tmp_path, rows, NIFTI)
    a, b = (read_label_map(out / "nifti" / f"{name}.nii.gz").voxels for name in "ab")
    np.testing.assert_array_equal(a == 1, first.liver == 1)
    np.testing.assert_array_equal(b == 1, second.kidney == 1)
    np.testing.assert_array_equal(b == 2, second.liver == 1)
    labels = json.loads((out / "labels.json").read_text())
    assert [(one["value"], one["name"]) for one in labels] == [(1, "Liver"), (2, "Kidney")]


def test_names_that_differ_are_refused_or_mapped(tmp_path: Path) -> None:
    rows = [MadeCase().write(tmp_path, "a"), MadeCase(names=("Leber", "Kidney")).write(tmp_path, "b")]
    with pytest.raises(InputError, match=r"b lacks Liver.*a lacks Leber|a lacks Leber.*b lacks Liver"):
        exported(tmp_path, rows, NIFTI)
    out = exported(tmp_path, rows, replace(NIFTI, renamed={"leber": "Liver"}))
    a, b = (read_label_map(out / "nifti" / f"{name}.nii.gz").voxels for name in "ab")
    np.testing.assert_array_equal(a, b)


def test_a_missing_segment_is_absent_only_when_said(tmp_path: Path) -> None:
    case = MadeCase()
    row = case.write(tmp_path, "a")
    alone = replace(
        LabelMap(case.liver, OBLIQUE, case.layers()[0].segments), segments=case.layers()[0].segments
    )
    write_label_map(alone, tmp_path / "b.seg.nrrd")
    rows = [row, CaseRow("b", row.image, tmp_path / "b.seg.nrrd")]
    with pytest.raises(InputError, match="b lacks Kidney"):
        exported(tmp_path, rows, NIFTI)
    out = exported(tmp_path, rows, replace(NIFTI, missing_is_absent=True))
    np.testing.assert_array_equal(read_label_map(out / "nifti" / "b.nii.gz").voxels, case.liver)
    entries = json.loads((out / "nifti" / "b.provenance.json").read_text())["segments"]
    assert [one["drawn"] for one in entries] == [True, False]


def test_chosen_labels_have_the_order_asked_for(tmp_path: Path) -> None:
    case = MadeCase()
    out = exported(tmp_path, [case.write(tmp_path, "a")], replace(NIFTI, labels=("Kidney",)))
    np.testing.assert_array_equal(read_label_map(out / "nifti" / "a.nii.gz").voxels, case.kidney)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(NIFTI, labels=("Spleen",)), "called Spleen; the cases have Liver, Kidney"),
        (replace(NIFTI, labels=("Liver", "liver")), "asked for twice"),
        (replace(NIFTI, renamed={"Spleen": "Milz"}), "called Spleen"),
        (replace(NIFTI, renamed={"Liver": "Kidney"}), "two segments that are called Kidney"),
        (replace(NIFTI, renamed={"Liver": "Background"}), "cannot be called background"),
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, settings: ExportSettings, said: str) -> None:
    row = MadeCase().write(tmp_path, "a")
    with pytest.raises(InputError, match=said):
        exported(tmp_path, [row], settings)


def test_values_of_plain_label_maps_become_consecutive(tmp_path: Path) -> None:
    case = MadeCase()
    image = case.write(tmp_path, "x").image
    first = written_label_map(tmp_path / "a.nii.gz", 5 * case.kidney)
    second = written_label_map(tmp_path / "b.nii.gz", 2 * case.liver + 5 * case.kidney)
    out = exported(tmp_path, [CaseRow("a", image, first), CaseRow("b", image, second)], NIFTI)
    np.testing.assert_array_equal(read_label_map(out / "nifti" / "a.nii.gz").voxels, 2 * case.kidney)
    np.testing.assert_array_equal(
        read_label_map(out / "nifti" / "b.nii.gz").voxels, case.liver + 2 * case.kidney
    )


def test_voxels_that_nobody_drew_or_accepted_are_ignored(tmp_path: Path) -> None:
    """Known by hand: slices 0 and 1 drawn for both; the liver accepted on 2; the kidney propagated on 2."""
    ledger = SliceLedger()
    for index in (0, 1):
        ledger.mark(record("S_liver", index, SliceState.ANNOTATED))
        ledger.mark(record("S_kidney", index, SliceState.ANNOTATED))
    ledger.mark(record("S_liver", 2, SliceState.REVIEWED))
    ledger.mark(record("S_kidney", 2, SliceState.PROPAGATED))
    case = MadeCase(ledger=ledger)
    settings = replace(NIFTI, ignore_unannotated=True)
    out = exported(tmp_path, [case.write(tmp_path, "a")], settings)
    expected = np.full(OBLIQUE.shape, 3, np.uint8)
    expected[:, :, :2] = (case.liver + 2 * case.kidney)[:, :, :2]
    expected[:, :, 2][case.liver[:, :, 2] == 1] = 1
    np.testing.assert_array_equal(read_volume(out / "nifti" / "a.nii.gz").voxels, expected)
    assert json.loads((out / "labels.json").read_text())[2]["name"] == "ignore"


def test_drawn_slices_of_another_axis_are_known_as_well(tmp_path: Path) -> None:
    ledger = SliceLedger([replace(record("S_liver", 3, SliceState.ANNOTATED), axis=axis) for axis in (0, 1)])
    case = MadeCase(ledger=ledger)
    settings = replace(NIFTI, ignore_unannotated=True, labels=("Liver",))
    out = exported(tmp_path, [case.write(tmp_path, "a")], settings)
    expected = np.full(OBLIQUE.shape, 2, np.uint8)
    expected[3], expected[:, 3] = case.liver[3], case.liver[:, 3]
    np.testing.assert_array_equal(read_volume(out / "nifti" / "a.nii.gz").voxels, expected)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SPL", "AIR", "PSR"])
def test_a_label_in_another_order_of_voxels_is_put_on_the_grid_of_its_image(
    tmp_path: Path, orientation: str
) -> None:
    case = MadeCase()
    label = LabelMap.from_voxels(case.liver + 2 * case.kidney, OBLIQUE)
    turned = reoriented(label, orientation)
    write_volume(case.image, tmp_path / "ct.nrrd")
    write_label_map(turned, tmp_path / "turned.nrrd")
    rows = [CaseRow("a", tmp_path / "ct.nrrd", tmp_path / "turned.nrrd")]
    out = exported(tmp_path, rows, ExportSettings((ExportFormat.MONAI,)))
    found = read_volume(out / "monai" / "labels" / "a.nii.gz")
    np.testing.assert_array_equal(found.voxels, label.voxels)
    assert found.geometry.difference(read_volume(out / "monai" / "images" / "a.nii.gz").geometry) is None


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SPL", "AIR", "PSR"])
def test_slice_states_follow_a_label_to_another_order_of_voxels(orientation: str) -> None:
    """The slice of the turned volume is the one that shows what was painted on the drawn one."""
    size = OBLIQUE.shape
    for axis, index in ((0, 3), (1, 0), (2, 7)):
        voxels = np.zeros(size, np.uint8)
        voxels[(slice(None),) * axis + (index,)] = 1
        turned = reoriented(LabelMap.from_voxels(voxels, OBLIQUE), orientation)
        state = replace(record("1", index, SliceState.ANNOTATED), axis=axis)
        (found,) = records_on_grid([state], OBLIQUE, turned.geometry)
        shown = np.take(turned.voxels, found.index, axis=found.axis)
        assert shown.all()
        assert turned.voxels.sum() == shown.sum()
    beyond = OBLIQUE.cropped((2, 0, 0), (6, 10, 8))
    at_start = replace(record("1", 1, SliceState.ANNOTATED), axis=0)
    assert records_on_grid([at_start], OBLIQUE, beyond) == ()


def shifted(geometry: Geometry) -> Geometry:
    return replace(geometry, origin=(geometry.origin[0] + 0.3, *geometry.origin[1:]))


def coarser(geometry: Geometry) -> Geometry:
    return replace(geometry, spacing=(0.7, 0.9, 2.6))


def rotated(geometry: Geometry) -> Geometry:
    return replace(geometry, direction=DIRECTIONS["oblique"])


@pytest.mark.parametrize("change", [shifted, coarser, rotated])
def test_a_label_on_other_voxels_is_refused(change: Callable[[Geometry], Geometry]) -> None:
    label = LabelMap.from_voxels(MadeCase().liver, change(OBLIQUE))
    with pytest.raises(InputError, match="The label does not lie on the voxels of its image: "):
        on_grid(label, OBLIQUE, "The label", "its image")


def test_a_cropped_label_is_padded() -> None:
    whole = MadeCase().liver
    part = LabelMap.from_voxels(whole[2:8, 1:9, 1:6], OBLIQUE.cropped((2, 1, 1), (6, 8, 5)))
    np.testing.assert_array_equal(on_grid(part, OBLIQUE, "The label", "its image").voxels, whole)
