"""Exporting a case list into a folder.

An export is planned in full before anything is written (`pgt.export.planning`); then each case is written
beside its place and moved there, and noted; then what belongs to all cases together, and last the manifest
that says it is whole. Killed at any point, the same call goes on where it stopped. A folder that holds
another export is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgt.errors import Cancelled
from pgt.export import monai_list, nnunet
from pgt.export.case_state import CaseState
from pgt.export.checksums import read_checksums, write_checksums
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.labels import IGNORE
from pgt.export.manifest import ExportFolder
from pgt.export.planning import ExportPlan, plan_export
from pgt.export.provenance import SCHEMA_NAME, schema_text
from pgt.export.selection import LeftOut
from pgt.output_files import write_text

LABELS = "labels.json"

Report = Callable[[int, int, str], None]
IsCancelled = Callable[[], bool]


@dataclass(frozen=True)
class ExportReport:
    """What an export came to.

    Args:
        folder: where it lies.
        exported: names of all cases in it, in the order of the list.
        resumed: of these, those that an interrupted run had finished already.
        left_out: cases that the filter kept out.
        files: number of files that the checksum list names.
        bytes: their size together.
        messages: sentences for the user, such as codes that were replaced by the default.
    """

    folder: Path
    exported: tuple[str, ...]
    resumed: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    files: int = 0
    bytes: int = 0
    messages: tuple[str, ...] = ()


def export_cases(
    cases: Sequence[CaseState],
    settings: ExportSettings,
    folder: Path,
    progress: Report | None = None,
    cancelled: IsCancelled | None = None,
) -> ExportReport:
    """Export the cases that pass the filter.

    Args:
        cases: the whole list.
        settings: formats, filters and options.
        folder: a new or empty folder, or one that holds this very export, cut off or finished.
        progress: is told cases done, cases in all, and what is being done.
        cancelled: asked between cases; what is finished by then is kept for the next run.

    Raises:
        InputError: a case cannot be exported as asked; nothing was written if that shows beforehand.
        OutputError: the folder holds something else, or cannot be written.
        Cancelled: the user stopped it.
    """
    plan, chosen = plan_export(cases, settings, progress, cancelled)
    with place_of(plan, folder).claimed(settings.overwrite) as claimed:
        if not claimed.complete:
            for number, case in enumerate(chosen):
                if cancelled and cancelled():
                    raise Cancelled("The export was stopped; the same call goes on with it.")
                if progress:
                    progress(number, len(chosen), f"Exporting {case.case}")
                if case.case not in claimed.done:
                    export_one(case, plan, folder)
            finish_export(plan, chosen, folder)
        return report_of(plan, folder, claimed.done)


def export_one(case: CaseState, plan: ExportPlan, folder: Path) -> None:
    """Write one case of a planned export into a folder that was claimed for it.

    Cases do not need each other: several processes may do one each.

    Raises:
        InputError: as `export_cases`.
    """
    from pgt.export.case_export import export_case

    place = place_of(plan, folder)
    staged = place.scratch / case.case
    export_case(case, plan, staged)
    place.put(case.case, staged)


def finish_export(plan: ExportPlan, cases: Sequence[CaseState], folder: Path) -> None:
    """Write what belongs to all cases, the checksums, and last the manifest that says the export is whole.

    Args:
        plan: of the export.
        cases: all that it is about, each of which is in its place.
        folder: that was claimed for it.
    """
    place = place_of(plan, folder)
    staged = place.scratch / "all"
    shutil.rmtree(staged, ignore_errors=True)
    for name, text in _common_files(plan, cases).items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(staged / name, text)
    place.put("", staged)
    write_checksums(folder, {name: file.sha256 for name, file in place.placed().items()})
    place.complete()


def place_of(plan: ExportPlan, folder: Path) -> ExportFolder:
    """The folder that a planned export lies in, or will."""
    return ExportFolder(folder, plan.identity, [vars(one) for one in plan.left_out])


def _common_files(plan: ExportPlan, cases: Sequence[CaseState]) -> dict[str, str]:
    """Texts by name below the export's folder."""
    settings = plan.settings
    files = {SCHEMA_NAME: schema_text(), LABELS: _labels_json(plan)}
    if ExportFormat.NNUNET in settings.formats:
        name = f"{ExportFormat.NNUNET.value}/{nnunet.dataset_folder(settings)}/{nnunet.DATASET_JSON}"
        training = sum(not case.testing for case in cases)
        files[name] = nnunet.dataset_json(plan.labels, training, plan.channel, settings)
    if ExportFormat.MONAI in settings.formats:
        name = f"{ExportFormat.MONAI.value}/{monai_list.DATALIST}"
        files[name] = monai_list.datalist_json(cases, plan.labels, plan.channel, settings)
    return files


def _labels_json(plan: ExportPlan) -> str:
    """The labels of all label maps: value, name, colour and terminology."""
    content = [
        {"value": one.value, "name": one.name, "color": one.color, "terminology": one.terminology or None}
        for one in plan.labels
    ]
    if plan.settings.ignore_unannotated:
        content.append(
            {"value": len(plan.labels) + 1, "name": IGNORE, "color": (0.5, 0.5, 0.5), "terminology": None}
        )
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def report_of(plan: ExportPlan, folder: Path, resumed: tuple[str, ...]) -> ExportReport:
    """What a finished export came to; ``resumed`` are the cases that were in their places before."""
    names = read_checksums(folder)
    return ExportReport(
        folder=folder,
        exported=tuple(one.case for one in plan.cases),
        resumed=resumed,
        left_out=plan.left_out,
        files=len(names),
        bytes=sum((folder / name).stat().st_size for name in names),
        messages=plan.messages,
    )
