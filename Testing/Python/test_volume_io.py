"""Files give back what was put in: voxels, number types and geometry, in every format."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from geometries import DIRECTIONS, any_geometry, as_matrix, rotation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_files import nifti_file

from pgt.errors import InputError, OutputError
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import read_geometry, read_label_map, read_volume, write_label_map, write_volume

FORMATS = ("nii", "nii.gz", "nrrd", "mha")
EXACT_FORMATS = ("nrrd", "mha")
NUMBER_TYPES = (
    np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.float32, np.float64,
)  # fmt: skip

OBLIQUE = Geometry((7, 6, 5), (0.7031253, 0.9, 2.5), (-1234.56789, 45.67, 987.65), DIRECTIONS["oblique"])


def noise(geometry: Geometry = OBLIQUE, number_type: type = np.int16) -> Volume:
    numbers = np.random.default_rng(0).integers(-1024, 3000, geometry.shape)
    return Volume(numbers.astype(number_type), geometry)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("number_type", NUMBER_TYPES)
def test_voxels_and_their_type_come_back(tmp_path: Path, suffix: str, number_type: type) -> None:
    volume = noise(number_type=number_type)
    write_volume(volume, tmp_path / f"image.{suffix}")
    again = read_volume(tmp_path / f"image.{suffix}")
    assert again.voxels.dtype == number_type
    np.testing.assert_array_equal(again.voxels, volume.voxels)


def test_types_that_no_file_knows_are_widened(tmp_path: Path) -> None:
    for number_type, stored in ((bool, np.uint8), (np.float16, np.float32)):
        voxels = (noise().voxels > 0).astype(number_type)
        write_volume(Volume(voxels, OBLIQUE), tmp_path / "image.nrrd", overwrite=True)
        again = read_volume(tmp_path / "image.nrrd").voxels
        assert again.dtype == stored
        np.testing.assert_array_equal(again, voxels)


@pytest.mark.parametrize("suffix", EXACT_FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(geometry=any_geometry(largest=4))
def test_nrrd_and_metaimage_keep_the_geometry_to_the_last_digits(
    tmp_path: Path, suffix: str, geometry: Geometry
) -> None:
    write_volume(noise(geometry), tmp_path / f"image.{suffix}", overwrite=True)
    again = read_volume(tmp_path / f"image.{suffix}").geometry
    assert again.shape == geometry.shape
    np.testing.assert_allclose(again.ijk_to_ras, geometry.ijk_to_ras, rtol=1e-12, atol=1e-12)
    assert again == read_geometry(tmp_path / f"image.{suffix}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(geometry=any_geometry(largest=4))
def test_nifti_keeps_the_geometry_as_well_as_float32_can(tmp_path: Path, geometry: Geometry) -> None:
    path = tmp_path / "image.nii"
    write_volume(noise(geometry), path, overwrite=True)
    once = read_volume(path).geometry
    np.testing.assert_allclose(once.spacing, geometry.spacing, rtol=1e-6)
    np.testing.assert_allclose(once.direction, geometry.direction, atol=1e-6)
    np.testing.assert_allclose(once.origin, geometry.origin, rtol=1e-7, atol=1e-4)
    assert geometry.difference(once) is None
    write_volume(noise(once), path, overwrite=True)
    np.testing.assert_allclose(read_volume(path).geometry.ijk_to_ras, once.ijk_to_ras, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_simpleitk_sees_the_same_places(tmp_path: Path, suffix: str, name: str) -> None:
    geometry = Geometry((7, 6, 5), (0.5, 1, 2), (3, -4, 5), DIRECTIONS[name])
    volume = noise(geometry)
    write_volume(volume, tmp_path / f"image.{suffix}")
    image = sitk.ReadImage(str(tmp_path / f"image.{suffix}"))
    for index in [(0, 0, 0), (6, 0, 0), (0, 5, 0), (0, 0, 4), (3, 2, 1)]:
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        expected = (geometry.ijk_to_ras @ [*index, 1])[:3]
        np.testing.assert_allclose((-x, -y, z), expected, atol=1e-5)
        assert image.GetPixel(*index) == volume.voxels[index]


def test_nifti_by_hand_lies_where_its_sform_says(tmp_path: Path) -> None:
    """The header's own bytes, so that no library stands between."""
    direction = rotation(10, 20, 30)
    spacing = np.array([0.8, 0.9, 3.0])
    sform = np.column_stack([direction * spacing, [11.0, -22.0, 33.0]])
    voxels = np.arange(24, dtype=np.int16).reshape((2, 3, 4))
    affine = np.eye(4)
    affine[:3] = sform
    (tmp_path / "hand.nii.gz").write_bytes(gzip.compress(nifti_file(voxels, affine)))
    volume = read_volume(tmp_path / "hand.nii.gz")
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(volume.geometry.ijk_to_ras[:3], sform, atol=1e-5)
    assert read_geometry(tmp_path / "hand.nii.gz") == volume.geometry


