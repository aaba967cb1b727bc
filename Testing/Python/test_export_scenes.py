"""Scenes that 3D Slicer saved, loose and packed, and files that only look like one.

The text of the scenes follows what Slicer's engine wrote (slicer-core 5.13), names of files and nodes aside.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from made_exports import MadeCase, reviewed_ledger

from pgt.errors import InputError
from pgt.export import scenes
from pgt.export.case_list import read_cases
from pgt.export.case_state import CaseFile
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.export.scenes import at_hand, scene_segmentations
from pgt.volume_io import read_layers, read_volume

HEADER = '<MRML  version="Slicer 5.13.0" userTags="">\n <SubjectHierarchy\n  id="sh" ></SubjectHierarchy>\n'


def scene_text(label: str = "Data/Seg%20%C3%A9.seg.nrrd", image: str = "Data/CT%20of%20x.nrrd") -> str:
    return (
        HEADER + ' <Volume\n  id="vtkMRMLScalarVolumeNode1" name="CT of x" '
        'references="storage:vtkMRMLVolumeArchetypeStorageNode1;" userTags="" ></Volume>\n'
        ' <Segmentation\n  id="vtkMRMLSegmentationNode1" name="Seg é" references="referenceImageGeometryRef:'
        'vtkMRMLScalarVolumeNode1;storage:vtkMRMLSegmentationStorageNode1;" ></Segmentation>\n'
        ' <VolumeArchetypeStorage\n  id="vtkMRMLVolumeArchetypeStorageNode1" '
        f'fileName="{image}" ></VolumeArchetypeStorage>\n'
        ' <SegmentationStorage\n  id="vtkMRMLSegmentationStorageNode1" '
        f'fileName="{label}" ></SegmentationStorage>\n</MRML>\n'
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """``Data`` with an image and a segmentation under names that have to be escaped."""
    folder = tmp_path / "Data"
    folder.mkdir()
    row = MadeCase(ledger=reviewed_ledger(1)).write(folder, "x")
    row.image.rename(folder / "CT of x.nii.gz")
    assert row.label is not None
    row.label.rename(folder / "Seg é.seg.nrrd")
    return folder


def packed(path: Path, text: str, data: Path, root: str = "visit 1") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{root}/{root}.mrml", text)
        for file in data.iterdir():
            archive.write(file, f"{root}/Data/{file.name}")
    return path


TEXT = scene_text(image="Data/CT%20of%20x.nii.gz")


def test_a_loose_scene(tmp_path: Path, data: Path) -> None:
    (tmp_path / "visit 1.mrml").write_text(TEXT, encoding="utf-8")
    (case,) = read_cases(tmp_path)
    assert case.case == "visit 1"
    assert case.label == CaseFile(data / "Seg é.seg.nrrd")
    assert case.image == CaseFile(data / "CT of x.nii.gz")
    assert [one.name for one in case.segments] == ["Liver", "Kidney"]
    assert len(case.records) == 16


def test_a_packed_scene_is_exported_like_its_loose_twin(tmp_path: Path, data: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    packed(scenes / "visit 1.mrb", TEXT, data)
    cases = read_cases(scenes)
    assert cases[0].label == CaseFile(scenes / "visit 1.mrb", "visit 1/Data/Seg é.seg.nrrd")
    settings = ExportSettings((ExportFormat.SEG_NRRD, ExportFormat.MONAI))
    export_cases(cases, settings, tmp_path / "out")
    stored = read_layers(tmp_path / "out" / "seg-nrrd" / "visit 1.seg.nrrd")
    assert (stored.layers[0].voxels == MadeCase().liver).all()
    assert stored.slice_states["S_liver"].segments == ("S_liver",)
    image = read_volume(tmp_path / "out" / "monai" / "images" / "visit 1.nii.gz")
    assert (image.voxels == MadeCase().image.voxels).all()


def test_several_segmentations_of_a_scene_are_cases_of_their_own(tmp_path: Path, data: Path) -> None:
    twice = TEXT.replace("</MRML>", "") + (
        ' <Segmentation id="n2" name="second" references="storage:s2;" ></Segmentation>\n'
        ' <SegmentationStorage id="s2" fileName="Data/second.seg.nrrd" ></SegmentationStorage>\n'
        ' <Segmentation id="n3" name="never saved" ></Segmentation>\n</MRML>\n'
    )
    MadeCase().write(data, "second")
    (tmp_path / "visit.mrml").write_text(twice, encoding="utf-8")
    assert [case.case for case in read_cases(tmp_path)] == ["visit Seg é", "visit second"]


BOMB = (
    '<!DOCTYPE MRML [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {n} "&{p};&{p};&{p};&{p};">' for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>\n"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB + TEXT.replace("CT of x", "&i;"), "document type"),
        ('<!DOCTYPE MRML [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + TEXT, "document type"),
        (TEXT[:200], "damaged"),
        ("<html></html>", "no scene of 3D Slicer"),
        (scene_text(label="../../../etc/passwd"), "outside"),
        (scene_text(label="Data/%2e%2e/%2e%2e/x.seg.nrrd"), "outside"),
        (HEADER + "</MRML>", "no segmentation"),
        (scene_text(label="Data/gone.seg.nrrd", image="Data/CT%20of%20x.nii.gz"), "do not exist"),
    ],
)
@pytest.mark.parametrize("pack", [False, True])
def test_hostile_and_damaged_scenes_are_refused(
    tmp_path: Path, data: Path, text: str, said: str, pack: bool
) -> None:
    folder = tmp_path / "scenes" if pack else tmp_path
    folder.mkdir(exist_ok=True)
    if pack:
        packed(folder / "visit.mrb", text, data)
    else:
        (folder / "visit.mrml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_cases(folder)


def test_absolute_places_in_a_packed_scene_are_refused(tmp_path: Path, data: Path) -> None:
    packed(tmp_path / "visit.mrb", scene_text(label="/etc/passwd"), data)
    with pytest.raises(InputError, match="outside"):
        scene_segmentations(tmp_path / "visit.mrb")


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "visit.mrb").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(InputError, match="no packed scene"):
        read_cases(tmp_path)


def test_a_cut_packed_scene_is_refused(tmp_path: Path, data: Path) -> None:
    """The directory at the end is whole, the data in the middle are not."""
    path = packed(tmp_path / "visit.mrb", TEXT, data)
    content = bytearray(path.read_bytes())
    start = content.find(b"visit 1/Data/Seg") + 60
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|truncated"):
        read_cases(tmp_path)


def test_links_in_a_packed_scene_are_refused(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "visit.mrb"
    link = zipfile.ZipInfo("visit/Data/x.seg.nrrd")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("visit/visit.mrml", TEXT)
        archive.writestr(link, "/etc/passwd")
    with (
        pytest.raises(InputError, match="a link where a file should be"),
        at_hand(CaseFile(path, "visit/Data/x.seg.nrrd"), tmp_path),
    ):
        pass
    assert not list(tmp_path.glob("unpacked*"))


@pytest.mark.parametrize("limit", ["_LARGEST_MEMBER", "_LARGEST_SCENE_TEXT"])
def test_giants_in_a_packed_scene_are_refused(
    tmp_path: Path, data: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes, limit, 100)
    folder = tmp_path / "scenes"
    folder.mkdir()
    packed(folder / "visit.mrb", TEXT, data)
    with pytest.raises(InputError, match=r"more than a scene can|larger than any"):
        read_cases(folder)


def test_a_folder_without_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no scene"):
        read_cases(tmp_path)
