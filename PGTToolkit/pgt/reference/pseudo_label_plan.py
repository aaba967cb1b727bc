"""What rounds of pseudo-labelling are asked for, and what their folder says of them; cheap to import.

::

    FOLDER/plan.json             the settings and the cases, so that a second run knows its own
    FOLDER/round-1/models/1 ...  the models of the round
    FOLDER/round-1/labels        accepted pseudo-labels
    FOLDER/round-1/rejected      the others, for whoever wants to look at them
    FOLDER/round-1/CASES.csv     what the next round learns from: given labels and all accepted so far
    FOLDER/round-1/manifest.json cases, scores, hashes and settings; written last
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgt.case_table import CaseRow
from pgt.errors import InputError, OutputError
from pgt.output_files import write_text
from pgt.plain_data import to_plain
from pgt.reference.settings import ReferenceSettings
from pgt.scale.case_runs import ScaleSettings

PLAN = "plan.json"
MANIFEST = "manifest.json"
CASES = "CASES.csv"
MODELS, SCORED, LABELS, REJECTED = "models", "scored", "labels", "rejected"
UNDER_WAY = "under-way"

_SCHEMA = "pgt-pseudo-label-plan"
_VERSION = 1
_ROUND = re.compile(r"round-\d+")
_LATER = ("rounds", "device", "checkpoint_seconds")
"""Settings that may differ when a second run goes on."""


@dataclass(frozen=True)
class RoundSettings:
    """How to label in rounds.

    Args:
        models: trained in every round, each from another start.
        threshold: a pseudo-label is accepted from this score on (equation 1), 0 to 1. How far models agree
            depends on data and training, so by default it is the middle score of the first round: the more
            certain half of the cases, and whatever reaches as much in later rounds.
        rounds: at most.
        training: of each model; ``seed`` is where the models' seeds begin.

    Raises:
        InputError: a number is out of its range.
    """

    models: int = 3
    threshold: float | None = None
    rounds: int = 5
    training: ReferenceSettings = field(default_factory=ReferenceSettings)

    def __post_init__(self) -> None:
        if self.models < 2:
            raise InputError(f"Agreement of models needs two models or more, not {self.models}.")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InputError(f"The threshold lies above 0 and up to 1, not at {self.threshold}.")
        if self.rounds < 1:
            raise InputError(f"There must be at least one round, not {self.rounds}.")


@dataclass(frozen=True)
class RoundsOrder:
    """What to do, and where it goes.

    Args:
        rows: of the table; those without a label map are to be labelled.
        folder: made where missing; a second run goes on with what it holds.
        settings: of the rounds.
        force: begin anew where the folder holds rounds of other cases or settings.
        scale: several workers that label, here or on a cluster; None for this process.
    """

    rows: tuple[CaseRow, ...]
    folder: Path
    settings: RoundSettings = field(default_factory=RoundSettings)
    force: bool = False
    scale: ScaleSettings | None = None


def check_order(order: RoundsOrder) -> None:
    """Refuse what can be refused before an image is read.

    Raises:
        InputError: nothing is labelled or nothing unlabelled, a file is missing or listed twice, a case's
            name cannot be a file's, or the folder holds rounds of other cases or settings.
        OutputError: there can be no such folder.
    """
    check_rows(order.rows)
    folder = order.folder
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder for the rounds.")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise OutputError(f"{folder} cannot be made: the folder {folder.parent} does not exist.")
    if not order.force:
        _check_same(folder, plan_of(order))


def check_rows(rows: Sequence[CaseRow]) -> None:
    """Refuse a table that no round could begin with. Raises InputError."""
    if not any(row.label for row in rows):
        raise InputError("The table names no label map; the models need some labelled cases to begin with.")
    if all(row.label for row in rows):
        raise InputError("Every case of the table has a label map; none is left to be pseudo-labelled.")
    seen: dict[Path, str] = {}
    for row in rows:
        if row.case.startswith(".") or re.search(r'[/\\:*?"<>|\x00-\x1f]', row.case):
            raise InputError(f"The case {row.case!r} cannot give its name to a file; rename it in the table.")
        for path in (row.image, row.label):
            if path is not None and not path.exists():
                raise InputError(f"{path} (case {row.case}) does not exist.")
        same = seen.setdefault(row.image.resolve(), row.case)
        if same != row.case:
            raise InputError(f"{row.image} is the image of two cases, {same} and {row.case}.")


def begin(order: RoundsOrder) -> None:
    """Make the folder and write its plan; with ``force`` what it held of other rounds goes.

    Raises:
        InputError: the folder holds rounds of other cases or settings.
        OutputError: it cannot be written.
    """
    plan = plan_of(order)
    try:
        order.folder.mkdir(exist_ok=True)
        if order.force and not _goes_on(order.folder, plan):
            (order.folder / PLAN).unlink(missing_ok=True)
            for path in order.folder.iterdir():
                if _ROUND.fullmatch(path.name) and path.is_dir():
                    shutil.rmtree(path)
    except OSError as error:
        raise OutputError(f"{order.folder} cannot be written: {error.strerror}.") from error
    _check_same(order.folder, plan)
    write_text(order.folder / PLAN, json.dumps(plan, indent=1, ensure_ascii=False) + "\n", overwrite=True)


def plan_of(order: RoundsOrder) -> dict[str, Any]:
    """What ``plan.json`` holds: every case's files by size and time, and the settings."""
    return {
        "schema": _SCHEMA,
        "version": _VERSION,
        "settings": to_plain(order.settings),
        "cases": [
            {"case": row.case, "image": _state(row.image), "label": row.label and _state(row.label)}
            for row in order.rows
        ],
    }


