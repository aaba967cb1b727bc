"""What somebody decided about suspicious labels, kept with the model.

No label is ever changed where it lies. In the model's folder, ``decisions.csv`` holds the decisions,
``corrected/`` the proposals that were accepted, and ``corrected/cases.csv`` the table of the training cases
with those in place of the labels they replace, ready for the next training.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from pathlib import Path

from pgt.annotation import utc_now
from pgt.case_table import read_case_table, table_lines, write_case_table
from pgt.errors import InputError, OutputError
from pgt.output_files import write_text
from pgt.styles.model_folder import CASES
from pgt.volume import LabelMap

DECISIONS = "decisions.csv"
CORRECTED = "corrected"


class Verdict(str, Enum):
    """What became of a label."""

    ACCEPTED = "accepted"
    KEPT = "kept"


@dataclass(frozen=True)
class Decision:
    """One decision.

    Args:
        case: whose label it is about.
        verdict: whether the proposal was accepted or the label kept.
        rater: who decided.
        time: ISO 8601, UTC.
        file: the accepted proposal, from the model's folder; empty where the label was kept.
    """

    case: str
    verdict: Verdict
    rater: str
    time: str
    file: str = ""


def read_decisions(folder: Path) -> Mapping[str, Decision]:
    """The newest decision about every case, by case.

    Raises:
        InputError: the file is no table of decisions.
    """
    path = folder / DECISIONS
    if not path.exists():
        return {}
    found = {}
    for number, entry in table_lines(path, ("case", "verdict")):
        try:
            verdict = Verdict(entry["verdict"])
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {entry['verdict']} is no decision.") from error
        decision = Decision(
            entry["case"], verdict, entry.get("rater", ""), entry.get("time", ""), entry.get("file", "")
        )
        found[decision.case] = decision
    return found


def keep_label(folder: Path, case: str, rater: str) -> Decision:
    """Decide that a label is right as it is.

    Raises:
        OutputError: the model's folder cannot be written.
    """
    return _decide(folder, Decision(case, Verdict.KEPT, rater, utc_now()))


def accept_proposal(folder: Path, case: str, proposal: LabelMap, rater: str) -> Decision:
    """Decide for a proposal, and write it beside the model.

    Args:
        folder: of the model.
        case: whose label it would replace.
        proposal: on the grid of that label.
        rater: who decides.

    Raises:
        OutputError: the model's folder cannot be written.
    """
    from pgt.volume_io import write_label_map

    name = f"{CORRECTED}/{_file_name(case)}.nii.gz"
    try:
        (folder / CORRECTED).mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder / CORRECTED} cannot be made: {error.strerror}.") from error
    write_label_map(proposal, folder / name, overwrite=True)
    return _decide(folder, Decision(case, Verdict.ACCEPTED, rater, utc_now(), name))


def _decide(folder: Path, decision: Decision) -> Decision:
    decisions = {**read_decisions(folder), decision.case: decision}
    text = io.StringIO()
    columns = [field.name for field in fields(Decision)]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for one in decisions.values():
        writer.writerow({**asdict(one), "verdict": one.verdict.value})
    write_text(folder / DECISIONS, text.getvalue(), overwrite=True)
    _write_corrected_table(folder, decisions)
    return decision


def _write_corrected_table(folder: Path, decisions: Mapping[str, Decision]) -> None:
    """The training cases with accepted proposals as their labels."""
    accepted = {case: one.file for case, one in decisions.items() if one.verdict is Verdict.ACCEPTED}
    table = folder / CORRECTED / CASES
    if not (folder / CASES).exists() or not (accepted or table.exists()):
        return
    rows = read_case_table(folder / CASES)
    corrected = [
        replace(row, label=folder / accepted[row.case]) if row.case in accepted else row for row in rows
    ]
    write_case_table(table, corrected, overwrite=True)


def _file_name(case: str) -> str:
    """A name that every file system takes, different for different cases."""
    plain = re.sub(r"[^\w.-]+", "_", case, flags=re.ASCII).strip(".")
    if plain == case:
        return plain
    return f"{plain[:60]}-{hashlib.sha256(case.encode()).hexdigest()[:8]}"
