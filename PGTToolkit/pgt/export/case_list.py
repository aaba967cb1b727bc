"""Reading a case list: a table of files, or a folder of scenes that 3D Slicer saved.

Columns of the table beside ``case``, ``image`` and ``label``, all optional: ``rater``, ``session``,
``style``; ``agreement`` (0 to 1); ``suspicious`` and ``reviewed`` (yes or no); ``series`` (folder of the
DICOM series that was drawn on); ``ledger`` (file of slice states) or ``propagation`` (report of ``pgt
propagate``), for labels that keep no slice states of their own; ``group`` (cases that must stay together,
such as two scans of one person); ``split`` (training or testing).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgt.case_table import CaseRow, read_case_table
from pgt.errors import InputError
from pgt.export.case_state import CaseAgreement, CaseFile, CaseState, CaseSuspicion
from pgt.export.judgements import read_agreement, read_suspects
from pgt.export.scenes import at_hand, find_scenes, is_there, scene_segmentations
from pgt.export.segment_states import (
    overlapping,
    records_of_ledger,
    records_of_propagation,
    segment_identifier,
    segment_states,
    stored_records,
)

_CASE_NAME = re.compile(r"\w[\w. -]*(?<![. ])")
_ANSWERS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_SPLITS = {"": False, "training": False, "train": False, "testing": True, "test": True}
_MOST_NAMED = 3


@dataclass(frozen=True)
class _Listed:
    """A case of the list, before its label is read."""

    state: CaseState
    ledger: Path | None = None
    propagation: Path | None = None


def read_cases(
    path: Path,
    agreement: Path | None = None,
    suspects: Path | None = None,
    series: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[CaseState, ...]:
    """The cases of a list with their states. Every label is read; images are not.

    Args:
        path: a table (CSV), or a folder with scenes.
        agreement: folder of an agreement report, which goes before the table's column.
        suspects: list of suspicious cases, which goes before the table's column.
        series: folder with a DICOM series in a folder for each case, by the case's name.
        progress: is told cases read, cases in all, and what is being done.

    Raises:
        InputError: the list or a file is missing or damaged, or a case is there twice or has no usable name.
    """
    listed = _scenes(path) if path.is_dir() else _table(path)
    _check_names(path, listed)
    listed = _with_series(listed, series)
    _check_files(path, listed)
    agreed = read_agreement(agreement) if agreement else {}
    suspected = read_suspects(suspects) if suspects else {}
    states = []
    with tempfile.TemporaryDirectory(prefix="pgt-") as scratch:
        for number, one in enumerate(listed):
            if progress:
                progress(number, len(listed), f"Reading {one.state.case}")
            state = _read(one, Path(scratch))
            states.append(
                replace(
                    state,
                    agreement=agreed.get(state.case, state.agreement),
                    suspicion=suspected.get(state.case, state.suspicion),
                )
            )
    return tuple(states)


def _table(path: Path) -> list[_Listed]:
    return [_row(path, row) for row in read_case_table(path, needed=("case", "image", "label"))]


def _row(path: Path, row: CaseRow) -> _Listed:
    assert row.label is not None
    others = row.others
    suspicious = _answer(path, row, "suspicious")
    image_is_series = row.image.is_dir()
    state = CaseState(
        case=row.case,
        label=CaseFile(row.label),
        image=CaseFile(row.image),
        series=_file(path, others, "series") or (row.image if image_is_series else None),
        rater=others.get("rater", ""),
        session=others.get("session", ""),
        style=others.get("style", ""),
        agreement=_agreement(path, row),
        suspicion=None if suspicious is None else CaseSuspicion(suspicious),
        group=others.get("group", ""),
        testing=_split(path, row),
        said_reviewed=_answer(path, row, "reviewed"),
    )
    return _Listed(state, _file(path, others, "ledger"), _file(path, others, "propagation"))


def _file(path: Path, others: Mapping[str, str], column: str) -> Path | None:
    return path.parent / others[column] if others.get(column) else None


def _answer(path: Path, row: CaseRow, column: str) -> bool | None:
    text = row.others.get(column, "").lower()
    if text and text not in _ANSWERS:
        raise InputError(f"{path}, case {row.case}: {column} is yes or no, not {text!r}.")
    return _ANSWERS[text] if text else None


def _agreement(path: Path, row: CaseRow) -> CaseAgreement | None:
    text = row.others.get("agreement", "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"{path}, case {row.case}: agreement is a number from 0 to 1, not {text!r}.")
    return CaseAgreement(value, "given", 1)


def _split(path: Path, row: CaseRow) -> bool:
    text = row.others.get("split", "").lower()
    if text not in _SPLITS:
        raise InputError(f"{path}, case {row.case}: split is training or testing, not {text!r}.")
    return _SPLITS[text]


def _scenes(folder: Path) -> list[_Listed]:
    scenes = find_scenes(folder)
    if not scenes:
        raise InputError(f"{folder} holds no scene; a scene is an .mrb or .mrml file that 3D Slicer saved.")
    listed = []
    for scene in scenes:
        found = scene_segmentations(scene)
        if not found:
            raise InputError(f"{scene} holds no segmentation that was saved.")
        for one in found:
            name = scene.stem if len(found) == 1 else f"{scene.stem} {one.name}"
            listed.append(_Listed(CaseState(case=name, label=one.label, image=one.image)))
    return listed


def _with_series(listed: Sequence[_Listed], series: Path | None) -> list[_Listed]:
    if series is None:
        return list(listed)
    if not series.is_dir():
        raise InputError(f"{series} is no folder; give one that holds a folder with a series for each case.")
    found = []
    for one in listed:
        own = series / one.state.case
        keep = one.state.series is not None or not own.is_dir()
        found.append(one if keep else replace(one, state=replace(one.state, series=own)))
    return found


def _check_names(path: Path, listed: Sequence[_Listed]) -> None:
    """Names are distinct file names on every system, and no label is there under two of them."""
    names: dict[str, str] = {}
    labels: dict[tuple[Path, str], str] = {}
    for one in listed:
        case = one.state.case
        if not _CASE_NAME.fullmatch(case):
            raise InputError(
                f"{path}: the case {case!r} cannot be a file name; "
                "use letters, digits, blanks and . _ - between them."
            )
        other = names.setdefault(case.casefold(), case)
        if other is not case:
            raise InputError(f"{path} names the case {case} more than once (the other is {other}).")
        key = (one.state.label.path.resolve(), one.state.label.member)
        other = labels.setdefault(key, case)
        if other is not case:
            raise InputError(f"{path}: the cases {other} and {case} are the same label {one.state.label}.")


def _check_files(path: Path, listed: Sequence[_Listed]) -> None:
    missing = []
    for one in listed:
        files = [file for file in (one.state.label, one.state.image) if file]
        others = [file for file in (one.state.series, one.ledger, one.propagation) if file]
        missing += [str(file) for file in files if not is_there(file)]
        missing += [str(file) for file in others if not file.exists()]
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise InputError(f"{path} names files that do not exist: {', '.join(missing[:_MOST_NAMED])}{more}.")


def _read(one: _Listed, scratch: Path) -> CaseState:
    from pgt.volume_io import read_layers

    state = one.state
    with at_hand(state.label, scratch) as file:
        try:
            stored = read_layers(file)
        except InputError as error:
            raise InputError(str(error).replace(str(file), str(state.label))) from error
    segments = [
        (segment_identifier(segment, stored.named), segment.name)
        for layer in stored.layers
        for segment in layer.segments
    ]
    if not segments and stored.named:
        raise InputError(f"{state.label} shows no segment: there is nothing to export of case {state.case}.")
    records = stored_records(stored)
    if records and (one.ledger or one.propagation):
        raise InputError(
            f"{state.label} keeps its slice states itself; "
            f"leave {one.ledger or one.propagation} out of the list."
        )
    if one.ledger and one.propagation:
        raise InputError(f"Case {state.case} names both slice states and a propagation; give one of them.")
    if one.ledger:
        records = records_of_ledger(one.ledger, segments)
    if one.propagation:
        records = records_of_propagation(one.propagation, segments, state.rater, state.session)
    try:
        states = segment_states(stored.layers, stored.named, records)
    except InputError as error:
        raise InputError(f"{state.label}: {error}.") from error
    return replace(
        state,
        segments=states,
        records=records,
        overlapping=overlapping(stored.layers),
        named=stored.named,
    )
