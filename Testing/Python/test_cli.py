"""The command line as scripts use it: its calls and what they write are a contract."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import command, environment, folders, listing, refused, run_here, run_process

from pgt.commands.annotation_files import drawn_axis
from pgt.commands.choices import slice_indices
from pgt.commands.outputs import IMAGE_SUFFIXES, Outputs
from pgt.errors import InputError, OutputError
from pgt.geometry import Geometry
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap
from pgt.volume_io import WRITABLE_SUFFIXES, read_label_map, read_volume, write_label_map, write_volume

DRAWN = (2, 11, 21)
REPORT_KEYS = [
    "axis", "annotated", "method", "model", "device", "seconds", "labels", "slices", "next_slice",
]  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ct.nii.gz``, ``drawn.nii.gz`` (three k slices) and ``truth.seg.nrrd`` (every slice)."""
    folder = tmp_path_factory.mktemp("case")
    volume, truth = make_sample((40, 32, 24), seed=1)
    drawn = np.zeros_like(truth.voxels)
    drawn[:, :, list(DRAWN)] = truth.voxels[:, :, list(DRAWN)]
    write_volume(volume, folder / "ct.nii.gz")
    write_label_map(LabelMap(drawn, truth.geometry, truth.segments), folder / "drawn.nii.gz")
    write_label_map(truth, folder / "truth.seg.nrrd")
    return folder


def test_propagate_writes_what_was_asked_for(case: Path, tmp_path: Path) -> None:
    ended = run_process(
        "propagate", case / "ct.nii.gz", case / "drawn.nii.gz", "-o", tmp_path / "out.nii.gz",
        "--method", "shape", "--uncertainty", tmp_path / "unsure.nrrd", "--report", tmp_path / "report.json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert str(tmp_path / "out.nii.gz") in ended.out
    assert set(listing(tmp_path)) == {"out.nii.gz", "unsure.nrrd", "report.json"}
    assert not folders(tmp_path)

    drawn, out = read_label_map(case / "drawn.nii.gz"), read_label_map(tmp_path / "out.nii.gz")
    assert out.geometry.difference(drawn.geometry, tolerance=1e-6) is None
    np.testing.assert_array_equal(out.voxels[:, :, list(DRAWN)], drawn.voxels[:, :, list(DRAWN)])
    unsure = read_volume(tmp_path / "unsure.nrrd")
    assert unsure.geometry.difference(drawn.geometry) is None
    assert unsure.voxels.dtype == np.float32
    assert 0 <= unsure.voxels.min() <= unsure.voxels.max() <= 1

    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report) == REPORT_KEYS
    assert (report["axis"], report["annotated"], report["method"]) == ("k", list(DRAWN), "shape")
    assert report["labels"] == {str(value): {"voxels": int(out.mask(value).sum())} for value in drawn.values}
    by_index = {entry["index"]: entry for entry in report["slices"]}
    assert set(by_index) >= set(range(2, 22))
    assert all(set(entry) == {"index", "state", "confidence"} for entry in report["slices"])
    assert all(by_index[index]["state"] == "annotated" for index in DRAWN)
    assert by_index[5]["state"] == "propagated"
    assert report["next_slice"] is None or report["next_slice"] not in DRAWN


