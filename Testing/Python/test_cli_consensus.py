"""``pgt consensus``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import folders, listing, refused, run_here
from reading_cases import GRID, box, write_labels, write_layers, write_named

from pgt.volume import Segment
from pgt.volume_io import read_label_map, read_volume

Capture = pytest.CaptureFixture[str]

# Three raters whose blocks begin one voxel after the other along i.
BLOCKS = [box((3 + n, 4, 3), (11 + n, 13, 12)) for n in range(3)]
NEIGHBOURS = [box((11 + n, 4, 3), (16, 13, 12)) for n in range(3)]
SEGMENTS = [
    Segment(4, "Liver", (0.25, 0.5, 0.75), "terms~of~liver", "L"),
    Segment(9, "Spleen", (1.0, 0.5, 0.0), "", "S"),
]


@pytest.fixture
def raters(tmp_path: Path) -> list[Path]:
    """Files of three raters: the first names its segments, the others only by value or in other letters."""
    first = write_named(tmp_path / "a.seg.nrrd", SEGMENTS, [BLOCKS[0], NEIGHBOURS[0]])
    second = write_labels(tmp_path / "b.nii.gz", {4: BLOCKS[1], 9: NEIGHBOURS[1]})
    others = [Segment(1, "spleen", (0, 0, 0)), Segment(2, "LIVER", (0, 0, 0))]
    third = write_named(tmp_path / "c.seg.nrrd", others, [NEIGHBOURS[2], BLOCKS[2]])
    return [first, second, third]


def test_the_majority_keeps_the_first_segmentation_s_names(raters: list[Path], capfd: Capture) -> None:
    out = raters[0].parent / "out.seg.nrrd"
    ended = run_here(capfd, "consensus", *raters, "-o", out, "--method", "majority")
    assert ended.status == 0, ended.err
    found = read_label_map(out)
    assert found.geometry.difference(GRID) is None
    assert [(s.value, s.name, s.terminology, s.identifier) for s in found.segments] == [
        (s.value, s.name, s.terminology, s.identifier) for s in SEGMENTS
    ]
    for segment, wanted in zip(found.segments, SEGMENTS, strict=True):
        assert segment.color == pytest.approx(wanted.color, abs=1e-6)
    votes = np.sum(BLOCKS, axis=0), np.sum(NEIGHBOURS, axis=0)
    np.testing.assert_array_equal(found.mask(4), votes[0] >= 2)
    np.testing.assert_array_equal(found.mask(9), votes[1] >= 2)


@pytest.mark.parametrize(("method", "votes"), [("any", 1), ("majority", 2), ("all", 3)])
def test_votes(tmp_path: Path, capfd: Capture, method: str, votes: int) -> None:
    paths = [write_labels(tmp_path / f"{n}.nii.gz", {5: mask}) for n, mask in enumerate(BLOCKS)]
    out, share = tmp_path / "out.nii.gz", tmp_path / "share.nii.gz"
    ended = run_here(capfd, "consensus", *paths, "-o", out, "--method", method, "--probability", share)
    assert ended.status == 0, ended.err
    np.testing.assert_array_equal(read_label_map(out).voxels, 5 * (np.sum(BLOCKS, axis=0) >= votes))
    np.testing.assert_allclose(read_volume(share).voxels, np.mean(BLOCKS, axis=0), atol=1e-6)


def test_staple_is_what_simpleitk_finds_around_the_dispute(tmp_path: Path, capfd: Capture) -> None:
    paths = [write_labels(tmp_path / f"{n}.nii.gz", {1: mask}) for n, mask in enumerate(BLOCKS)]
    out, report, share = tmp_path / "out.nrrd", tmp_path / "out.json", tmp_path / "share.nrrd"
    ended = run_here(capfd, "consensus", *paths, "-o", out, "--report", report, "--probability", share)
    assert ended.status == 0, ended.err
    told = json.loads(report.read_text())["labels"]["1"]
    disputed = np.any(BLOCKS, axis=0) & ~np.all(BLOCKS, axis=0)
    assert told["disputed"] == disputed.sum()
    assert told["voxels"] == (read_label_map(out).voxels == 1).sum()
    assert [one["rater"] for one in told["raters"]] == ["0", "1", "2"]
    # The middle one of three equal blocks in a row is the truth that explains all three best.
    np.testing.assert_array_equal(read_label_map(out).voxels == 1, BLOCKS[1])
    assert told["raters"][1]["sensitivity"] == pytest.approx(1, abs=1e-3)
    assert told["raters"][1]["specificity"] == pytest.approx(1, abs=1e-3)
    # STAPLE on exactly the dispute and one voxel around it, as SimpleITK computes it.
    near = sitk.BinaryDilate(sitk.GetImageFromArray(disputed.astype(np.uint8)), (1, 1, 1), sitk.sitkBox)
    region = sitk.GetArrayFromImage(near).astype(bool)
    rows = [sitk.GetImageFromArray(mask[region].astype(np.uint8)[np.newaxis, np.newaxis]) for mask in BLOCKS]
    staple = sitk.STAPLEImageFilter()
    staple.SetForegroundValue(1)
    expected = sitk.GetArrayFromImage(staple.Execute(rows)).ravel()
    np.testing.assert_allclose(read_volume(share).voxels[region], expected, atol=1e-4)


def test_one_structure_of_several(raters: list[Path], capfd: Capture) -> None:
    out = raters[0].parent / "out.nrrd"
    ended = run_here(capfd, "consensus", *raters, "-o", out, "--label", "Spleen")
    assert ended.status == 0, ended.err
    assert [segment.name for segment in read_label_map(out).segments] == ["Spleen"]


def test_a_structure_of_one_rater_is_left_out_and_said(tmp_path: Path, capfd: Capture) -> None:
    layers = [{"Liver": BLOCKS[0]}, {"Liver": BLOCKS[1], "Cyst": NEIGHBOURS[0]}, {"liver": BLOCKS[2]}]
    paths = [write_layers(tmp_path / f"{n}.seg.nrrd", masks) for n, masks in enumerate(layers)]
    ended = run_here(capfd, "consensus", *paths, "-o", tmp_path / "out.seg.nrrd")
    assert ended.status == 0, ended.err
    assert "Only one rater has Cyst; it is left out." in ended.err
    assert [segment.name for segment in read_label_map(tmp_path / "out.seg.nrrd").segments] == ["Liver"]


def test_structures_that_overlap_are_decided_one_by_one(tmp_path: Path, capfd: Capture) -> None:
    inner = box((5, 6, 5), (9, 10, 9))
    paths = [
        write_layers(tmp_path / f"{n}.seg.nrrd", {"Liver": mask, "Tumour": inner})
        for n, mask in enumerate(BLOCKS)
    ]
    before = listing(tmp_path)
    ended = run_here(capfd, "consensus", *paths, "-o", tmp_path / "out.seg.nrrd")
    refused(ended, "Liver and Tumour share", "--label")
    assert listing(tmp_path) == before
    ended = run_here(capfd, "consensus", *paths, "-o", tmp_path / "out.seg.nrrd", "--label", "Tumour")
    assert ended.status == 0, ended.err
    np.testing.assert_array_equal(read_label_map(tmp_path / "out.seg.nrrd").voxels != 0, inner)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "two raters or more"),
        (["b.nii.gz", "--method", "magic"], "magic"),
        (["b.nii.gz", "--label", "Kidney"], "no label 'Kidney'; the labels are Liver, Spleen"),
        (["b.nii.gz", "--names", "x"], "--names gives 1 names for 2"),
        (["gone.nii.gz"], "gone.nii.gz does not exist"),
        (["b.nii.gz", "-o", "out.txt"], "out.txt is of no format"),
        (["b.nii.gz", "-o", "b.nii.gz"], "b.nii.gz is an input"),
        (["b.nii.gz", "--report", "c.seg.nrrd"], "c.seg.nrrd exists already"),
    ],
)
def test_what_makes_no_sense_is_refused(
    raters: list[Path], capfd: Capture, options: list[str], said: str
) -> None:
    folder = raters[0].parent
    before = listing(folder)
    arguments = [str(folder / one) if "." in one else one for one in options]
    output = [] if "-o" in options else ["-o", str(folder / "out.nrrd")]
    refused(run_here(capfd, "consensus", raters[0], *arguments, *output), said)
    assert listing(folder) == before
    assert folders(folder) == []
