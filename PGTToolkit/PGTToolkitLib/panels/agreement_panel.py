"""The Agreement panel: five sections, top to bottom in the order of work."""

from types import SimpleNamespace

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from pgt.agreement.reading_source import ReadingSource
from pgt.agreement.results import PairScores
from PGTToolkitLib.agreement_runner import AgreementRunner
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.agreement_parameters import AgreementParameters
from PGTToolkitLib.panels.compare_section import CompareSection
from PGTToolkitLib.panels.consensus_section import ConsensusSection
from PGTToolkitLib.panels.labels_section import LabelsSection
from PGTToolkitLib.panels.questions_section import QuestionsSection
from PGTToolkitLib.panels.readings_section import ReadingsSection
from PGTToolkitLib.panels.results_section import ResultsSection
from PGTToolkitLib.panels.shown_case_section import ShownCaseSection
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.worker import WorkerClient


class AgreementPanel(VTKObservationMixin):
    """Brings the sections, the worker and the scene together."""

    def __init__(self, ui: SimpleNamespace, worker: WorkerClient | None = None) -> None:
        """Connect the widgets of PGTAgreement.ui.

        Args:
            ui: the widgets by name.
            worker: who compares; a new one of this application by default.
        """
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._worker = worker or WorkerClient()
        self.status = StatusLine(ui.statusLabel)
        self.desk = AgreementDesk(AgreementRunner(self._worker))
        self.comparison = CompareSection(ui, self.desk, self.status, self.refresh)
        self.readings = ReadingsSection(ui, self.desk, self.status, self.refresh, self._read_names)
        self.labels = LabelsSection(ui, self.desk, self.status, self.refresh)
        self.questions = QuestionsSection(ui, self.desk, self.status, self.labels.compared)
        self.shown = ShownCaseSection(ui, self.desk, self.status, self.comparison.begin)
        self.results = ResultsSection(ui, self.desk, self.status, self._show)
        self.consensus = ConsensusSection(ui, self.desk, self.status, self.comparison.begin)
        for widget in (ui.volumeSelector, ui.segmentationTree):
            widget.setMRMLScene(slicer.mrmlScene)
        # Several nodes come and go together; looking once, after the last, is enough.
        self._look_timer = qt.QTimer()
        self._look_timer.interval = 0
        self._look_timer.timeout.connect(self._look)
        self.refresh()

    def enter(self) -> None:
        """The module is shown."""
        self.refresh()

    def exit(self) -> None:
        """The module is left: segmentations get their own looks back."""
        self.desk.view.clear()

    def close(self) -> None:
        """The application ends or the module is unloaded."""
        self.set_parameters(None)
        self.comparison.close()
        self._worker.close()

    def scene_closes(self) -> None:
        """Let go of every node."""
        self.desk.runner.forget()
        self.desk.view.clear()
        self.set_parameters(None)

    def set_parameters(self, parameters: AgreementParameters | None) -> None:
        """Work with the choices of a parameter node; None while the scene closes."""
        before = self.desk.parameters
        if before is not None:
            self.removeObserver(before, vtk.vtkCommand.ModifiedEvent, self._changed)
            for event in (slicer.mrmlScene.NodeAddedEvent, slicer.mrmlScene.NodeRemovedEvent):
                self.removeObserver(slicer.mrmlScene, event, self._changed)
        self.desk.parameters = parameters
        if parameters is not None:
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._changed)
            for event in (slicer.mrmlScene.NodeAddedEvent, slicer.mrmlScene.NodeRemovedEvent):
                self.addObserver(slicer.mrmlScene, event, self._changed)
        self.refresh()

    def refresh(self) -> None:
        """Show the present state everywhere."""
        with self.status.problems():
            self.comparison.refresh()
            self.readings.refresh()
            self.results.refresh()
            self.shown.refresh()
            self.consensus.refresh()
        with self.status.problems():
            self.labels.refresh()
            self.questions.refresh()

    def _show(self, pair: PairScores) -> None:
        self.shown.show(pair)

    def _read_names(self) -> None:
        """Read what the files of the case list hold."""
        with self.status.problems():
            source = ReadingSource(table=self.desk.source().table)
            self.comparison.begin(lambda: self.desk.runner.open_cases(slicer.mrmlScene, source))

    def _changed(self, caller: vtk.vtkObject | None = None, event: str = "") -> None:
        self._look_timer.start()

    def _look(self) -> None:
        self._look_timer.stop()
        self.refresh()
