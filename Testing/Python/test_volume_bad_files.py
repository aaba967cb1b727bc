"""Damaged files end in one sentence that names the file, and in silence on standard error."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nifti_files import nifti_file

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.volume import Volume
from pgt.volume_io import read_geometry, read_label_map, read_volume, write_volume

FORMATS = ("nii", "nii.gz", "nrrd", "mha")

Damage = Callable[[bytes], bytes]


def flipped_bits(content: bytes) -> bytes:
    """Two bytes in the second half inverted."""
    place = len(content) * 2 // 3
    return content[:place] + bytes(byte ^ 0xFF for byte in content[place : place + 2]) + content[place + 2 :]


DAMAGES: dict[str, Damage] = {
    "empty": lambda content: b"",
    "header cut": lambda content: content[:100],
    "half": lambda content: content[: len(content) // 2],
    "all but the last kilobyte": lambda content: content[:-1000],
    "junk": lambda content: b"no image at all\n" * 300,
}


@pytest.fixture
def whole(tmp_path: Path) -> Callable[[str], Path]:
    """Writes an image that does not compress well."""

    def write(suffix: str) -> Path:
        voxels = np.random.default_rng(0).integers(0, 60_000, (30, 20, 10)).astype(np.uint16)
        write_volume(Volume(voxels, Geometry(voxels.shape)), tmp_path / f"image.{suffix}", overwrite=True)
        return tmp_path / f"image.{suffix}"

    return write


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_name_and_quietly(
    whole: Callable[[str], Path], suffix: str, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = whole(suffix)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    for read in (read_volume, read_label_map):
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", ["nii.gz", "nrrd", "mha"])
def test_flipped_bits_in_a_compressed_file_are_noticed(whole: Callable[[str], Path], suffix: str) -> None:
    path = whole(suffix)
    path.write_bytes(flipped_bits(path.read_bytes()))
    with pytest.raises(InputError, match="damaged"):
        read_volume(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_of_either_byte_order_is_measured(tmp_path: Path, order: str) -> None:
    voxels = np.arange(6000, dtype=np.float32).reshape(30, 20, 10)
    voxels[1, 2, 3] = np.nan
    path = tmp_path / "image.nii"
    path.write_bytes(nifti_file(voxels, np.diag([1.0, 2.0, 3.0, 1.0]), order))
    volume = read_volume(path)
    assert volume.voxels[1, 2, 3] == 0
    assert volume.voxels[1, 2, 4] == voxels[1, 2, 4]
    assert volume.geometry == Geometry((30, 20, 10), (1, 2, 3))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="truncated: it holds 23996 of 24000 bytes"):
        read_volume(path)


def test_nifti_2_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "image.nii").write_bytes(b"\x1c\x02\0\0n+2\0\r\n\x1a\n" + bytes(900))
    with pytest.raises(InputError, match=r"image\.nii is NIfTI-2, .* save it as NIfTI-1 or NRRD"):
        read_volume(tmp_path / "image.nii")


def test_a_nifti_that_is_compressed_without_saying_so_is_read(whole: Callable[[str], Path]) -> None:
    plain = read_volume(whole("nii")).voxels
    path = whole("nii.gz")
    path.write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(read_volume(path).voxels, plain)


def test_a_sheared_grid_is_refused(whole: Callable[[str], Path]) -> None:
    path = whole("nii")
    content = bytearray(path.read_bytes())
    content[252:256] = np.array([0, 1], "<i2").tobytes()
    sheared = np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "<f4")
    content[280:328] = sheared.tobytes()
    path.write_bytes(content)
    for read in (read_volume, read_geometry):
        with pytest.raises(InputError, match=r"image\.nii has axes that are not perpendicular"):
            read(path)


def test_a_grid_that_is_not_finite_is_refused(whole: Callable[[str], Path]) -> None:
    path = whole("nii")
    content = bytearray(path.read_bytes())
    content[252:256] = np.array([0, 1], "<i2").tobytes()
    content[280:328] = np.full(12, np.nan, "<f4").tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"image\.nii: .*lies nowhere"):
        read_volume(path)


def test_missing_unknown_and_unreadable_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.nii\.gz does not exist"):
        read_volume(tmp_path / "missing.nii.gz")
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"picture\.png is of an unknown format"):
        read_volume(tmp_path / "picture.png")
    (tmp_path / "folder.nii.gz").mkdir()
    with pytest.raises(InputError, match="holds no DICOM images"):
        read_volume(tmp_path / "folder.nii.gz")


def test_a_header_without_its_data_file_is_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image(6, 5, 4, sitk.sitkInt16), str(tmp_path / "image.mhd"), useCompression=True)
    assert read_volume(tmp_path / "image.mhd").voxels.shape == (6, 5, 4)
    (tmp_path / "image.zraw").unlink()
    with pytest.raises(InputError, match=r"image\.mhd lacks its data file image\.zraw"):
        read_volume(tmp_path / "image.mhd")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(whole: Callable[[str], Path]) -> None:
    path = whole("nii")
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read: permission denied"):
        read_volume(path)
