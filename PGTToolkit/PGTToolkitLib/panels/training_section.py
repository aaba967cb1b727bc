"""Train: a list of cases becomes a style model, in a worker of its own, while the map grows."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from pgt.errors import InputError
from pgt.styles.model_folder import CASES
from pgt.styles.training_job import AskedTraining
from pgt.styles.training_watch import Glance, can_resume
from PGTToolkitLib.panels.job_progress import JobProgress
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.styles_desk import StylesDesk


class TrainingSection:
    """Owns the widgets of the fifth section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: StylesDesk,
        status: StatusLine,
        grow: Callable[[Glance | None], None],
        trained: Callable[[Path], None],
    ) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._grow = grow
        self._trained = trained
        self._made: Path | None = None
        self.ready: Callable[[], None] = lambda: None
        """Called before training; raises where packages are missing."""
        self.progress = JobProgress(
            ui.trainingBar,
            ui.trainingLabel,
            ui.stopTrainingButton,
            status,
            desk.training.poll,
            lambda: desk.training.busy,
        )
        self.progress.finished = self._finished
        self.progress.progressed = lambda: self._grow(self._desk.training.look())
        self.progress.ended = self._ended
        self.progress.cancelled = _("Stopped. What was learnt is kept; Train goes on with it.")
        ui.openCaseTableButton.clicked.connect(lambda *_args: self._choose_table())
        ui.openTrainingFolderButton.clicked.connect(lambda *_args: self._choose_folder())
        ui.trainButton.clicked.connect(lambda *_args: self.train())
        ui.stopTrainingButton.clicked.connect(lambda *_args: self.stop())

    def train(self) -> None:
        """Begin a training, or go on with the one in the folder."""
        with self._status.problems():
            parameters = self._desk.parameters
            if not parameters.trainingFolder:
                raise InputError(_("Choose a folder for the model."))
            folder = Path(parameters.trainingFolder)
            resume = can_resume(folder)
            # A training that goes on has its own table, also where the user's was moved.
            table = folder / CASES if resume and (folder / CASES).exists() else Path(parameters.caseTable)
            if not parameters.caseTable and not resume:
                raise InputError(_("Choose the list of cases to train with."))
            self.ready()
            self._desk.training.start(
                AskedTraining(
                    table=table,
                    folder=folder,
                    size=parameters.modelSize.value,
                    device=parameters.trainingDevice.value,
                    epochs=parameters.epochs or None,
                    resume=resume,
                )
            )
            self.progress.follow()
            self.refresh()

    def stop(self) -> None:
        """Stop within a second."""
        self._desk.training.stop()
        self.progress.show(_("Stopping…"))

    def close(self) -> None:
        """The application ends; a training under way can go on another day."""
        self.progress.stop_listening()
        self._desk.training.close()

    def refresh(self) -> None:
        """Allow what can be done now."""
        self.progress.refresh()
        ui, parameters = self._ui, self._desk.parameters
        idle = self._desk.is_open and not self._desk.training.busy
        for widget in (
            ui.trainButton, ui.openCaseTableButton, ui.openTrainingFolderButton, ui.modelSizeBox,
            ui.trainingDeviceBox, ui.trainingFolderEdit, ui.epochsSpin,
        ):  # fmt: skip
            widget.enabled = idle
        resumable = self._desk.is_open and bool(parameters.trainingFolder)
        resumable = resumable and can_resume(Path(parameters.trainingFolder))
        ui.trainButton.text = _("Resume") if resumable else _("Train")

    def _finished(self, result: object) -> str:
        self._made = result if isinstance(result, Path) else None
        return _("The model is in {folder}.").format(folder=self._made)

    def _ended(self) -> None:
        self._grow(None)
        self.refresh()
        made, self._made = self._made, None
        if made is not None and self._desk.is_open:
            self._trained(made)

    def _choose_table(self) -> None:
        path = qt.QFileDialog.getOpenFileName(
            None, _("Open a list of cases"), "", _("Lists of cases") + " (*.csv)"
        )
        if path:
            self._desk.parameters.caseTable = path
            if not self._desk.parameters.trainingFolder:
                self._desk.parameters.trainingFolder = str(Path(path).with_suffix("")) + "-styles"

    def _choose_folder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(None, _("Choose the model's folder"))
        if folder:
            self._desk.parameters.trainingFolder = folder
