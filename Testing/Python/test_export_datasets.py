"""Data sets that the programs they are for take as they are: nnU-Net's own check, MONAI's own loader."""

from __future__ import annotations

import gzip
import json
import multiprocessing.dummy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from geometries import DIRECTIONS
from made_exports import MadeCase, reviewed_ledger, table, write_whole_series, written_label_map

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.export.case_list import read_cases
from pgt.export.case_state import CaseFile, CaseState
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.export.monai_list import dealt_to_folds
from pgt.geometry import Geometry
from pgt.volume import LabelMap
from pgt.volume_io import read_geometry, read_volume

NNUNET = ExportSettings((ExportFormat.NNUNET,), dataset_number=7, dataset_name="Organs")
MONAI = ExportSettings((ExportFormat.MONAI,), folds=3)


def write_cases(folder: Path, count: int = 3) -> list[CaseRow]:
    """Cases of different sizes and directions, oblique ones among them, partly reviewed."""
    rows = []
    for number, direction in zip(range(count), list(DIRECTIONS.values()) * 3, strict=False):
        geometry = Geometry((12 + number, 10, 8), (0.7, 0.9, 2.5), (-31.25, 12.5, 900.125), direction)
        case = MadeCase(geometry, seed=number, ledger=reviewed_ledger(propagated=number))
        rows.append(case.write(folder, f"case_{number}"))
    return rows


def exported(folder: Path, rows: list[CaseRow], settings: ExportSettings) -> Path:
    export_cases(read_cases(table(folder, rows)), settings, folder / "out")
    return folder / "out" / settings.formats[0].value