def test_label_maps_keep_geometry_and_values_in_the_smallest_type(tmp_path: Path) -> None:
    voxels = np.zeros(OBLIQUE.shape, np.int64)
    voxels[1, 2, 3], voxels[4, 4, 4] = 1, 300
    for suffix in FORMATS:
        path = tmp_path / f"labels.{suffix}"
        write_label_map(LabelMap.from_voxels(voxels, OBLIQUE), path)
        again = read_label_map(path)
        assert again.voxels.dtype == np.uint16
        assert again.values == (1, 300)
        np.testing.assert_array_equal(again.voxels, voxels)
        assert again.geometry.difference(OBLIQUE, tolerance=1e-3) is None


@pytest.mark.parametrize("suffix", FORMATS)
def test_whole_numbers_stored_as_float_are_labels(tmp_path: Path, suffix: str) -> None:
    voxels = np.zeros(OBLIQUE.shape, np.float64)
    voxels[1, 2, 3] = 4
    write_volume(Volume(voxels, OBLIQUE), tmp_path / f"labels.{suffix}")
    label_map = read_label_map(tmp_path / f"labels.{suffix}")
    assert label_map.voxels.dtype == np.uint8
    assert label_map.values == (4,)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.5, "not whole"), (-1.0, "negative values .down to -1"), (np.nan, "not whole"), (np.inf, "up to inf")],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_numbers_that_are_no_labels_are_refused(
    tmp_path: Path, suffix: str, value: float, words: str
) -> None:
    voxels = np.zeros(OBLIQUE.shape, np.float32)
    voxels[1, 2, 3] = value
    write_volume(Volume(voxels, OBLIQUE), tmp_path / f"labels.{suffix}")
    with pytest.raises(InputError, match=rf"labels\.{suffix} is no label map: .*{words}"):
        read_label_map(tmp_path / f"labels.{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
def test_nan_and_infinity_are_cleaned_with_a_warning(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    voxels = noise(number_type=np.float32).voxels.copy()
    smallest, largest = voxels[1:].min(), voxels[1:].max()
    voxels[0] = 0
    voxels[0, 0, :3] = np.nan, np.inf, -np.inf
    write_volume(Volume(voxels, OBLIQUE), tmp_path / f"Doe_John.{suffix}")
    again = read_volume(tmp_path / f"Doe_John.{suffix}").voxels
    assert again[0, 0, :3].tolist() == [smallest, largest, smallest]
    np.testing.assert_array_equal(again[1:], voxels[1:])
    assert "3 NaN or infinite voxels" in caplog.text
    assert "Doe" not in caplog.text


def test_an_image_without_any_number_is_refused(tmp_path: Path) -> None:
    write_volume(Volume(np.full((2, 2, 2), np.nan), Geometry((2, 2, 2))), tmp_path / "image.mha")
    with pytest.raises(InputError, match=r"image\.mha holds no finite number"):
        read_volume(tmp_path / "image.mha")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_volume_of_one_slice_is_a_volume(tmp_path: Path, suffix: str) -> None:
    volume = noise(Geometry((6, 5, 1), (1, 1, 4)))
    write_volume(volume, tmp_path / f"image.{suffix}")
    again = read_volume(tmp_path / f"image.{suffix}")
    assert again.geometry == volume.geometry


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_time_point_is_a_volume_and_more_are_not(tmp_path: Path, suffix: str) -> None:
    for count in (1, 3):
        image = sitk.JoinSeries([sitk.Image(6, 5, 4, sitk.sitkInt16)] * count)
        sitk.WriteImage(image, str(tmp_path / f"{count}.{suffix}"))
    assert read_volume(tmp_path / f"1.{suffix}").geometry.shape == (6, 5, 4)
    assert read_geometry(tmp_path / f"1.{suffix}").shape == (6, 5, 4)
    for read in (read_volume, read_geometry, read_label_map):
        with pytest.raises(InputError, match=r"3\..* is 4D \(size 6x5x4x3\)"):
            read(tmp_path / f"3.{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
def test_colour_vectors_complex_numbers_and_pictures_are_refused(tmp_path: Path, suffix: str) -> None:
    refused = {
        "colour": (sitk.Image([6, 5, 4], sitk.sitkVectorUInt8, 3), "3 values a voxel"),
        "complex": (sitk.Image([6, 5, 4], sitk.sitkComplexFloat32), "complex numbers|2 values a voxel"),
        "flat": (sitk.Image([6, 5], sitk.sitkUInt8), "single 2D image"),
    }
    for name, (image, words) in refused.items():
        path = tmp_path / f"{name}.{suffix}"
        sitk.WriteImage(image, str(path))
        for read in (read_volume, read_label_map):
            with pytest.raises(InputError, match=words):
                read(path)


@pytest.mark.parametrize("neighbour", ["nii", "nii.gz"])
def test_a_neighbour_of_nearly_the_same_name_is_not_read_instead(tmp_path: Path, neighbour: str) -> None:
    """SimpleITK alone reads a.nii when it is asked for a.nii.gz."""
    other = Volume(np.zeros((3, 3, 3), np.uint8), Geometry((3, 3, 3)))
    for suffix in FORMATS:
        if suffix != neighbour:
            write_volume(noise(), tmp_path / f"a.{suffix}")
    write_volume(other, tmp_path / f"a.{neighbour}")
    for suffix in FORMATS:
        expected = other if suffix == neighbour else noise()
        np.testing.assert_array_equal(read_volume(tmp_path / f"a.{suffix}").voxels, expected.voxels)
        assert read_geometry(tmp_path / f"a.{suffix}").shape == expected.geometry.shape


def test_names_in_other_scripts_are_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / "Fälle für später"
    folder.mkdir()
    for suffix in FORMATS:
        write_volume(noise(), folder / f"画像 1.{suffix}")
        np.testing.assert_array_equal(read_volume(folder / f"画像 1.{suffix}").voxels, noise().voxels)


@given(angles=st.tuples(*[st.floats(-180, 180)] * 3))
def test_turning_signs_loses_no_digit(angles: tuple[float, float, float]) -> None:
    from pgt.itk_images import geometry_of, image_of

    geometry = Geometry((2, 3, 4), (0.3, 0.7, 1.1), (0.1, 0.2, 0.3), as_matrix(rotation(*angles)))
    assert geometry_of(image_of(np.zeros(geometry.shape), geometry)) == geometry


class TestOutputs:
    """An output is whole or absent, and what was there before is safe."""

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_an_existing_file_is_kept_unless_told_otherwise(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"image.{suffix}"
        path.write_bytes(b"precious")
        with pytest.raises(OutputError, match="exists already and was left as it is"):
            write_volume(noise(), path)
        assert path.read_bytes() == b"precious"
        write_volume(noise(), path, overwrite=True)
        np.testing.assert_array_equal(read_volume(path).voxels, noise().voxels)
        assert list(tmp_path.iterdir()) == [path]

    def test_a_missing_folder_and_an_unknown_suffix_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist"):
            write_volume(noise(), tmp_path / "nowhere" / "image.nrrd")
        with pytest.raises(OutputError, match=r"its name must end in \.nii"):
            write_volume(noise(), tmp_path / "image.png")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.name != "posix", reason="limits the file size as a full disk does, POSIX only")
    @pytest.mark.parametrize("suffix", [*FORMATS, "seg.nrrd"])
    def test_a_full_disk_leaves_the_old_file_and_nothing_else(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"image.{suffix}"
        path.write_bytes(b"precious")
        code = (
            "import resource, sys, numpy as np\n"
            "from pgt.errors import OutputError\n"
            "from pgt.geometry import Geometry\n"
            "from pgt.volume import LabelMap\n"
            "from pgt.volume_io import write_label_map\n"
            "voxels = np.random.default_rng(0).integers(0, 60000, (60, 60, 60)).astype(np.uint16)\n"
            "labels = LabelMap(voxels, Geometry(voxels.shape), ())\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try:\n"
            "    write_label_map(labels, sys.argv[1], overwrite=True)\n"
            "except OutputError as error:\n"
            "    print(error)\n"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert answer.stdout.strip() == f"{path} cannot be written: the disk is full or does not answer."
        assert answer.stderr == ""
        assert path.read_bytes() == b"precious"
        assert list(tmp_path.iterdir()) == [path]


class TestSegmentNames:
    """What 3D Slicer shows travels in NRRD files."""

    SEGMENTS = (
        Segment(2, "Leber · Läsion", (0.8, 0.25, 0.5), "SCT^1^x~SCT^2^y~^^~~^^~^^", "leber"),
        Segment(1, "empty", (0.0, 1.0, 0.0)),
    )

    def test_segments_come_back(self, tmp_path: Path) -> None:
        voxels = np.zeros(OBLIQUE.shape, np.uint8)
        voxels[1:4, 2:5, 3] = 2
        write_label_map(LabelMap(voxels, OBLIQUE, self.SEGMENTS), tmp_path / "case.seg.nrrd")
        again = read_label_map(tmp_path / "case.seg.nrrd")
        assert again.segments[0] == self.SEGMENTS[0]
        assert again.segments[1].name == "empty"
        assert again.segments[1].identifier == "Segment_1"
        np.testing.assert_array_equal(again.voxels, voxels)
        assert again.geometry.difference(OBLIQUE, tolerance=1e-9) is None

    def test_a_name_of_several_lines_stays_one_entry(self, tmp_path: Path) -> None:
        segment = Segment(1, "two\nlines", (1, 0, 0))
        write_label_map(LabelMap(np.ones((2, 2, 2), np.uint8), Geometry((2, 2, 2)), (segment,)),
                        tmp_path / "case.seg.nrrd")  # fmt: skip
        assert read_label_map(tmp_path / "case.seg.nrrd").segments[0].name == "two lines"
