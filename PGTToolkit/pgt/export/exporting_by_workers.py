"""Exporting a case list by several workers, here or on a cluster; a case that fails does not stop the others.

Planning, claiming the folder and finishing are those of `pgt.export.exporting`. Workers write cases into the
export's scratch folder; here they are put in their places as they come.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgt.errors import PGTError
from pgt.export.case_state import CaseState
from pgt.export.export_settings import ExportSettings
from pgt.export.exporting import ExportReport, finish_export, place_of, report_of
from pgt.export.manifest import ExportFolder
from pgt.export.planning import ExportPlan, plan_export
from pgt.scale.case_runs import ScaleSettings, run_cases
from pgt.scale.case_task import CaseOutcome, CaseTask

_FILES = "files"
_CASES = "cases"

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class FailedCase:
    """A case that is not in the export, and why, in a sentence."""

    case: str
    reason: str


@dataclass(frozen=True)
class CaseOfPlan:
    """What a worker needs to export one case; of the plan's cases only this one."""

    case: CaseState
    plan: ExportPlan


def export_by_workers(
    cases: Sequence[CaseState],
    settings: ExportSettings,
    folder: Path,
    scale: ScaleSettings,
    progress: Report | None = None,
) -> tuple[ExportReport | None, tuple[FailedCase, ...]]:
    """Export the cases that pass the filter.

    Args:
        cases: the whole list.
        settings: formats, filters and options.
        folder: as in `pgt.export.exporting.export_cases`.
        scale: where and how; its folder is not used.
        progress: is told cases done, cases in all, and what is being done.

    Returns:
        The report, None while cases are missing; and these cases.

    Raises:
        InputError: a case cannot be exported as asked; nothing was written if that shows beforehand.
        OutputError: the folder holds something else, or cannot be written.
        PGTError: the scheduler was lost, or the disk is full; the same call goes on.
    """
    plan, chosen = plan_export(cases, settings, progress)
    place = place_of(plan, folder)
    with place.claimed(settings.overwrite) as claimed:
        if not claimed.complete:
            missing = [case for case in chosen if case.case not in claimed.done]
            failed = _export(missing, plan, place, scale, progress)
            if failed:
                return None, failed
            finish_export(plan, chosen, folder)
        return report_of(plan, folder, claimed.done), ()


def export_case_of_plan(order: CaseOfPlan, folder: Path) -> Mapping[str, Any]:
    """Export one case; runs in a worker."""
    from pgt.export.case_export import export_case

    export_case(order.case, order.plan, folder / _FILES)
    return {}


def _export(
    cases: Sequence[CaseState],
    plan: ExportPlan,
    place: ExportFolder,
    scale: ScaleSettings,
    progress: Report | None,
) -> tuple[FailedCase, ...]:
    """Export cases and put them in their places; those that failed."""
    results = place.scratch / _CASES
    results.mkdir(parents=True)
    done: list[str] = []

    def put(outcome: CaseOutcome) -> None:
        if outcome.good:
            place.put(outcome.case, results / outcome.case / _FILES)
            shutil.rmtree(results / outcome.case, ignore_errors=True)
        done.append(outcome.case)
        if progress:
            progress(len(done), len(cases), "Exporting")

    identity = hashlib.sha256(json.dumps(plan.identity, sort_keys=True).encode()).hexdigest()
    tasks = [_task(case, plan, identity) for case in cases]
    run = run_cases(tasks, replace(scale, folder=results, staging=None), put)
    if run.stopped:
        raise PGTError(f"{run.stopped} {run.count('done')} of {len(cases)} cases were exported.")
    return tuple(FailedCase(one.case, one.reason) for one in run.outcomes if not one.good)


def _task(case: CaseState, plan: ExportPlan, identity: str) -> CaseTask:
    own = replace(plan, cases=tuple(one for one in plan.cases if one.case == case.case), left_out=())
    return CaseTask(
        case=case.case,
        function=export_case_of_plan,
        arguments=CaseOfPlan(case, own),
        inputs={},  # their hashes are part of the plan
        settings={"plan": identity},
        outputs=None,
    )