def test_only_the_listed_slices_are_read(
    case: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outputs = {}
    for name, annotation, extra in (
        ("drawn", "drawn.nii.gz", ()),
        ("listed", "truth.seg.nrrd", ("--slices", "21,2,11", "--axis", "k")),
    ):
        out, report = tmp_path / f"{name}.nii.gz", tmp_path / f"{name}.json"
        ended = run_here(
            capfd, "propagate", case / "ct.nii.gz", case / annotation, "-o", out, "--method", "shape",
            "--report", report, *extra,
        )  # fmt: skip
        assert ended.status == 0, ended.err
        outputs[name] = read_label_map(out).voxels, json.loads(report.read_text())["annotated"]
    np.testing.assert_array_equal(outputs["drawn"][0], outputs["listed"][0])
    assert outputs["drawn"][1] == outputs["listed"][1] == list(DRAWN)


@pytest.mark.parametrize("axis", ["i", "j"])
def test_other_axes(case: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], axis: str) -> None:
    out, report = tmp_path / "out.mha", tmp_path / "report.json"
    ended = run_here(
        capfd, "propagate", case / "ct.nii.gz", case / "truth.seg.nrrd", "-o", out, "--slices", "10,16,22",
        "--axis", axis, "--method", "shape", "--report", report,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    number = "ijk".index(axis)
    truth, result = read_label_map(case / "truth.seg.nrrd").voxels, read_label_map(out).voxels
    for index in (10, 16, 22):
        np.testing.assert_array_equal(np.take(result, index, number), np.take(truth, index, number))
    assert json.loads(report.read_text())["axis"] == axis


def test_segment_names_are_kept(case: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.seg.nrrd"
    ended = run_here(
        capfd, "propagate", case / "ct.nii.gz", case / "truth.seg.nrrd", "-o", out, "--slices", "2,11",
        "--method", "shape",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    names = [segment.name for segment in read_label_map(out).segments]
    assert names == [segment.name for segment in read_label_map(case / "truth.seg.nrrd").segments]


def test_one_annotated_slice_works_one_sided(
    case: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.nii.gz"
    ended = run_here(
        capfd, "propagate", case / "ct.nii.gz", case / "truth.seg.nrrd", "-o", out, "--slices", "11",
        "--method", "shape",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    truth = read_label_map(case / "truth.seg.nrrd").voxels
    np.testing.assert_array_equal(read_label_map(out).voxels[:, :, 11], truth[:, :, 11])


def test_force_replaces(case: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.nii.gz"
    out.write_text("older")
    arguments = (
        "propagate", case / "ct.nii.gz", case / "drawn.nii.gz", "-o", out, "--method", "shape",
    )  # fmt: skip
    refused(run_here(capfd, *arguments), out, "exists already")
    assert out.read_text() == "older"
    assert run_here(capfd, *arguments, "--force").status == 0
    assert read_label_map(out).values
    assert set(listing(tmp_path)) == {"out.nii.gz"}


def test_no_progress_bar_where_there_is_no_terminal(case: Path, tmp_path: Path) -> None:
    ended = run_process(
        "propagate", case / "ct.nii.gz", case / "drawn.nii.gz", "-o", tmp_path / "o.nrrd", "--method", "shape"
    )
    assert ended.status == 0
    assert "\x1b" not in ended.err + ended.out
    assert len(ended.out.strip().splitlines()) == 1


def test_a_progress_bar_on_a_terminal(case: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    arguments = command(
        "propagate", case / "ct.nii.gz", case / "drawn.nii.gz", "-o", tmp_path / "o.nrrd", "--method", "shape"
    )
    with subprocess.Popen(
        arguments, stderr=writer, stdout=subprocess.PIPE, env=environment(TERM="xterm", COLUMNS="100")
    ) as process:
        os.close(writer)
        shown = b""
        with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
            while chunk := os.read(reader, 1 << 16):
                shown += chunk
    os.close(reader)
    assert process.returncode == 0
    assert b"Reading" in shown
    assert "━".encode() in shown


def test_importing_the_command_line_is_light() -> None:
    heavy = ["torch", "SimpleITK", "scipy", "matplotlib", "itk", "numpy"]
    code = f"import sys, pgt.cli; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
    )
    assert ended.stdout.strip() == "[]"


def test_help_and_version(capfd: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capfd, "--help")
    assert ended.status == 0
    for name in ("plan", "propagate", "models", "demo"):
        assert f" {name} " in ended.out
        assert run_here(capfd, name, "--help").status == 0
    assert run_here(capfd, "--version").out.startswith("pgt ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "fly"),
        (["propagate"], "--output"),
        (["propagate", "-o", "c.nrrd"], "IMAGE"),
        (["propagate", "a.nrrd", "b.nrrd"], "--output"),
        (["propagate", "a.nrrd", "b.nrrd", "-o", "c.nrrd", "--method", "magic"], "magic"),
        (["propagate", "a.nrrd", "b.nrrd", "-o", "c.nrrd", "--axis", "x"], "axis"),
        (["propagate", "a.nrrd", "b.nrrd", "-o", "c.nrrd", "--fast"], "--fast"),
        (["propagate", "a.nrrd", "b.nrrd", "-o", "c.nrrd", "--slices", "1;2"], "1;2"),
        (["propagate", "a.nrrd", "b.nrrd", "-o", "c.nrrd", "--slices", "-3"], "-3"),
        (["demo", "--image", "a.nrrd"], "--annotation"),
    ],
)
def test_usage_errors_are_one_sentence(
    capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    refused(run_here(capfd, *arguments), said)


def test_slice_lists() -> None:
    assert slice_indices(None) is None
    assert slice_indices("12, 40,12") == (12, 40)
    for text in ("", "1.5", "a", "1,,2"):
        with pytest.raises(InputError):
            slice_indices(text)


@pytest.mark.parametrize("axis", range(3))
def test_the_axis_that_was_drawn_across_is_found(axis: int) -> None:
    ball = np.linalg.norm(np.indices((21, 23, 25)) - np.array([10, 11, 12])[:, None, None, None], axis=0) < 9
    for indices in ([5, 9, 14], [10]):
        drawn = np.zeros(ball.shape, np.uint8)
        slices = np.moveaxis(drawn, axis, 0)
        slices[indices] = np.moveaxis(ball, axis, 0)[indices]
        assert drawn_axis(LabelMap.from_voxels(drawn, Geometry(ball.shape))) == axis


def test_a_dense_label_map_counts_along_k() -> None:
    assert drawn_axis(LabelMap.from_voxels(np.ones((3, 4, 5), np.uint8), Geometry((3, 4, 5)))) == 2


def test_the_formats_offered_are_the_formats_written() -> None:
    assert set(IMAGE_SUFFIXES) == set(WRITABLE_SUFFIXES)


def test_outputs_appear_together(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    with Outputs([first, None, second], overwrite=False) as outputs:
        outputs.place(first).write_text("one")
        outputs.place(second).write_text("two")
        assert not first.exists()
        outputs.publish()
    assert listing(tmp_path) == {"a.txt": b"one", "b.txt": b"two"}
    assert not folders(tmp_path)


def test_where_one_output_fails_none_appears_and_the_former_stay(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("former")
    outputs = Outputs([first, second], overwrite=True)
    with outputs:
        outputs.place(first).write_text("one")
        with pytest.raises(OutputError, match=r"b\.txt"):  # was never written
            outputs.publish()
    assert listing(tmp_path) == {"a.txt": b"former"}
    assert not folders(tmp_path)


def test_an_error_names_the_output_and_not_where_it_was_prepared(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OutputError) as caught, Outputs([path], overwrite=False) as outputs:
        raise OutputError(f"{outputs.place(path)} cannot be written: the disk is full.")
    assert str(caught.value) == f"{path} cannot be written: the disk is full."
