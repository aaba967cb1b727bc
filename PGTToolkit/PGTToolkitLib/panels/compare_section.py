"""Compare: what to measure, the button, and the progress of all that the worker does for this panel."""

import logging
from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.agreement.consensus_job import ConsensusResult
from pgt.agreement.job import AskedFor, Comparison
from pgt.agreement.metrics import DEFAULT_METRICS, METRICS
from pgt.errors import InputError
from PGTToolkitLib.agreement_charts import titled
from PGTToolkitLib.agreement_store import ratings_of
from PGTToolkitLib.dependencies import (
    WHEEL_FOLDER_SETTING,
    MissingPackagesError,
    ensure_dependencies,
    missing_requirements,
)
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.worker import Event, Failed, Finished, Progressed, Stopped

_POLL_MILLISECONDS = 50
_COLUMNS = 2
_PAGE = "report"
_NONE = "none"


class CompareSection:
    """Owns the widgets of the third section and the timer that listens to the worker."""

    def __init__(
        self, ui: SimpleNamespace, desk: AgreementDesk, status: StatusLine, refresh_all: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._refresh_all = refresh_all
        self._page_declined = False
        self._filling = False
        self._boxes = self._make_boxes()
        self._timer = qt.QTimer()
        self._timer.interval = _POLL_MILLISECONDS
        self._timer.timeout.connect(self._listen)
        ui.compareButton.clicked.connect(lambda *_args: self.compare())
        ui.cancelButton.clicked.connect(lambda *_args: self.cancel())
        self._show_progress("")
        self._show_busy(False)

    def compare(self) -> None:
        """Compare all readings."""
        with self._status.problems():
            keys = self._chosen()
            if not keys:
                raise InputError(_("Choose a metric first."))
            source = self._desk.source()
            asked = AskedFor(
                tolerance_mm=self._desk.parameters.tolerance,
                metrics=keys,
                ratings=ratings_of(slicer.mrmlScene),
                anonymous=self._desk.parameters.anonymous,
                answers=self._desk.answers(),
                page=self._page_can_be_made(),
            )
            self._desk.view.clear()
            self.begin(
                lambda: self._desk.runner.compare(
                    slicer.mrmlScene, source, asked, self._desk.parameters.volume
                )
            )

    def begin(self, start: Callable[[], None]) -> None:
        """Start a job and follow it."""
        if self._desk.runner.busy:
            raise InputError(_("Wait for the work under way, or cancel it."))
        start()
        self._status.say("")
        self._show_progress(_("Starting…"))
        self._show_busy(True)
        self._timer.start()

    def cancel(self) -> None:
        """Stop within a second; nothing is changed."""
        self._desk.runner.cancel()
        self._show_progress(_("Stopping…"))

    def close(self) -> None:
        """Stop listening."""
        self._desk.runner.forget()
        self._timer.stop()

    def refresh(self) -> None:
        """Allow what can be done now."""
        keys = self._chosen_or_usual()
        self._filling = True
        for key, box in self._boxes.items():
            box.checked = key in keys
        self._filling = False
        self._ui.metricsSection.text = _("Metrics: {chosen} of {all}").format(
            chosen=len(keys), all=len(METRICS)
        )
        self._ui.compareButton.enabled = self._desk.is_open and not self._desk.runner.busy

    def _make_boxes(self) -> dict[str, qt.QCheckBox]:
        layout = self._ui.metricsPlace.layout()
        boxes = {}
        for number, described in enumerate(METRICS):
            box = qt.QCheckBox(titled(described))
            box.toolTip = described.definition
            box.toggled.connect(lambda *_args: self._choice_changed())
            layout.addWidget(box, number // _COLUMNS, number % _COLUMNS)
            boxes[described.key] = box
        return boxes

    def _chosen(self) -> tuple[str, ...]:
        return tuple(key for key, box in self._boxes.items() if box.checked)

    def _chosen_or_usual(self) -> tuple[str, ...]:
        parameters = self._desk.parameters
        stored = parameters.metrics.split() if parameters is not None else []
        return tuple(key for key in self._boxes if key in stored) if stored else DEFAULT_METRICS

    def _choice_changed(self) -> None:
        if not self._filling and self._desk.is_open:
            self._desk.parameters.metrics = " ".join(self._chosen()) or _NONE
            self.refresh()

    def _page_can_be_made(self) -> bool:
        """Whether the report gets its page; asks once for the packages that draw it."""
        if missing_requirements(_PAGE) and not self._page_declined:
            try:
                ensure_dependencies(_PAGE, qt.QSettings().value(WHEEL_FOLDER_SETTING) or "")
            except MissingPackagesError as error:
                self._page_declined = True
                logging.warning("PGT Toolkit: %s", error)
        return not missing_requirements(_PAGE)

    def _listen(self) -> None:
        with self._status.problems():
            for event in self._desk.runner.poll():
                self._tell(event)
        if not self._desk.runner.busy:
            self._timer.stop()
            self._show_busy(False)
            self._refresh_all()
            wanted, self._desk.wanted = self._desk.wanted, None
            if wanted is not None:
                wanted()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Progressed):
            self._ui.progressBar.maximum = event.total
            self._ui.progressBar.value = event.done
            text = _("{message}: {done} of {total}, {seconds:.0f} s") if event.total else _("{message}…")
            self._show_progress(
                text.format(message=event.message, done=event.done, total=event.total, seconds=event.seconds)
            )
            return
        self._show_progress("")
        if isinstance(event, Finished):
            self._status.say(_came_of(event.result))
        elif isinstance(event, Stopped):
            self._desk.wanted = None
            self._status.say(_("Cancelled. Nothing was changed."))
        elif isinstance(event, Failed):
            self._desk.wanted = None
            self._status.warn(event.message)
            logging.error("PGT Toolkit worker: %s\n%s", event.message, event.details)

    def _show_busy(self, busy: bool) -> None:
        self._ui.cancelButton.enabled = busy
        self._ui.progressBar.visible = busy
        self._ui.progressBar.maximum = 0
        self.refresh()

    def _show_progress(self, text: str) -> None:
        self._ui.progressLabel.text = text
        self._ui.progressLabel.visible = bool(text)


def _came_of(result: object) -> str:
    """What the user reads of a finished job."""
    if isinstance(result, Comparison):
        found = result.agreement
        text = _("{pairs} comparisons; structures: {labels}, cases: {cases}.").format(
            pairs=len(found.pairs), labels=len(found.labels), cases=len(found.cases)
        )
        return " ".join([text, *result.notes, *found.messages])
    if isinstance(result, ConsensusResult):
        disputed = sum(one.disputed for one in result.labels.values())
        text = _("Consensus made; {count} voxels were in dispute.").format(count=disputed)
        return " ".join([text, *result.messages])
    return ""
