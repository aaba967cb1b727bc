"""The Styles panel: five sections, top to bottom in the order of work."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from pgt.errors import InputError
from pgt.styles.correction_job import Proposal
from pgt.styles.fit_job import Fitted
from pgt.styles.map_job import FoundMap
from pgt.styles.segment_job import StyledVolumes
from PGTToolkitLib.dependencies import WHEEL_FOLDER_SETTING, ensure_dependencies
from PGTToolkitLib.panels.job_progress import JobProgress
from PGTToolkitLib.panels.map_section import MapSection
from PGTToolkitLib.panels.model_section import ModelSection
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.style_section import StyleSection
from PGTToolkitLib.panels.styles_desk import StylesDesk
from PGTToolkitLib.panels.styles_parameters import StylesParameters
from PGTToolkitLib.panels.suspects_section import SuspectsSection
from PGTToolkitLib.panels.training_section import TrainingSection
from PGTToolkitLib.style_training import StyleTraining
from PGTToolkitLib.styles_runner import StylesRunner
from PGTToolkitLib.worker import WorkerClient

_TASK = "styles"


class StylesPanel(VTKObservationMixin):
    """Brings the sections, the workers and the scene together."""

    def __init__(
        self, ui: SimpleNamespace, worker: WorkerClient | None = None, trainer: WorkerClient | None = None
    ) -> None:
        """Connect the widgets of PGTStyles.ui.

        Args:
            ui: the widgets by name.
            worker: who uses models; a new one of this application by default.
            trainer: who trains them; likewise.
        """
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._worker = worker or WorkerClient()
        self.status = StatusLine(ui.statusLabel)
        self.desk = StylesDesk(StylesRunner(self._worker), StyleTraining(trainer or WorkerClient()))
        runner = self.desk.runner
        self.progress = JobProgress(
            ui.progressBar, ui.progressLabel, ui.cancelButton, self.status, runner.poll, lambda: runner.busy
        )
        self.progress.finished = self._came_of
        self.progress.ended = self.refresh
        ui.cancelButton.clicked.connect(lambda *_args: self.cancel())
        self.model = ModelSection(ui, self.desk, self.status, self.refresh)
        self.map = MapSection(ui, self.desk, self.status, self.refresh)
        self.style = StyleSection(ui, self.desk, self.status, self.begin, self.refresh)
        self.suspects = SuspectsSection(ui, self.desk, self.status, self.begin, self.map.ring, self.refresh)
        self.training = TrainingSection(ui, self.desk, self.status, self.map.grow, self.model.open)
        self.training.ready = _ensure_packages
        self._tried = ""
        for widget in (ui.volumeSelector, ui.segmentationSelector):
            widget.setMRMLScene(slicer.mrmlScene)
        # Several choices come together; looking once, after the last, is enough.
        self._look_timer = qt.QTimer()
        self._look_timer.interval = 0
        self._look_timer.timeout.connect(self._look)
        self.refresh()

    def begin(self, start: Callable[[], None]) -> None:
        """Start a job and follow it."""
        if self.desk.runner.busy:
            raise InputError(_("Wait for the work under way, or cancel it."))
        _ensure_packages()
        start()
        self.progress.follow()
        self.refresh()

    def cancel(self) -> None:
        """Stop within a second; nothing is changed."""
        self.desk.runner.cancel()
        self.progress.show(_("Stopping…"))

    def enter(self) -> None:
        """The module is shown."""
        self.refresh()
        self.map.picture.draw()

    def exit(self) -> None:
        """The module is left; a training goes on."""

    def close(self) -> None:
        """The application ends or the module is unloaded."""
        self.set_parameters(None)
        self.progress.stop_listening()
        self.desk.runner.forget()
        self.style.forget()
        self.training.close()
        self._worker.close()

    def scene_closes(self) -> None:
        """Let go of every node."""
        self.desk.runner.forget()
        self.style.forget()
        self.set_parameters(None)

    def set_parameters(self, parameters: StylesParameters | None) -> None:
        """Work with the choices of a parameter node; None while the scene closes."""
        before = self.desk.parameters
        if before is not None:
            self.removeObserver(before, vtk.vtkCommand.ModifiedEvent, self._changed)
        self.desk.parameters = parameters
        if parameters is not None:
            self.style.fill_in_defaults()
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._changed)
        self._tried = ""
        self.refresh()

    def refresh(self) -> None:
        """Show the present state everywhere."""
        self.progress.refresh()
        for section in (self.model, self.map, self.style, self.suspects, self.training):
            with self.status.problems():
                section.refresh()
        self._read_map()

    def _read_map(self) -> None:
        """Have the map of a model read that was chosen, once."""
        folder = self.desk.model_folder
        if folder is None or self.desk.map() is not None or self._tried == str(folder):
            return
        if self.desk.runner.busy:
            return
        with self.status.problems():
            if self.desk.card() is not None:
                self._tried = str(folder)
                self.begin(lambda: self.desk.runner.read_map(folder, look=False))

    def _came_of(self, result: object) -> str:
        """What the user reads of a finished job; what it shows is shown."""
        if isinstance(result, StyledVolumes):
            return self.style.show(result)
        if isinstance(result, Fitted):
            return self.style.show_fitted(result)
        if isinstance(result, Proposal | FoundMap):
            return " ".join(result.messages)
        return ""

    def _changed(self, caller: vtk.vtkObject | None = None, event: str = "") -> None:
        self._look_timer.start()

    def _look(self) -> None:
        self._look_timer.stop()
        self.refresh()


def _ensure_packages() -> None:
    """Ask for the packages that style models need, where they are missing."""
    ensure_dependencies(_TASK, qt.QSettings().value(WHEEL_FOLDER_SETTING) or "")