@pytest.mark.parametrize("ignore", [False, True])
def test_nnunet_finds_nothing_wrong(
    tmp_path: Path, ignore: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check = pytest.importorskip(
        "nnunetv2.experiment_planning.verify_dataset_integrity",
        reason="nnunetv2 is not installed, or not what its data set check needs",
        exc_type=ImportError,
    )
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    rows = write_cases(tmp_path, 6)[3:]
    folder = exported(tmp_path, rows, replace(NNUNET, ignore_unannotated=ignore)) / "Dataset007_Organs"
    # In this process: starting others takes longer than looking at three small cases.
    threads = SimpleNamespace(get_context=lambda _: multiprocessing.dummy)
    monkeypatch.setattr(check, "multiprocessing", threads)
    check.verify_dataset_integrity(str(folder), num_processes=1)
    said = capsys.readouterr().out
    assert "verify_dataset_integrity Done" in said
    assert "Warning" not in said
    assert "Error" not in said


def test_nnunet_has_consecutive_labels_and_the_ignore_label_last(tmp_path: Path) -> None:
    folder = exported(tmp_path, write_cases(tmp_path), replace(NNUNET, ignore_unannotated=True))
    folder /= "Dataset007_Organs"
    description = json.loads((folder / "dataset.json").read_text())
    assert description["labels"] == {"background": 0, "Liver": 1, "Kidney": 2, "ignore": 3}
    assert description["numTraining"] == 3
    assert description["channel_names"] == {"0": "image"}
    for number in range(3):
        case = MadeCase(Geometry((12 + number, 10, 8)))
        label = read_volume(folder / "labelsTr" / f"case_{number}.nii.gz")
        image = read_volume(folder / "imagesTr" / f"case_{number}_0000.nii.gz")
        expected = case.liver + 2 * case.kidney
        expected[:, :, 8 - number :] = 3
        np.testing.assert_array_equal(label.voxels, expected)
        assert label.geometry == image.geometry


def test_cases_kept_out_of_training_are_not_counted(tmp_path: Path) -> None:
    rows = write_cases(tmp_path)
    rows[1] = replace(rows[1], others={"split": "testing"})
    folder = exported(tmp_path, rows, NNUNET) / "Dataset007_Organs"
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 2
    assert (folder / "imagesTs" / "case_1_0000.nii.gz").exists()
    assert (folder / "labelsTs" / "case_1.nii.gz").exists()
    assert (folder / "labelsTs" / "case_1.provenance.json").exists()
    assert sorted(file.name for file in (folder / "labelsTr").glob("*.nii.gz")) == [
        "case_0.nii.gz", "case_2.nii.gz",
    ]  # fmt: skip


def test_monai_loads_the_list(tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist
    from monai.transforms import LoadImaged

    rows = write_cases(tmp_path)
    rows[2] = replace(rows[2], others={"split": "testing"})
    folder = exported(tmp_path, rows, MONAI)
    training = load_decathlon_datalist(str(folder / "datalist.json"), data_list_key="training")
    testing = load_decathlon_datalist(str(folder / "datalist.json"), data_list_key="testing")
    assert [Path(one["image"]).name for one in training] == ["case_0.nii.gz", "case_1.nii.gz"]
    assert [Path(one["label"]).name for one in testing] == ["case_2.nii.gz"]
    for number, entry in enumerate([*training, *testing]):
        case = MadeCase(Geometry((12 + number, 10, 8)), seed=number)
        loaded = LoadImaged(["image", "label"], reader="ITKReader")(entry)
        np.testing.assert_array_equal(np.asarray(loaded["image"]), case.image.voxels)
        np.testing.assert_array_equal(np.asarray(loaded["label"]), case.liver + 2 * case.kidney)
    content = json.loads((folder / "datalist.json").read_text())
    assert content["labels"] == {"0": "background", "1": "Liver", "2": "Kidney"}
    assert (content["numTraining"], content["numTest"]) == (2, 1)


def listed(names: list[str], groups: dict[str, str]) -> list[CaseState]:
    return [CaseState(name, CaseFile(Path(name)), group=groups.get(name, "")) for name in names]


def test_folds_are_of_one_size_and_keep_groups_together() -> None:
    names = [f"c{number}" for number in range(23)]
    groups = {"c0": "p", "c7": "p", "c11": "p", "c1": "q", "c22": "q"}
    dealt = dealt_to_folds(listed(names, groups), 5, seed=0)
    assert set(dealt) == set(names)
    assert dealt["c0"] == dealt["c7"] == dealt["c11"]
    assert dealt["c1"] == dealt["c22"]
    sizes = Counter(dealt.values())
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert dealt == dealt_to_folds(listed(names, groups), 5, seed=0)
    assert dealt == dealt_to_folds(listed(names[::-1], groups), 5, seed=0)
    assert dealt != dealt_to_folds(listed(names, groups), 5, seed=1)


def dicom_case(folder: Path, name: str, modality: str) -> CaseRow:
    place = folder / name
    place.mkdir(parents=True)
    voxels = np.zeros((6, 5, 4), np.int16)

    def edit(number: int, header: object) -> None:
        header.Modality = modality  # type: ignore[attr-defined]

    geometry = write_whole_series(place / "series", voxels, np.eye(3), edit)
    label = LabelMap.from_voxels((voxels == 0).astype(np.uint8), geometry)
    return CaseRow(name, place / "series", written_label_map(place / "label.nrrd", label.voxels, geometry))


def test_the_channel_is_what_the_series_says(tmp_path: Path) -> None:
    row = dicom_case(tmp_path, "a", "CT")
    folder = exported(tmp_path, [row], NNUNET) / "Dataset007_Organs"
    assert json.loads((folder / "dataset.json").read_text())["channel_names"] == {"0": "CT"}
    image = folder / "imagesTr" / "a_0000.nii.gz"
    assert read_geometry(image).difference(read_geometry(tmp_path / "a" / "series"), 1e-3) is None


def test_a_data_set_of_several_kinds_of_image_is_refused_unless_named(tmp_path: Path) -> None:
    rows = [dicom_case(tmp_path, "a", "CT"), dicom_case(tmp_path, "b", "MR")]
    with pytest.raises(InputError, match="CT, MR"):
        exported(tmp_path, rows, NNUNET)
    exported(tmp_path, rows, replace(NNUNET, channel="CT"))


def test_no_remark_in_a_header_reaches_a_data_set(tmp_path: Path) -> None:
    """NIfTI has room for a description, where converters like to put names."""
    row = write_cases(tmp_path, 1)[0]
    content = bytearray(gzip.decompress(row.image.read_bytes()))
    content[148:156] = b"Doe^John"
    row.image.write_bytes(gzip.compress(bytes(content)))
    folder = exported(tmp_path, [row], NNUNET) / "Dataset007_Organs"
    image = folder / "imagesTr" / "case_0_0000.nii.gz"
    assert b"Doe" not in gzip.decompress(image.read_bytes())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"formats": ()}, "at least one format"),
        ({"formats": (ExportFormat.MONAI, ExportFormat.MONAI)}, "named twice"),
        ({"dataset_number": 0}, "between 1 and 999"),
        ({"dataset_name": "My Organs"}, "'My Organs' does not"),
        ({"folds": 0}, "0 folds"),
        ({"separate_segments": True}, "one label file a case"),
        ({"formats": (ExportFormat.SEG_NRRD,), "ignore_unannotated": True}, "in label maps alone"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(NNUNET, **wrong)  # type: ignore[arg-type]


def test_a_case_without_an_image_is_refused(tmp_path: Path) -> None:
    (case,) = read_cases(table(tmp_path, write_cases(tmp_path, 1)))
    with pytest.raises(InputError, match="case_0 names no image, which monai needs"):
        export_cases([replace(case, image=None)], MONAI, tmp_path / "out")
    assert not (tmp_path / "out").exists()
