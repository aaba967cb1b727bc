"""``pgt propagate --cases``: a table in, a folder a case out; what cannot be used is told before the work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import command, folders, listing, refused, run_here, run_process, running

from pgt.case_table import read_case_table
from pgt.sample_volume import make_sample
from pgt.scale.case_list_checks import check_label_names
from pgt.volume import LabelMap, Segment
from pgt.volume_io import read_label_map, write_label_map, write_volume

SHAPE = (24, 20, 16)
HEADER = "case,image,label,slices,axis,site"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images, each with slices k = 3 and k = 10 drawn; the second annotation is NIfTI."""
    folder = tmp_path_factory.mktemp("made")
    for number, suffix in enumerate((".seg.nrrd", ".nii.gz", ".seg.nrrd")):
        volume, truth = make_sample(SHAPE, seed=number)
        drawn = np.zeros_like(truth.voxels)
        drawn[:, :, [3, 10]] = truth.voxels[:, :, [3, 10]]
        write_volume(volume, folder / f"ct{number}.nrrd")
        write_label_map(replace(truth, voxels=drawn), folder / f"drawn{number}{suffix}")
    return folder


@pytest.fixture
def case(made: Path, tmp_path: Path) -> Path:
    """A folder of its own with the images and ``LIST.csv``."""
    folder = tmp_path / "data"
    shutil.copytree(made, folder)
    table(folder)
    return folder


def table(folder: Path, *lines: str) -> Path:
    path = folder / "LIST.csv"
    usual = (
        "first,ct0.nrrd,drawn0.seg.nrrd,,,north",
        "second,ct1.nrrd,drawn1.nii.gz,3 10,k,south",
        'third,ct2.nrrd,drawn2.seg.nrrd,"3,10",,north',
    )
    path.write_text("\n".join((HEADER, *(lines or usual))) + "\n")
    return path


def propagate(capfd: pytest.CaptureFixture[str], folder: Path, *more: str | Path) -> object:
    return run_here(
        capfd, "propagate", "--cases", folder / "LIST.csv", "-o", folder / "out", "--method", "shape",
        "--workers", "1", *more,
    )  # fmt: skip


