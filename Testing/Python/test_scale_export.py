"""Exports by several workers: the same files as by one, and a case that fails does not stop the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import listing, refused, run_here
from made_exports import MadeCase

from pgt.case_table import write_case_table
from pgt.export.case_list import read_cases
from pgt.export.checksums import read_checksums
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.export.exporting_by_workers import export_by_workers
from pgt.scale.case_runs import ScaleSettings

SETTINGS = ExportSettings(formats=(ExportFormat.NIFTI, ExportFormat.NNUNET))


def made_list(folder: Path, overlapping: str = "") -> Path:
    rows = [
        MadeCase(seed=number, overlap=case == overlapping).write(folder, case)
        for number, case in enumerate(("a", "b", "c"))
    ]
    write_case_table(folder / "CASES.csv", rows)
    return folder / "CASES.csv"


def test_the_same_export_as_by_one(tmp_path: Path) -> None:
    cases = read_cases(made_list(tmp_path))
    alone = export_cases(cases, SETTINGS, tmp_path / "alone")
    scale = ScaleSettings(tmp_path, workers=2, gpu=False)
    heard: list[tuple[int, int]] = []
    report, failed = export_by_workers(
        cases, SETTINGS, tmp_path / "together", scale, lambda done, total, words: heard.append((done, total))
    )
    assert failed == ()
    assert report is not None
    assert (report.exported, report.resumed) == (alone.exported, ())
    assert heard[-1] == (3, 3)
    ours, theirs = read_checksums(tmp_path / "together"), read_checksums(tmp_path / "alone")
    assert set(ours) == set(theirs)
    written = {name for name in ours if not name.endswith(".json")}
    assert {name: ours[name] for name in written} == {name: theirs[name] for name in written}
    assert set(listing(tmp_path / "together")) == set(listing(tmp_path / "alone"))


def test_a_case_that_fails_does_not_stop_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = made_list(tmp_path, overlapping="b")
    call = (
        "export",
        "--cases",
        table,
        "-o",
        tmp_path / "out",
        "--format",
        "nifti",
        "--labels",
        "Liver,Kidney",
    )
    ended = run_here(capfd, *call, "--workers", "1")
    assert ended.status == 3
    first, second = ended.err.strip().splitlines()
    assert first.startswith("b: ")
    assert "overlap" in first
    assert "1 case could not be exported" in second
    placed = {path.name: path.stat().st_ino for path in (tmp_path / "out" / "nifti").glob("*.nii.gz")}
    assert sorted(placed) == ["a.nii.gz", "c.nii.gz"]
    assert not (tmp_path / "out" / "SHA256SUMS").exists()
    again = run_here(capfd, *call, "--workers", "1")
    assert again.status == 3
    assert {path.name: path.stat().st_ino for path in (tmp_path / "out" / "nifti").glob("*.nii.gz")} == placed


def test_a_cluster_that_does_not_answer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call = ("export", made_list(tmp_path), "-o", tmp_path / "out", "--format", "nifti")
    refused(run_here(capfd, *call, "--scheduler", "no address"), "No Dask scheduler answers at no address")
    assert run_here(capfd, *call).status == 0  # the folder is no one else's
