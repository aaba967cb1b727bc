"""The record in a case's folder: what its results were made from, so that a later run knows them again.

``case.json`` names no input file and no person: inputs are known by size, time and SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from pgt import __version__
from pgt.errors import InputError
from pgt.plain_data import from_plain, to_plain
from pgt.scale.case_task import CaseTask

RECORD = "case.json"
SCHEMA = "pgt-case"
VERSION = 1

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class InputMark:
    """By which an input is known again.

    Args:
        place: hash of its absolute path, which itself may name a person.
        size: bytes; of a folder, of all files together.
        modified_ns: time of the last change; of a folder, of its youngest file.
        sha256: of what it holds; of a folder, of the names and hashes of its files.
    """

    place: str
    size: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True)
class CaseRecord:
    """What stands in ``case.json``.

    Args:
        case: the case's name.
        inputs: by what they are.
        settings: as in `CaseTask`.
        outputs: sizes in bytes by name below the case's folder.
        results: what the work returned.
        seconds: that the work took.
        attempts: how often it was begun, the last one included.
        worker: where it was done.
        finished: ISO 8601 in UTC.
        software: version of this project.
    """

    case: str
    inputs: Mapping[str, InputMark]
    settings: Mapping[str, Any]
    outputs: Mapping[str, int]
    results: Mapping[str, Any]
    seconds: float
    attempts: int
    worker: str
    finished: str
    software: str


@dataclass(frozen=True)
class Standing:
    """How a case's folder stands to what is asked for now.

    Args:
        kind: ``absent``; ``done``; ``outdated``, made from other inputs or settings, or changed since;
            ``foreign``, not made by a run of cases, so that it is never replaced.
        reason: one sentence; empty where nothing is wrong.
        record: of what is there.
    """

    kind: Literal["absent", "done", "outdated", "foreign"]
    reason: str = ""
    record: CaseRecord | None = None


def standing_of(task: CaseTask, folder: Path) -> Standing:
    """How the results in ``folder`` stand to a task.

    Files are read only where their size or time has changed.

    Raises:
        InputError: an input cannot be read.
    """
    if not folder.exists():
        return Standing("absent")
    try:
        record = read_record(folder)
    except InputError:
        return Standing("foreign", f"{folder} was not made by a run of cases; move it away.")
    strange = sorted(set(files_in(folder)) - set(record.outputs))
    if strange:
        return Standing("foreign", f"{folder} also holds {strange[0]}, which is no result; move it away.")
    difference = _difference(task, record, folder)
    if difference:
        return Standing("outdated", f"{folder}: {difference}; give --force to do it again.", record)
    return Standing("done", "", record)


def mark_of(path: Path) -> InputMark:
    """What an input is known by. Raises InputError where it cannot be read."""
    try:
        size, modified = _extent(path)
        return InputMark(_place(path), size, modified, _hash(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def write_record(
    task: CaseTask,
    folder: Path,
    inputs: Mapping[str, InputMark],
    results: Mapping[str, Any],
    seconds: float,
    attempts: int,
    worker: str,
) -> CaseRecord:
    """Write the record of a case whose outputs are in ``folder``, as its last file. Raises OSError."""
    record = CaseRecord(
        case=task.case,
        inputs=inputs,
        settings=_as_json(task.settings),
        outputs={name: (folder / name).stat().st_size for name in files_in(folder)},
        results=_as_json(results),
        seconds=round(seconds, 3),
        attempts=attempts,
        worker=worker,
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        software=__version__,
    )
    content = {"schema": SCHEMA, "version": VERSION, **to_plain(record)}
    (folder / RECORD).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return record


def read_record(folder: Path) -> CaseRecord:
    """Read a case's record.

    Raises:
        InputError: there is none, it is damaged, or of another version.
    """
    path = folder / RECORD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("schema") != SCHEMA or content.pop("version") != VERSION:
            raise ValueError("another schema")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{path} is no record of a case.") from error
    return from_plain(CaseRecord, content)


def _difference(task: CaseTask, record: CaseRecord, folder: Path) -> str:
    """In what the results there are not those that are asked for; empty where in nothing."""
    for name, size in record.outputs.items():
        path = folder / name
        if not path.is_file():
            return f"its {name} is missing"
        if path.stat().st_size != size:
            return f"its {name} was changed after it was made"
    more = sorted(set(task.outputs or ()) - set(record.outputs))
    if more:
        return f"{_listed(more)} was not asked for then"
    settings = _as_json(task.settings)
    changed = [
        name
        for name in dict.fromkeys([*settings, *record.settings])
        if settings.get(name) != record.settings.get(name)
    ]
    if changed:
        return f"made with another {_listed(changed)}"
    if set(record.inputs) != set(task.inputs):
        return f"made from other inputs ({_listed(sorted(record.inputs))})"
    changed = [what for what, path in task.inputs.items() if not _same(record.inputs[what], path)]
    return f"made from another {_listed(changed)}" if changed else ""


def files_in(folder: Path) -> tuple[str, ...]:
    """The files of a case, record left out, by their names below its folder."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return tuple(sorted(name for name in names if name != RECORD))


def untouched(mark: InputMark, path: Path) -> bool:
    """Whether an input is as old and large as when it was marked."""
    try:
        return _extent(path) == (mark.size, mark.modified_ns)
    except OSError:
        return False


def _same(mark: InputMark, path: Path) -> bool:
    try:
        size, modified = _extent(path)
        if (size, modified, _place(path)) == (mark.size, mark.modified_ns, mark.place):
            return True
        return size == mark.size and _hash(path) == mark.sha256
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _extent(path: Path) -> tuple[int, int]:
    found = [file.stat() for file in _files(path)]
    return sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)


def _hash(path: Path) -> str:
    whole = hashlib.sha256()
    if not path.is_dir():
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                whole.update(chunk)
        return whole.hexdigest()
    for file in _files(path):
        whole.update(f"{file.relative_to(path).as_posix()}\0{_hash(file)}\n".encode())
    return whole.hexdigest()


def _place(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(to_plain(value)))
    return made


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