def _check_same(folder: Path, plan: dict[str, Any]) -> None:
    """Refuse a folder that holds rounds of other cases or settings."""
    held = _held(folder)
    if held is None:
        if any(_ROUND.fullmatch(path.name) for path in folder.glob("round-*")):
            raise InputError(f"{folder} holds rounds but no {PLAN}; name another folder, or give --force.")
        return
    wanted = _unchanging(plan)
    if held.get("cases") != wanted["cases"]:
        raise InputError(
            f"{folder} holds rounds of other cases, or their files have changed since; name another folder, "
            "or give --force to begin anew."
        )
    if held != wanted:
        raise InputError(
            f"{folder} holds rounds with other settings ({_difference(held, wanted)}); name another folder, "
            "or give --force to begin anew."
        )


def _goes_on(folder: Path, plan: dict[str, Any]) -> bool:
    """Whether the folder holds rounds of these cases and settings; a damaged plan is of none."""
    try:
        return _held(folder) == _unchanging(plan)
    except InputError:
        return False


def _held(folder: Path) -> dict[str, Any] | None:
    """The plan in a folder without what may change; None where there is none."""
    path = folder / PLAN
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
        raise InputError(f"{path} is no plan of pseudo-label rounds.")
    if content.get("version") != _VERSION:
        raise InputError(f"{path} has version {content.get('version')}; this reads version {_VERSION}.")
    return _unchanging(content)


def _unchanging(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan without the settings that may differ in a second run."""
    settings = dict(plan.get("settings", {}))
    training = dict(settings.pop("training", {}))
    return {
        "cases": plan.get("cases"),
        **{name: value for name, value in {**training, **settings}.items() if name not in _LATER},
    }


def _difference(held: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first setting that differs, in words."""
    name = next(name for name in sorted({*held, *wanted}) if held.get(name) != wanted.get(name))
    return f"{name.replace('_', ' ')} {held.get(name)}, not {wanted.get(name)}"


def _state(path: Path) -> list[Any]:
    """What changes when a file, or one in a folder of DICOM files, is written anew: size and time."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [file.stat() for file in files]
    return [len(files), sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)]
