"""Cells of a study: whole files, nothing done twice, nothing of another study mixed in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import environment
from made_study import made_table

from pgt.case_table import read_case_table
from pgt.errors import Cancelled, OutputError
from pgt.studies.cells import CELLS, CellFolder, fingerprint_of, run_cells

PROGRAM = """
import sys, time
from pathlib import Path
from test_study_cells import Numbered
from pgt.studies.cells import CellFolder, run_cells

folder = CellFolder(Path(sys.argv[1]), "abc")
folder.prepare(False)

def slowly(cell):
    time.sleep(0.05)
    return {"square": cell.number ** 2}

run_cells([Numbered(n) for n in range(40)], folder, slowly)
"""


@dataclass(frozen=True)
class Numbered:
    number: int

    @property
    def name(self) -> str:
        return f"cell{self.number}"


def squared(done: list[int]):
    def run_one(cell: Numbered) -> dict[str, int]:
        done.append(cell.number)
        return {"square": cell.number**2}

    return run_one


def prepared(folder: Path, fingerprint: str = "abc", force: bool = False) -> CellFolder:
    cells = CellFolder(folder, fingerprint)
    cells.prepare(force)
    return cells


def test_does_only_what_is_missing(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "study")
    done: list[int] = []
    assert run_cells([Numbered(1), Numbered(2)], folder, squared(done))["cell2"] == {"square": 4}
    reports: list[tuple[int, int, str]] = []
    results = run_cells(
        [Numbered(n) for n in (3, 2, 1)], folder, squared(done), lambda *said: reports.append(said)
    )
    assert done == [1, 2, 3]
    assert list(results) == ["cell3", "cell2", "cell1"]
    assert reports == [(2, 3, "cell3")]


def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    surroundings = environment()
    surroundings["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / "study")], env=surroundings)
    cells = tmp_path / "study" / CELLS
    until = time.monotonic() + 60
    while len(list(cells.glob("cell*.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in cells.glob("cell*.json")}
    assert 3 <= len(kept) < 40
    assert all(json.loads((cells / name).read_text())["study"] == "abc" for name in kept)
    (cells / ".pgt-0123-partial.json").write_text('{"half')  # what a kill in the midst of writing leaves

    done: list[int] = []
    results = run_cells([Numbered(n) for n in range(40)], prepared(tmp_path / "study"), squared(done))
    assert results == {f"cell{n}": {"square": n**2} for n in range(40)}
    assert len(done) == 40 - len(kept)
    assert {name: (cells / name).stat().st_mtime_ns for name in kept} == kept
    assert sorted(path.name for path in cells.iterdir()) == sorted(f"cell{n}.json" for n in range(40))


def test_cancelled_it_keeps_what_is_done(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "study")
    done: list[int] = []
    with pytest.raises(Cancelled):
        run_cells([Numbered(n) for n in range(5)], folder, squared(done), cancelled=lambda: len(done) == 2)
    assert done == [0, 1]
    assert folder.result(Numbered(1)) == {"square": 1}


def test_a_damaged_cell_is_done_again(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "study")
    run_cells([Numbered(1)], folder, squared([]))
    (tmp_path / "study" / CELLS / "cell1.json").write_text('{"schema": "pgt-study-ce')
    done: list[int] = []
    run_cells([Numbered(1)], prepared(tmp_path / "study"), squared(done))
    assert done == [1]


def test_another_study_is_never_mixed_in(tmp_path: Path) -> None:
    run_cells([Numbered(1)], prepared(tmp_path / "study"), squared([]))
    with pytest.raises(OutputError, match="another configuration or other cases"):
        prepared(tmp_path / "study", "xyz")
    assert CellFolder(tmp_path / "study", "xyz").result(Numbered(1)) is None
    anew = prepared(tmp_path / "study", "xyz", force=True)
    done: list[int] = []
    run_cells([Numbered(1)], anew, squared(done))
    assert done == [1]


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        prepared(tmp_path / "file")
    with pytest.raises(OutputError, match="does not exist"):
        prepared(tmp_path / "missing" / "study")


def test_fingerprint_knows_configuration_and_files(tmp_path: Path) -> None:
    rows = read_case_table(made_table(tmp_path, 2))
    first = fingerprint_of({"steps": 3}, rows)
    assert first == fingerprint_of({"steps": 3}, rows)
    assert first != fingerprint_of({"steps": 4}, rows)
    assert first != fingerprint_of({"steps": 3}, rows[:1])
    os.utime(rows[0].image, ns=(0, 0))
    assert first != fingerprint_of({"steps": 3}, rows)
