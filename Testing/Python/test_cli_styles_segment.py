"""``pgt styles segment``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import listing, refused, run_here
from style_cases import TIGHT, made_case
from trained_style_model import trained_style_model

from pgt.styles.inference import segment
from pgt.volume import LabelMap
from pgt.volume_io import read_label_map, write_label_map, write_volume

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in ``model``, an image, and three slices of it drawn tightly."""
    (tmp_path / "model").mkdir()
    trained_style_model().save(tmp_path / "model")
    volume, label_map = made_case(400, TIGHT)
    write_volume(volume, tmp_path / "image.nii.gz")
    voxels = np.zeros_like(label_map.voxels)
    voxels[:, :, [5, 6, 7]] = label_map.voxels[:, :, [5, 6, 7]]
    write_label_map(LabelMap.from_voxels(voxels, label_map.geometry), tmp_path / "drawn.nii.gz")
    return tmp_path


def test_a_named_style_with_probabilities(folder: Path, capfd: Capture) -> None:
    out, share = folder / "out.nrrd", folder / "share.nii.gz"
    ended = run_here(
        capfd, "styles", "segment", folder / "model", folder / "image.nii.gz", "-o", out,
        "--style", "tight", "--probabilities", share, "--device", "cpu",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert ended.err == ""
    model = trained_style_model()
    volume, _ = made_case(400, TIGHT)
    expected = segment(model, volume, model.styles["tight"])
    found = read_label_map(out)
    assert [one.name for one in found.segments] == ["Structure"]
    assert np.mean(found.voxels != expected.label_map.voxels) < 0.005  # files hold rounded geometry
    probability = sitk.GetArrayFromImage(sitk.ReadImage(str(share))).T
    assert np.abs(probability - expected.probability(1)).mean() < 0.01
    assert f"{expected.volumes_ml[1]:.2g}" in ended.out


def test_the_style_of_drawn_slices_which_stay_as_they_are(folder: Path, capfd: Capture) -> None:
    out, main = folder / "out.nii.gz", folder / "main.nii.gz"
    arguments = ("styles", "segment", folder / "model", folder / "image.nii.gz")
    ended = run_here(capfd, *arguments, "-o", out, "--annotation", folder / "drawn.nii.gz")
    assert ended.status == 0, ended.err
    assert "The style of 3 annotated slices is (" in ended.out
    assert run_here(capfd, *arguments, "-o", main).status == 0
    _, truth = made_case(400, TIGHT)
    found, plain = read_label_map(out).voxels, read_label_map(main).voxels
    np.testing.assert_array_equal(found[:, :, [5, 6, 7]], truth.voxels[:, :, [5, 6, 7]])
    assert np.sum(found != truth.voxels) < np.sum(plain != truth.voxels) / 2


def test_outside_the_trained_range_warns_and_works(folder: Path, capfd: Capture) -> None:
    ended = run_here(
        capfd, "styles", "segment", folder / "model", folder / "image.nii.gz",
        "-o", folder / "out.nrrd", "--style", "4,-4",
    )  # fmt: skip
    assert ended.status == 0
    assert "outside the trained range" in ended.err
    assert (folder / "out.nrrd").exists()


def test_refusals_leave_everything_as_it_was(folder: Path, capfd: Capture) -> None:
    model, image, drawn = folder / "model", folder / "image.nii.gz", folder / "drawn.nii.gz"
    out = folder / "out.nrrd"
    before = listing(folder)

    def ended(*more: str | Path, model: Path = model, image: Path = image, out: Path = out):
        return run_here(capfd, "styles", "segment", model, image, "-o", out, *more)

    refused(ended("--style", "radiology"), "no style 'radiology'; it has main, tight, loose")
    refused(ended("--style", "1,2,3"), "2 numbers, not 3")
    refused(ended("--slices", "4"), "--annotation")
    refused(ended("--annotation", drawn, "--style", "tight"), "either --style or --annotation")
    refused(ended("--annotation", drawn, "--slices", "90", "--axis", "k"), drawn, "outside the volume")
    refused(ended(model=folder), folder, "holds no style model")
    refused(ended(image=folder / "absent.nrrd"), "absent.nrrd")
    refused(ended(out=image), image, "is an input")
    refused(ended(out=folder / "out.txt"), "out.txt")
    assert listing(folder) == before


def test_a_model_of_another_architecture(folder: Path, capfd: Capture) -> None:
    text = (folder / "model" / "model.json").read_text()
    (folder / "model" / "model.json").write_text(text.replace('"channels": 6', '"channels": 5'))
    ended = run_here(
        capfd, "styles", "segment", folder / "model", folder / "image.nii.gz", "-o", folder / "out.nrrd"
    )
    refused(ended, "model.safetensors", "another architecture")


def test_propagation_listens_to_the_style_of_its_slices(folder: Path, capfd: Capture) -> None:
    plain, styled = folder / "plain.nrrd", folder / "styled.nrrd"
    arguments = ("propagate", folder / "image.nii.gz", folder / "drawn.nii.gz", "--method", "shape")
    slices = ("--slices", "5,6,7", "--axis", "k")
    assert run_here(capfd, *arguments, *slices, "-o", plain).status == 0
    ended = run_here(capfd, *arguments, *slices, "-o", styled, "--styles", folder / "model")
    assert ended.status == 0, ended.err
    assert "Segment_1 listened to its style" in ended.err
    _, truth = made_case(400, TIGHT)
    found = read_label_map(styled).voxels
    np.testing.assert_array_equal(found[:, :, 5:8], truth.voxels[:, :, 5:8])
    assert np.sum(found != truth.voxels) < np.sum(read_label_map(plain).voxels != truth.voxels)
    refused(
        run_here(capfd, *arguments, "-o", folder / "other.nrrd", "--styles", folder),
        folder, "holds no style model",
    )  # fmt: skip
