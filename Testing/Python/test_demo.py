"""The demo writes what it says, and its page tells the truth and needs nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from command_line import listing, refused, run_here
from PIL import Image

from pgt import demo_files
from pgt.annotation import SliceState
from pgt.demo import Case, dice, made_case, run_demo
from pgt.geometry import Geometry
from pgt.page import Page, SlicePoint
from pgt.pictures import Scene, picture_of_planes, picture_of_slices, png_bytes
from pgt.propagation.engine import PropagationSettings
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_label_map, read_volume, write_label_map, write_volume

SHAPE = (64, 52, 32)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def case() -> Case:
    return made_case(SHAPE, seed=1)


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the demo on a small made volume, without the network."""
    folder = tmp_path_factory.mktemp("demo")
    run_demo(case, folder, PropagationSettings(method="shape"), lambda done, total, message: None)
    return folder


def test_every_file_is_written(folder: Path) -> None:
    assert set(listing(folder)) == {*demo_files.RESULTS, *demo_files.MADE_VOLUME}


def test_the_label_maps_agree_and_keep_the_annotation(case: Case, folder: Path) -> None:
    nifti, nrrd = (read_label_map(folder / f"label_map.{suffix}") for suffix in ("nii.gz", "seg.nrrd"))
    np.testing.assert_array_equal(nifti.voxels, nrrd.voxels)
    truth = read_label_map(folder / "truth.nii.gz")
    slices = list(case.annotated)
    np.testing.assert_array_equal(nifti.voxels[:, :, slices], truth.voxels[:, :, slices])
    assert case.truth is not None
    assert [segment.name for segment in nrrd.segments] == [segment.name for segment in case.truth.segments]
    assert read_volume(folder / "uncertainty.nii.gz").geometry.difference(truth.geometry) is None


class Addresses(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("src", "href", "srcset") and value]


def test_the_page_needs_no_other_file(folder: Path) -> None:
    page = (folder / demo_files.PAGE).read_text(encoding="utf-8")
    reader = Addresses()
    reader.feed(page)
    assert len(reader.found) == 3
    assert all(address.startswith("data:image/png;base64,") for address in reader.found)
    assert not re.search(r"<script|<link|<iframe|url\(|@import|https?://", page)


def test_the_page_says_what_was_measured(case: Case, folder: Path) -> None:
    page = (folder / demo_files.PAGE).read_text(encoding="utf-8")
    result, truth = (read_label_map(folder / name).voxels for name in ("label_map.nii.gz", "truth.nii.gz"))
    others = np.setdiff1d(np.arange(SHAPE[2]), case.annotated)
    for segment in case.truth.segments if case.truth else ():
        value = dice(truth[:, :, others] == segment.value, result[:, :, others] == segment.value)
        assert segment.name in page
        assert value is None or f"{value:.3f}" in page
    next_slice = json.loads((folder / "report.json").read_text())["next_slice"]
    assert f"k = {next_slice}" in page
    for words in ("Shape interpolation", "Contour interpolation", "pgt 0", "SimpleITK", "<svg"):
        assert words in page


def test_dice_by_hand() -> None:
    masks = [np.array(mask, bool) for mask in ([1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0])]
    assert dice(masks[0], masks[1]) == 0.5
    assert dice(masks[0], masks[2]) == 0
    assert dice(masks[2], masks[2]) is None


def test_text_from_files_cannot_become_markup() -> None:
    page = Page(
        title="<script>alert(1)</script>", lead="a & b", steps=["<b>"], pictures=[], axis=2, next_slice=None,
        slices=[SlicePoint(3, SliceState.ANNOTATED, 1.0), SlicePoint(4, None, 0.0)],
        facts={"<i>": "<i>"}, files={},
    )  # fmt: skip
    assert not re.search(r"<script|<b>|<i>", page.html())


def test_pictures_are_true_to_scale() -> None:
    """A ball in voxels of 1x2x4 mm is round in every plane."""
    geometry = Geometry((120, 60, 30), (1.0, 2.0, 4.0))
    steps = [np.arange(size) * mm for size, mm in zip(geometry.shape, geometry.spacing, strict=True)]
    places = np.stack(np.meshgrid(*steps, indexing="ij"))
    ball = np.linalg.norm(places - np.array([60, 60, 60])[:, None, None, None], axis=0) < 40
    volume = Volume(np.where(ball, 100, 0).astype(np.int16), geometry)
    scene = Scene(volume, LabelMap.from_voxels(ball.astype(np.uint8), geometry), 2, (5, 25))
    figure = picture_of_planes(scene)
    figure.canvas.draw()
    for axes in figure.axes:
        (outline,) = (c for c in axes.collections if len(c.get_paths()) and len(c.get_paths()[0].vertices))
        points = axes.transData.transform(outline.get_paths()[0].vertices)
        width, height = np.ptp(points, axis=0)
        assert width / height == pytest.approx(1, abs=0.08)


def test_pictures_tell_annotated_from_propagated_slices(case: Case) -> None:
    assert case.truth is not None
    scene = Scene(case.volume, case.truth, case.axis, case.annotated, {10: 0.5})
    annotated = case.annotated[2]
    figure = picture_of_slices(scene, [annotated, 10])
    dashes = [
        {style[1] is not None for c in axes.collections for style in c.get_linestyle()}
        for axes in figure.axes[:2]
    ]
    assert dashes == [{False}, {True}]


def test_a_picture_is_a_png(case: Case, tmp_path: Path) -> None:
    assert case.truth is not None
    scene = Scene(case.volume, case.truth, case.axis, case.annotated)
    (tmp_path / "picture.png").write_bytes(png_bytes(picture_of_planes(scene)))
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 1000


def test_the_command_on_the_users_own_volume(tmp_path: Path, capfd: Capture) -> None:
    volume, truth = make_sample((40, 32, 20), seed=1)
    drawn = np.zeros_like(truth.voxels)
    drawn[:, [8, 14, 20]] = truth.voxels[:, [8, 14, 20]]
    write_volume(volume, tmp_path / "mine.nrrd")
    write_label_map(LabelMap(drawn, truth.geometry, truth.segments), tmp_path / "drawn.nrrd")
    arguments = ("demo", "--image", tmp_path / "mine.nrrd", "--annotation", tmp_path / "drawn.nrrd")
    output = tmp_path / "results"
    ended = run_here(capfd, *arguments, "-o", output, "--device", "cpu")
    assert ended.status == 0, ended.err
    assert set(listing(output)) == set(demo_files.RESULTS)
    assert str(output / demo_files.PAGE) in ended.out
    report = json.loads((output / "report.json").read_text())
    assert (report["axis"], report["annotated"]) == ("j", [8, 14, 20])

    before = listing(tmp_path)
    refused(run_here(capfd, *arguments, "-o", output), output, "exists already")
    refused(run_here(capfd, *arguments, "-o", tmp_path / "no" / "where"), tmp_path / "no" / "where")
    refused(
        run_here(capfd, *arguments[:3], "--annotation", tmp_path / "mine.nrrd", "-o", tmp_path / "new"),
        "mine",
    )
    assert not (tmp_path / "new").exists()
    assert listing(tmp_path) == before
