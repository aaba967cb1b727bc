"""Case lists and exports: from the scene to the worker, and what came of it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgt.export import case_list_job, job
from pgt.export.case_list_job import AskedCases
from pgt.export.case_state import CaseState
from pgt.export.export_settings import ExportSettings
from pgt.export.exporting import ExportReport
from pgt.export.selection import LeftOut
from PGTToolkitLib.export_scene import SceneCase, write_case
from PGTToolkitLib.export_states import scene_states
from PGTToolkitLib.worker import Event, Finished, Stopped, WorkerClient


@dataclass(frozen=True)
class ListedCases:
    """What a case list, or a folder of scenes, holds.

    Args:
        source: the list, and what else was to be read.
        states: its cases in order.
    """

    source: AskedCases
    states: tuple[CaseState, ...]


class ExportRunner:
    """Runs one job at a time in the worker."""

    def __init__(self, worker: WorkerClient) -> None:
        self._worker = worker
        self._asked: AskedCases | None = None
        self._forgotten = False
        self.listed: ListedCases | None = None
        """What the list that was read last holds."""
        self.report: ExportReport | None = None
        """What the last export came to; None before, and after one that did not end well."""
        self.failed: tuple[LeftOut, ...] = ()
        """Cases that could not be exported, and why."""

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or has yet to stop."""
        return self._worker.busy

    def read_list(self, source: AskedCases) -> None:
        """Read a case list or a folder of scenes.

        Raises:
            OSError: the worker cannot be started.
        """
        self._begin("export-cases", lambda folder: case_list_job.write_job(folder, source))
        self._asked = source

    def export(
        self, source: AskedCases | None, cases: Sequence[SceneCase], settings: ExportSettings, folder: Path
    ) -> None:
        """Export the cases of a list, read anew, and those of the scene.

        Args:
            source: the list; None without one.
            cases: of the scene.
            settings: what to write.
            folder: where.

        Raises:
            InputError: a case of the scene cannot be exported.
            OutputError: it cannot be written for the worker.
            OSError: the worker cannot be started.
        """
        states = scene_states(cases)

        def write(job_folder: Path) -> None:
            handed = []
            for number, (one, state) in enumerate(zip(cases, states, strict=True)):
                own = job_folder / f"case{number}"
                own.mkdir()
                written = write_case(one, own)
                handed.append(
                    job.HandedCase(
                        case=one.case,
                        image=written.image,
                        label=written.label,
                        series=written.series,
                        rater=state.rater,
                        session=state.session,
                        agreement=state.agreement,
                    )
                )
            job.write_job(job_folder, job.AskedExport(source, tuple(handed), settings, folder))

        self.report, self.failed = None, ()
        self._begin("export", write)

    def cancel(self) -> None:
        """Stop; cases that were written whole stay, and the same export goes on with the others."""
        self._worker.cancel()

    def forget(self) -> None:
        """Stop, and keep nothing: the scene is closing."""
        self._worker.cancel()
        self._forgotten = self._worker.busy
        self.listed = self.report = self._asked = None
        self.failed = ()

    def forget_list(self) -> None:
        """Another list is used from now on."""
        self.listed = None

    def poll(self) -> list[Event]:
        """What has happened since the last call. What is finished can be read when this returns."""
        events = self._worker.poll()
        for event in events:
            if isinstance(event, Finished) and not self._forgotten:
                self._take(event.result)
            elif isinstance(event, Stopped):
                self._asked = None
        if not self._worker.busy:
            self._forgotten = False
        return events

    def _begin(self, kind: str, write: Callable[[Path], None]) -> None:
        self._worker.submit(kind, write)

    def _take(self, result: object) -> None:
        if isinstance(result, job.ExportOutcome):
            self.report, self.failed = result.report, result.failed
        elif isinstance(result, tuple) and self._asked is not None:
            self.listed = ListedCases(self._asked, result)
