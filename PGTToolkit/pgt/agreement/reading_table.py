"""A list of readings as CSV: who drew which case in which session, and where the file is.

Columns ``case``, ``rater`` and ``file``; where wanted ``session`` (the first is called 1, or left empty),
``label`` (name of the structure, where each has a file of its own), ``image`` (shown under the contours) and
``role``: ``rater`` (or empty), ``reference`` or ``candidate``. Relative paths count from the table's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pgt.agreement.readings import FIRST_SESSION, Sitting
from pgt.case_table import table_lines
from pgt.errors import InputError

NEEDED = ("case", "rater", "file")


@dataclass(frozen=True)
class ReadingFile:
    """A file with whose it is.

    Args:
        case: the case.
        sitting: the rater in one session.
        path: the segmentation.
        label: name of the structure where the file holds a single one; empty to take the file's own.
    """

    case: str
    sitting: Sitting
    path: Path
    label: str = ""


class Role(str, Enum):
    """What a reading is in a study."""

    RATER = "rater"
    REFERENCE = "reference"
    CANDIDATE = "candidate"


@dataclass(frozen=True)
class ReadingTable:
    """What the table says.

    Args:
        files: the readings.
        reference: the rater whose readings are the reference, None without one.
        candidates: raters that are models.
        images: image by case, for those that have one.
    """

    files: tuple[ReadingFile, ...]
    reference: str | None = None
    candidates: tuple[str, ...] = ()
    images: Mapping[str, Path] | None = None


def read_reading_table(path: Path) -> ReadingTable:
    """Read the table; the files that it names are not opened.

    Raises:
        InputError: the table cannot be read, lacks a column or entry, names a reading twice, or contradicts
            itself about a role or an image.
    """
    files: list[ReadingFile] = []
    roles: dict[str, Role] = {}
    images: dict[str, Path] = {}
    seen: dict[tuple[str, Sitting], set[str]] = {}
    for number, line in table_lines(path, NEEDED):
        place = f"{path}, line {number}"
        file = _file(path, line)
        labels = seen.setdefault((file.case, file.sitting), set())
        if file.label in labels or (labels and "" in (file.label, *labels)):
            what = f" of {file.label}" if file.label else ""
            raise InputError(f"{place}: {file.sitting} has a reading{what} of case {file.case} already.")
        labels.add(file.label)
        role = _role(line, place)
        if roles.setdefault(file.sitting.rater, role) is not role:
            raise InputError(
                f"{place}: {file.sitting.rater} is {role.value} here and "
                f"{roles[file.sitting.rater].value} on another line."
            )
        image = path.parent / line["image"] if line.get("image") else None
        if image and images.setdefault(file.case, image) != image:
            raise InputError(f"{place}: case {file.case} has another image on another line.")
        files.append(file)
    references = [rater for rater, role in roles.items() if role is Role.REFERENCE]
    if len(references) > 1:
        raise InputError(f"{path} names {' and '.join(references)} as reference; there can be one.")
    candidates = tuple(rater for rater, role in roles.items() if role is Role.CANDIDATE)
    return ReadingTable(tuple(files), references[0] if references else None, candidates, images)


def _file(path: Path, line: Mapping[str, str]) -> ReadingFile:
    sitting = Sitting(line["rater"], line.get("session") or FIRST_SESSION)
    return ReadingFile(line["case"], sitting, path.parent / line["file"], line.get("label", ""))


def _role(line: Mapping[str, str], place: str) -> Role:
    text = (line.get("role") or Role.RATER.value).lower()
    try:
        return Role(text)
    except ValueError as error:
        known = ", ".join(role.value for role in Role)
        raise InputError(f"{place}: the role is {text!r}; known are {known}.") from error
