"""``CASES.csv``: one case a line, with the columns ``case``, ``image``, ``label`` and any others."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pgt.errors import InputError
from pgt.output_files import write_text


@dataclass(frozen=True)
class CaseRow:
    """One line of the table. ``label`` is None where the column is missing or empty."""

    case: str
    image: Path
    label: Path | None = None
    others: Mapping[str, str] = field(default_factory=dict)


def read_case_table(path: Path, needed: Sequence[str] = ("case", "image")) -> tuple[CaseRow, ...]:
    """Read a table of cases. Relative paths in it count from the folder of the table.

    Args:
        path: a CSV file with a header.
        needed: the columns that must be there and filled in on every line.

    Raises:
        InputError: the file is missing or no table, it lacks a column or entry, or names a case twice.
    """
    rows = tuple(_row(path, line) for _, line in table_lines(path, needed))
    names = [row.case for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path} names the case {', '.join(twice)} more than once.")
    return rows


def write_case_table(path: Path, rows: Sequence[CaseRow], overwrite: bool = False) -> None:
    """Write a table that `read_case_table` reads, with absolute paths.

    Raises:
        OutputError: the file exists and must not be overwritten, or cannot be written.
    """
    others = list(dict.fromkeys(name for row in rows for name in row.others))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "image", "label", *others])
    for row in rows:
        label = row.label.resolve() if row.label else ""
        writer.writerow(
            [row.case, row.image.resolve(), label, *(row.others.get(name, "") for name in others)]
        )
    write_text(path, text.getvalue(), overwrite)


def table_lines(path: Path, needed: Sequence[str]) -> tuple[tuple[int, Mapping[str, str]], ...]:
    """The lines of a CSV file with a header: line number and entries by column, blanks around them removed.

    Args:
        path: the file.
        needed: the columns that must be there and filled in on every line.

    Raises:
        InputError: the file is missing, no table or empty, or it lacks a column or entry.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            lines = [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of cases: {error}.") from error
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; its header must name {', '.join(needed)}."
        )
    if not lines:
        raise InputError(f"{path} lists no case.")
    return tuple((number, _entries(path, number, line, needed)) for number, line in lines)


def _entries(
    path: Path, number: int, line: Mapping[str, str | None], needed: Sequence[str]
) -> Mapping[str, str]:
    entries = {name: (value or "").strip() for name, value in line.items() if isinstance(name, str)}
    empty = [name for name in needed if not entries[name]]
    if empty:
        raise InputError(f"{path}, line {number}: the entry for {', '.join(empty)} is missing.")
    return entries


def _row(path: Path, entries: Mapping[str, str]) -> CaseRow:
    label = entries.get("label")
    return CaseRow(
        case=entries["case"],
        image=path.parent / entries["image"],
        label=path.parent / label if label else None,
        others={name: value for name, value in entries.items() if name not in ("case", "image", "label")},
    )