def test_a_table_gives_what_single_calls_give(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ended = propagate(capfd, case, "--uncertainty", "unsure.nrrd")
    assert ended.status == 0, ended.err
    assert "3 done" in ended.out
    alone = run_here(
        capfd, "propagate", case / "ct1.nrrd", case / "drawn1.nii.gz", "-o", case / "alone.nii.gz",
        "--method", "shape", "--uncertainty", case / "alone_unsure.nrrd", "--slices", "3,10", "--axis", "k",
    )  # fmt: skip
    assert alone.status == 0, alone.err
    out = case / "out"
    np.testing.assert_array_equal(
        read_label_map(out / "second" / "label.nii.gz").voxels, read_label_map(case / "alone.nii.gz").voxels
    )
    first = read_label_map(out / "first" / "label.seg.nrrd")
    assert [one.name for one in first.segments] == [
        one.name for one in read_label_map(case / "drawn0.seg.nrrd").segments
    ]
    assert sorted(path.name for path in (out / "third").iterdir()) == [
        "case.json", "label.seg.nrrd", "report.json", "unsure.nrrd"
    ]  # fmt: skip
    assert json.loads((out / "third" / "report.json").read_text())["annotated"] == [3, 10]
    rows = read_case_table(out / "CASES.csv", needed=("case", "image", "label", "site"))
    assert [(row.case, row.image, row.label, dict(row.others)) for row in rows] == [
        ("first", case / "ct0.nrrd", out / "first" / "label.seg.nrrd", {"site": "north"}),
        ("second", case / "ct1.nrrd", out / "second" / "label.nii.gz", {"site": "south"}),
        ("third", case / "ct2.nrrd", out / "third" / "label.seg.nrrd", {"site": "north"}),
    ]
    # The same again: nothing to do. Other settings: told.
    before = listing(out / "first")
    again = propagate(capfd, case, "--uncertainty", "unsure.nrrd")
    assert (again.status, "3 done before" in again.out) == (0, True)
    other = propagate(capfd, case)
    assert other.status == 3
    assert "made with another uncertainty" in other.err
    assert listing(out / "first") == before


def test_a_case_that_fails_is_told_and_the_others_are_done(
    case: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = case / "ct1.nrrd"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    ended = propagate(capfd, case)
    assert ended.status == 3
    assert ended.err.startswith(f"second: {damaged}")
    assert len(ended.err.strip().splitlines()) == 1
    assert "2 done, 1 failed" in ended.out
    out = case / "out"
    summary = json.loads((out / "cases.json").read_text())
    assert summary["counts"] == {"done": 2, "failed": 1}
    assert summary["state"] == "ended"
    failed = summary["cases"][1]
    assert (failed["case"], failed["state"], failed["attempts"]) == ("second", "failed", 1)
    assert str(damaged) in failed["reason"]
    assert [row.case for row in read_case_table(out / "CASES.csv")] == ["first", "third"]
    assert not [path for path in folders(out) if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fourth,missing.nrrd,drawn0.seg.nrrd,,,", "missing.nrrd of case fourth"),
        ("fourth,ct0.nrrd,missing.nrrd,,,", "missing.nrrd of case fourth"),
        ("fourth,ct0.nrrd,,,,", "label is missing"),
        ("first,ct0.nrrd,drawn0.seg.nrrd,,,", "more than once"),
        ("FIRST,ct0.nrrd,drawn0.seg.nrrd,,,", "share one folder"),
        ("../up,ct0.nrrd,drawn0.seg.nrrd,,,", "cannot be the name of a folder"),
        ("cases.json,ct0.nrrd,drawn0.seg.nrrd,,,", "goes by that name"),
        ("fourth,ct0.nrrd,drawn0.seg.nrrd,three,,", "slices are whole numbers"),
        ("fourth,ct0.nrrd,drawn0.seg.nrrd,,z,", "the axis is i, j or k"),
    ],
)
def test_a_list_that_cannot_be_used(
    case: Path, capfd: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    table(case, "first,ct0.nrrd,drawn0.seg.nrrd,,,", line)
    before = listing(case)
    refused(propagate(capfd, case), said)
    assert listing(case) == before
    assert not folders(case)


@pytest.mark.parametrize("differing", ["name", "value"])
def test_cases_that_name_their_labels_differently(
    case: Path, capfd: pytest.CaptureFixture[str], differing: str
) -> None:
    path = case / "drawn2.seg.nrrd"
    label_map = read_label_map(path)
    first, second, *others = label_map.segments
    if differing == "name":
        segments = (replace(first, name="Something else"), second, *others)
    else:
        segments = (replace(first, name=second.name), replace(second, name=first.name), *others)
    write_label_map(LabelMap(label_map.voxels, label_map.geometry, segments), path, overwrite=True)
    refused(propagate(capfd, case), path, case / "drawn0.seg.nrrd", first.name)
    assert not (case / "out").exists()
    numbered = tuple(Segment.numbered(one.value) for one in segments)
    write_label_map(LabelMap(label_map.voxels, label_map.geometry, numbered), path, overwrite=True)
    check_label_names([case / "drawn0.seg.nrrd", case / "drawn1.nii.gz", path])  # no names, no difference


def test_options_that_do_not_go_together(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(run_here(capfd, "propagate", "-o", case / "out"), "IMAGE and ANNOTATION", "--cases")
    refused(propagate(capfd, case, case / "ct0.nrrd"), "--cases names every image")
    refused(propagate(capfd, case, "--report", "r.json"), "--cases names every image")
    refused(propagate(capfd, case, "--uncertainty", case / "u.nrrd"), "--uncertainty")
    refused(propagate(capfd, case, "--uncertainty", "label.nii.gz"), "label.nii.gz")
    refused(propagate(capfd, case, "--scheduler", "tcp://127.0.0.1:9"), "--workers")
    refused(propagate(capfd, case, "--retries", "-1"), "--retries")
    refused(propagate(capfd, case, "--workers", "0"), "--workers")
    single = ("propagate", case / "ct0.nrrd", case / "drawn0.seg.nrrd", "-o", case / "out.nrrd")
    refused(run_here(capfd, *single, "--scheduler", "tcp://127.0.0.1:9"), "--cases")
    assert not (case / "out").exists()


def test_folders_that_hold_something_else(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table(case).rename(case / "CASES.csv")
    before = listing(case)
    ended = run_here(capfd, "propagate", "--cases", case / "CASES.csv", "-o", case, "--method", "shape")
    refused(ended, case / "CASES.csv", "is an input")
    table(case)
    (case / "out").mkdir()
    (case / "out" / "CASES.csv").write_text("precious")
    refused(propagate(capfd, case), case / "out" / "CASES.csv", "exists already", "--force")
    assert (case / "out" / "CASES.csv").read_text() == "precious"
    assert set(before) <= set(listing(case))
    refused(
        run_here(capfd, "propagate", "--cases", case / "LIST.csv", "-o", case / "no" / "out"),
        case / "no" / "out",
    )


def test_a_model_that_nobody_knows_is_refused_before_the_work(
    case: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(
        run_here(
            capfd, "propagate", "--cases", case / "LIST.csv", "-o", case / "out", "--model", "imaginary"
        ),
        "imaginary",
    )
    assert not (case / "out").exists()


def test_no_room_for_the_results(case: Path) -> None:
    """Every write beyond a few hundred bytes fails, as on a full disk."""
    resource = pytest.importorskip("resource")
    ended = run_process(
        "propagate", "--cases", case / "LIST.csv", "-o", case / "out", "--method", "shape", "--workers", "1",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)),
    )  # fmt: skip
    assert ended.status == 2, ended
    assert "Traceback" not in ended.err
    assert ended.err.splitlines()[-1].startswith("pgt: ")
    assert "full" in ended.err
    assert not (case / "out").exists() or not list((case / "out").iterdir())


def slow_table(case: Path) -> Path:
    """Enough cases to be interrupted among them."""
    return table(case, *(f"case{number:02d},ct0.nrrd,drawn0.seg.nrrd,,," for number in range(60)))


def wait_for_case(out: Path, process: object) -> None:
    deadline = time.monotonic() + 60
    while not list(out.glob("case*/case.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_run_that_is_cut_off_keeps_what_is_done_and_goes_on_from_there(
    case: Path, sent: signal.Signals, status: int
) -> None:
    slow_table(case)
    out = case / "out"
    run = ("propagate", "--cases", case / "LIST.csv", "-o", out, "--method", "shape", "--workers", "2")
    with running(command(*run)) as process:
        wait_for_case(out, process)
        asked = time.monotonic()
        process.send_signal(sent)
        _, said = process.communicate(timeout=20)
        busy = os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
        assert time.monotonic() - asked < (5.0 if busy else 1.0)
    assert process.returncode == status
    assert "Traceback" not in said
    if sent is signal.SIGINT:
        assert said.startswith("pgt: Cancelled with ")
        assert "of 60 cases done" in said
    if sent is signal.SIGKILL:
        time.sleep(0.5)  # the workers notice
    done = {path.name: path.stat().st_ino for path in out.glob("case*") if path.is_dir()}
    assert 0 < len(done) < 60
    for name in done:
        assert sorted(path.name for path in (out / name).iterdir()) == [
            "case.json", "label.seg.nrrd", "report.json"
        ]  # fmt: skip
    if sent is not signal.SIGKILL:
        assert not list(out.glob(".*"))
    if sent is signal.SIGTERM:
        return  # as after Ctrl-C
    table(case, *(f"{name},ct0.nrrd,drawn0.seg.nrrd,,," for name in [*done, "more"]))
    ended = run_process(*run)
    assert ended.status == 0, ended.err
    assert f"1 done, {len(done)} done before" in ended.out
    assert {name: (out / name).stat().st_ino for name in done} == done
    assert not list(out.glob(".*"))
