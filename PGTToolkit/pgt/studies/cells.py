"""A study as cells, each one JSON file: killed at any moment, it goes on with the cells that are missing.

A file is written whole or not at all, and says which study it belongs to, so that results of another
configuration or of changed data are never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pgt.case_table import CaseRow
from pgt.errors import Cancelled, OutputError
from pgt.output_files import write_text

CELLS = "cells"
CELL_SCHEMA = "pgt-study-cell"
CELL_VERSION = 1


class Cell(Protocol):
    """One experiment of a study."""

    @property
    def name(self) -> str:
        """Of its file; letters, digits, ``-``, ``_`` and ``.``, different from all others."""


Kind = TypeVar("Kind", bound=Cell)
Result = Mapping[str, Any]
"""What came of a cell; all that JSON can hold."""


@dataclass(frozen=True)
class CellFolder:
    """Where the results of a study lie.

    Args:
        folder: of the study; the cells lie in ``cells`` below it.
        fingerprint: names everything that a cell's result depends on beside the cell itself
            (:func:`fingerprint_of`).
    """

    folder: Path
    fingerprint: str

    def result(self, cell: Cell) -> Result | None:
        """What came of a cell; None where it has not been done."""
        content = _content(self._path(cell))
        if content is None or content.get("study") != self.fingerprint:
            return None
        return content.get("result")

    def keep(self, cell: Cell, result: Result) -> None:
        """Write what came of a cell, whole or not at all.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        self._path(cell).parent.mkdir(parents=True, exist_ok=True)
        content = {
            "schema": CELL_SCHEMA,
            "version": CELL_VERSION,
            "study": self.fingerprint,
            "cell": cell.name,
            "result": result,
        }
        write_text(self._path(cell), json.dumps(content, indent=1) + "\n", overwrite=True)

    def prepare(self, force: bool) -> None:
        """Make the folder, or make sure that what lies in it is of this study.

        Args:
            force: throw cells of another study away.

        Raises:
            OutputError: the folder cannot be made, or holds cells of another study.
        """
        cells = self.folder / CELLS
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"{self.folder} is a file; name a folder for the study.")
        if not self.folder.exists() and not self.folder.absolute().parent.is_dir():
            raise OutputError(
                f"{self.folder} cannot be made: the folder {self.folder.parent} does not exist."
            )
        if force:
            shutil.rmtree(cells, ignore_errors=True)
        for path in sorted(cells.glob("*.json")):
            if path.name.startswith("."):  # what a killed run was just writing
                path.unlink(missing_ok=True)
                continue
            content = _content(path)
            if content is not None and content.get("study") != self.fingerprint:
                raise OutputError(
                    f"{self.folder} holds the cells of a study with another configuration or other cases "
                    f"({path.name}); name another folder, or give --force to begin anew."
                )
        try:
            cells.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {cells} cannot be made: {error.strerror}.") from error

    def _path(self, cell: Cell) -> Path:
        return self.folder / CELLS / f"{cell.name}.json"


def run_cells(
    cells: Sequence[Kind],
    folder: CellFolder,
    run_one: Callable[[Kind], Result],
    progress: Callable[[int, int, str], None] = lambda done, total, message: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Result]:
    """Do what is missing of a study.

    Args:
        cells: of the study, names all different.
        folder: of the results; `CellFolder.prepare` was called.
        run_one: does one cell.
        progress: called before every cell with cells done, cells in all, and the cell's name.
        cancelled: asked before every cell.

    Returns:
        Every cell's result by its name, in the order of ``cells``.

    Raises:
        Cancelled: ``cancelled`` said so; what was done stays.
    """
    names = [cell.name for cell in cells]
    if len(set(names)) != len(names):
        raise ValueError("two cells of a study have the same name")
    results = {cell.name: folder.result(cell) for cell in cells}
    missing = [cell for cell in cells if results[cell.name] is None]
    for number, cell in enumerate(missing):
        if cancelled():
            raise Cancelled
        progress(len(cells) - len(missing) + number, len(cells), cell.name)
        folder.keep(cell, run_one(cell))
        results[cell.name] = folder.result(cell)
    return {name: result for name, result in results.items() if result is not None}


def fingerprint_of(configuration: Any, rows: Sequence[CaseRow]) -> str:
    """Names a study: what was configured, and the files of its cases as they are now.

    Args:
        configuration: everything that results depend on, as JSON can hold it.
        rows: the cases.
    """
    files = [
        [row.case, *(_state(path) for path in (row.image, row.label) if path is not None)] for row in rows
    ]
    text = json.dumps([CELL_VERSION, configuration, files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _state(path: Path) -> list[list[Any]]:
    """What changes when a file, or one in a folder of DICOM files, is written anew."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [(str(file.resolve()), file.stat()) for file in files]
    return [[name, state.st_size, state.st_mtime_ns] for name, state in states]


def _content(path: Path) -> dict[str, Any] | None:
    """A cell's file; None where it is absent or damaged, and so has to be done again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("schema") != CELL_SCHEMA:
        return None
    return content if content.get("version") == CELL_VERSION else None
