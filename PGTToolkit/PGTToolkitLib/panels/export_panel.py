"""The Export panel: four sections, top to bottom in the order of work."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from pgt.errors import InputError
from pgt.export.case_list_job import AskedCases
from pgt.export.job import ExportOutcome
from PGTToolkitLib.export_runner import ExportRunner
from PGTToolkitLib.panels.export_cases_section import ExportCasesSection
from PGTToolkitLib.panels.export_desk import CaseLine, ExportDesk
from PGTToolkitLib.panels.export_filter_section import ExportFilterSection
from PGTToolkitLib.panels.export_parameters import ExportParameters
from PGTToolkitLib.panels.export_run_section import ExportRunSection
from PGTToolkitLib.panels.job_progress import JobProgress
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.structures_section import StructuresSection
from PGTToolkitLib.worker import WorkerClient


class ExportPanel(VTKObservationMixin):
    """Brings the sections, the worker and the scene together."""

    def __init__(self, ui: SimpleNamespace, worker: WorkerClient | None = None) -> None:
        """Connect the widgets of PGTExport.ui.

        Args:
            ui: the widgets by name.
            worker: who reads and writes the files; a new one of this application by default.
        """
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._worker = worker or WorkerClient()
        self.status = StatusLine(ui.statusLabel)
        self.desk = ExportDesk(ExportRunner(self._worker))
        runner = self.desk.runner
        self.progress = JobProgress(
            ui.progressBar, ui.progressLabel, ui.cancelButton, self.status, runner.poll, lambda: runner.busy
        )
        self.progress.finished = self._came_of
        self.progress.worded = _worded
        self.progress.ended = self.refresh
        ui.cancelButton.clicked.connect(lambda *_args: self.cancel())
        self.cases = ExportCasesSection(ui, self.desk, self.status, self._begin_reading, self.refresh)
        self.filter = ExportFilterSection(ui, self.desk)
        self.structures = StructuresSection(ui, self.desk, self.status)
        self.run = ExportRunSection(ui, self.desk, self.status, self._begin_export)
        self._tried: AskedCases | None = None
        ui.segmentationTree.setMRMLScene(slicer.mrmlScene)
        # Several choices come together; looking once, after the last, is enough.
        self._look_timer = qt.QTimer()
        self._look_timer.interval = 0
        self._look_timer.timeout.connect(self._look)
        self.refresh()

    def begin(self, start: Callable[[], None]) -> None:
        """Start a job and follow it."""
        if self.desk.runner.busy:
            raise InputError(_("Wait for the work under way, or cancel it."))
        start()
        self._tried = self.desk.source
        self.progress.follow()
        self.refresh()

    def _begin_reading(self, start: Callable[[], None]) -> None:
        self.progress.cancelled = _("Stopped. The cases were not read.")
        self.begin(start)

    def _begin_export(self, start: Callable[[], None]) -> None:
        self.progress.cancelled = _("Stopped. Cases that were written stay; Export goes on with the others.")
        self.begin(start)

    def cancel(self) -> None:
        """Stop within a second."""
        self.desk.runner.cancel()
        self.progress.show(_("Stopping…"))

    def enter(self) -> None:
        """The module is shown: somebody may have drawn in the meantime."""
        self.desk.look_again()
        self.refresh()

    def exit(self) -> None:
        """The module is left; an export goes on."""

    def close(self) -> None:
        """The application ends or the module is unloaded; an export under way can go on another day."""
        self.set_parameters(None)
        self.progress.stop_listening()
        self.desk.runner.forget()
        self._worker.close()

    def scene_closes(self) -> None:
        """Let go of every node."""
        self.desk.runner.forget()
        self.set_parameters(None)

    def set_parameters(self, parameters: ExportParameters | None) -> None:
        """Work with the choices of a parameter node; None while the scene closes."""
        before = self.desk.parameters
        scene = slicer.mrmlScene
        if before is not None:
            self.removeObserver(before, vtk.vtkCommand.ModifiedEvent, self._changed)
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
                self.removeObserver(scene, event, self._changed)
        self.desk.parameters = parameters
        self._tried = None
        self.desk.look_again()
        self._ui.sceneSection.collapsed = self.desk.source is not None
        if parameters is not None:
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._changed)
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
                self.addObserver(scene, event, self._changed)
        self.refresh()

    def refresh(self) -> None:
        """Show the present state everywhere."""
        self.progress.refresh()
        lines: list[CaseLine] = []
        with self.status.problems():
            lines = self.desk.lines()
        with self.status.problems():
            self.cases.refresh(lines)
            self.filter.refresh(lines)
            self.structures.refresh(lines)
            self.run.refresh(lines)
        self._read_list()

    def _read_list(self) -> None:
        """Have the list of a scene that was loaded read, once."""
        source = self.desk.source
        if source is None or source == self._tried or self.desk.listed() or self.desk.runner.busy:
            return
        self._tried = source
        with self.status.problems():
            self._begin_reading(lambda: self.desk.runner.read_list(source))

    def _came_of(self, result: object) -> str:
        """What the user reads of a finished job."""
        if isinstance(result, ExportOutcome):
            if result.failed:
                return _("The export in {folder} lacks cases; see why below.").format(
                    folder=result.report.folder
                )
            return _("The export is in {folder}.").format(folder=result.report.folder)
        if isinstance(result, tuple):
            return _("Cases read: {count}.").format(count=len(result))
        return ""

    def _changed(self, caller: vtk.vtkObject | None = None, event: str = "") -> None:
        self._look_timer.start()

    def _look(self) -> None:
        self._look_timer.stop()
        self.refresh()


def _worded(message: str) -> str:
    """A sentence of the core, whose option --force is a box here."""
    return message.replace("give --force to", _("tick Replace to"))
