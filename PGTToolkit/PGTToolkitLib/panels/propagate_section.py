"""Propagate: one button, its progress, and the way back."""

import logging
from collections.abc import Callable
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from PGTToolkitLib.dependencies import WHEEL_FOLDER_SETTING, ensure_dependencies
from PGTToolkitLib.panels.parameters import AnnotateParameters, Method
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.propagation import Propagator
from PGTToolkitLib.worker import Event, Failed, Finished, Progressed, Stopped
from PGTToolkitLib.workplace import Workplace

_POLL_MILLISECONDS = 50


class PropagateSection:
    """Owns the widgets of the fourth section and the timer that listens to the worker."""

    def __init__(
        self,
        ui: SimpleNamespace,
        workplace: Workplace,
        status: StatusLine,
        propagator: Propagator,
        editor: qt.QWidget,
        refresh_all: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._workplace = workplace
        self._status = status
        self._propagator = propagator
        self._editor = editor
        self._refresh_all = refresh_all
        self._parameters: AnnotateParameters | None = None
        self._timer = qt.QTimer()
        self._timer.interval = _POLL_MILLISECONDS
        self._timer.timeout.connect(self._listen)
        ui.propagateButton.clicked.connect(lambda *_args: self.start())
        ui.cancelButton.clicked.connect(lambda *_args: self.cancel())
        ui.undoButton.clicked.connect(lambda *_args: self.undo())
        ui.wheelFolderEdit.text = qt.QSettings().value(WHEEL_FOLDER_SETTING) or ""
        ui.wheelFolderEdit.editingFinished.connect(self._remember_wheel_folder)
        self._show_progress("")
        self._show_busy(False)

    def set_parameters(self, parameters: AnnotateParameters | None) -> None:
        """Use the choices of another parameter node."""
        self._parameters = parameters

    def start(self) -> None:
        """Fill the slices between those that are annotated."""
        with self._status.problems():
            method = self._parameters.method.value
            session = self._workplace.session
            ensure_dependencies(method, self._ui.wheelFolderEdit.text)
            self._propagator.start(session, {"method": method, "device": self._parameters.device.value})
            self._status.say("")
            self._show_progress(_("Starting…"))
            self._show_busy(True)
            self._timer.start()

    def cancel(self) -> None:
        """Stop within a second; nothing is changed."""
        self._propagator.cancel()
        self._show_progress(_("Stopping…"))

    def undo(self) -> None:
        """Take back the last step of drawing or propagation."""
        self._editor.undo()

    def forget(self) -> None:
        """Stop and write nothing: the scene is closing."""
        self._propagator.forget()

    def close(self) -> None:
        """Stop listening."""
        self.forget()
        self._timer.stop()

    def _listen(self) -> None:
        with self._status.problems():
            for event in self._propagator.poll(self._editor.saveStateForUndo):
                self._tell(event)
        if not self._propagator.busy:
            self._timer.stop()
            self._show_busy(False)
            self._refresh_all()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Progressed):
            self._ui.progressBar.maximum = max(1, event.total)
            self._ui.progressBar.value = event.done
            text = _("{done} of {total} slices, {seconds:.0f} s")
            self._show_progress(text.format(done=event.done, total=event.total, seconds=event.seconds))
        elif isinstance(event, Finished):
            result = event.result
            self._ui.progressBar.value = self._ui.progressBar.maximum
            self._show_progress(
                _("{method}, {seconds:.1f} s on {device}").format(
                    method=Method(result.method).label(),
                    seconds=result.seconds,
                    device=_device_name(result.device),
                )
            )
            self._status.say(
                " ".join((_("Propagated. Review the slices, least certain first."), *result.messages))
            )
        elif isinstance(event, Stopped):
            self._ui.progressBar.value = 0
            self._show_progress("")
            self._status.say(_("Cancelled. Nothing was changed."))
        elif isinstance(event, Failed):
            self._ui.progressBar.value = 0
            self._show_progress("")
            self._status.warn(event.message)
            logging.error("PGT Toolkit worker: %s\n%s", event.message, event.details)

    def refresh(self) -> None:
        """Allow what can be done now."""
        self._ui.propagateButton.enabled = self._workplace.is_open and not self._propagator.busy
        self._ui.undoButton.enabled = self._workplace.is_open and not self._propagator.busy

    def _show_busy(self, busy: bool) -> None:
        self._ui.cancelButton.enabled = busy
        self._ui.progressBar.visible = busy
        self.refresh()

    def _show_progress(self, text: str) -> None:
        self._ui.progressLabel.text = text
        self._ui.progressLabel.visible = bool(text)

    def _remember_wheel_folder(self) -> None:
        qt.QSettings().setValue(WHEEL_FOLDER_SETTING, self._ui.wheelFolderEdit.text)


def _device_name(device: str) -> str:
    """What the user reads for a device of torch."""
    return (
        _("the processor (CPU)")
        if device == "cpu"
        else _("the graphics card ({device})").format(device=device)
    )
