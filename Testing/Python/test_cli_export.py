"""``pgt export`` from the command line: what it shows, what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import command, listing, refused, run_here, run_process, running
from made_exports import MadeCase, reviewed_ledger, table

from pgt.case_table import CaseRow
from pgt.volume_io import read_layers


@pytest.fixture
def rows(tmp_path: Path) -> list[CaseRow]:
    return [
        MadeCase(ledger=reviewed_ledger()).write(tmp_path, "done"),
        MadeCase(ledger=reviewed_ledger(propagated=2)).write(tmp_path, "waiting"),
        MadeCase(overlap=True, ledger=reviewed_ledger()).write(tmp_path, "overlap"),
    ]


@pytest.fixture
def cases(tmp_path: Path, rows: list[CaseRow]) -> Path:
    return table(tmp_path, rows)


def test_cases_are_listed_with_their_states(capfd: pytest.CaptureFixture[str], cases: Path) -> None:
    ended = run_here(capfd, "export", "list", cases, "--only", "reviewed")
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert lines[0].split()[:3] == ["case", "segments", "annotated"]
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == [
        "done",
        "waiting",
        "overlap",
    ]
    assert "4 propagated slices wait for review" in ended.out


def test_reviewed_cases_are_exported_and_the_others_named(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, cases: Path
) -> None:
    out = tmp_path / "out"
    ended = run_here(
        capfd, "export", cases, "-o", out, "--format", "seg-nrrd", "--format", "nifti", "--only", "reviewed",
        "--separate-segments",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert "Exported 2 cases" in ended.out
    assert "Left out waiting: 4 propagated slices wait for review." in ended.err
    stored = read_layers(out / "seg-nrrd" / "overlap.seg.nrrd")
    assert (stored.layers[1].voxels == MadeCase(overlap=True).kidney).all()
    assert (out / "nifti" / "overlap_2-Kidney.nii.gz").exists()
    left_out = json.loads((out / "export.json").read_text())["left_out"]
    assert [one["case"] for one in left_out] == ["waiting"]


def test_what_pgt_agree_writes_decides_on_cases(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, rows: list[CaseRow]
) -> None:
    """The report of one case, compared with itself moved: Dice by hand is known to lie between 0 and 1."""
    first, second = rows[0].label, tmp_path / "second.seg.nrrd"
    assert first is not None
    shutil.copy(first, second)
    ended = run_here(
        capfd, "agree", first, second, "--case", "done", "--names", "a,b", "-o", tmp_path / "agree"
    )
    assert ended.status == 0, ended.err
    ended = run_here(
        capfd, "export", "list", table(tmp_path, rows), "--agreement", tmp_path / "agree",
        "--agreement-above", "0.9",
    )  # fmt: skip
    lines = {line.split()[0]: line for line in ended.out.splitlines() if not line.startswith(" ")}
    assert "1.000" in lines["done"]
    assert lines["done"].endswith("yes")
    assert "Nobody compared raters" in lines["waiting"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{cases}"], "Name the folder"),
        (["{cases}", "-o", "{tmp}/out"], "at least one format"),
        (["{cases}", "-o", "{tmp}/out", "--format", "nifti"], "overlap"),
        (["{cases}", "-o", "{tmp}/out", "--format", "dicom-seg"], "names no DICOM series"),
        (["{cases}", "-o", "{tmp}", "--format", "seg-nrrd"], "no export"),
        (["{cases}", "-o", "{tmp}/no/out", "--format", "seg-nrrd"], "cannot be made"),
        (["{cases}", "-o", "{tmp}/out", "--format", "seg-nrrd", "--rename", "Liver"], "OLD=NEW"),
        (["{cases}", "-o", "{tmp}/out", "--format", "seg-nrrd", "--agreement-above", "2"], "between 0 and 1"),
        (
            ["{cases}", "-o", "{tmp}/out", "--format", "seg-nrrd", "--agreement-above", "0.5"],
            "None of 3 cases",
        ),
        (["{cases}", "-o", "{tmp}/out", "--format", "zip"], "zip"),
        (["{cases}", "{cases}", "-o", "{tmp}/out"], "one table of cases"),
        (["{tmp}/gone.csv", "-o", "{tmp}/out", "--format", "nifti"], "does not exist"),
        (["list", "{tmp}/done_ct.nii.gz"], "cannot be read as a table"),
        (["list", "{cases}", "--suspects", "{tmp}/cases.csv"], "styles suspects"),
        (["list", "{cases}", "--agreement", "{tmp}"], "report.json"),
        (["list", "{cases}", "--series", "{tmp}/gone"], "is no folder"),
    ],
)
def test_bad_calls_are_refused_in_one_sentence(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, cases: Path, arguments: list[str], said: str
) -> None:
    before = listing(tmp_path)
    given = [argument.format(cases=cases, tmp=tmp_path) for argument in arguments]
    refused(run_here(capfd, "export", *given), said)
    assert listing(tmp_path) == before


def test_the_folder_of_the_cases_is_no_place_for_the_export(tmp_path: Path, cases: Path) -> None:
    refused(run_process("export", tmp_path, "-o", tmp_path, "--format", "seg-nrrd"), "name another folder")


@pytest.mark.skipif(os.name != "posix", reason="interrupts by signal")
def test_a_cancelled_export_ends_and_goes_on_later(tmp_path: Path) -> None:
    rows = [MadeCase(seed=number).write(tmp_path, f"c{number}") for number in range(6)]
    cases, out = table(tmp_path, rows), tmp_path / "out"
    call = command("export", cases, "-o", out, "--format", "seg-nrrd", "--format", "monai")
    with running(call) as process:
        deadline = time.monotonic() + 90
        while not (out / "seg-nrrd" / "c0.seg.nrrd").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on with the export" in said
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Exported 6 cases" in ended.stdout
    tool = shutil.which("sha256sum")
    if tool:
        checked = subprocess.run([tool, "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False)
        assert checked.returncode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_killed_export_says_that_it_goes_on(tmp_path: Path) -> None:
    rows = [MadeCase(seed=number).write(tmp_path, f"c{number}") for number in range(6)]
    call = command("export", table(tmp_path, rows), "-o", tmp_path / "out", "--format", "monai")
    with running(call) as process:
        deadline = time.monotonic() + 90
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (tmp_path / "out" / "export.json").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        for pid in map(int, children.read_text().split()):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "killed by SIGKILL" in said
    assert "the same call goes on with the export" in said
    assert subprocess.run(call, capture_output=True, check=False).returncode == 0


def test_a_series_folder_by_case_and_a_renamed_label(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, rows: list[CaseRow]
) -> None:
    """--series names a folder that holds no series of these cases, which the refusal then says."""
    (tmp_path / "series").mkdir()
    ended = run_here(
        capfd, "export", table(tmp_path, rows), "-o", tmp_path / "out", "--format", "dicom-seg", "--series",
        tmp_path / "series", "--rename", "Liver=Leber",
    )  # fmt: skip
    refused(ended, "Case done names no DICOM series")
    row = replace(rows[0], others={"series": str(tmp_path / "series")})
    ended = run_here(capfd, "export", table(tmp_path, [row]), "-o", tmp_path / "out", "--format", "dicom-seg")
    refused(ended, "holds no DICOM images")
