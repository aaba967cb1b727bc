"""Consensus and report: what is taken away from a comparison."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.agreement.agreement_files import REPORT_HTML
from pgt.errors import InputError
from PGTToolkitLib.agreement_store import export_report
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.status_line import StatusLine


class ConsensusSection:
    """Owns the widgets of the fifth section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: AgreementDesk,
        status: StatusLine,
        begin: Callable[[Callable[[], None]], None],
    ) -> None:
        """Connect the widgets; ``begin`` starts a job and follows it."""
        self._ui = ui
        self._desk = desk
        self._status = status
        self._begin = begin
        ui.consensusButton.clicked.connect(lambda *_args: self.make_consensus())
        ui.exportButton.clicked.connect(lambda *_args: self.export())

    def make_consensus(self) -> None:
        """Join the raters' segmentations of the case into a new one."""
        with self._status.problems():
            seen = self._desk.view.seen
            if self._desk.listed and seen is None:
                raise InputError(_("Click a comparison first, to say of which case."))
            case = seen.pair.case if self._desk.listed else ""
            source = self._desk.source(case)
            method = self._desk.parameters.consensusMethod.value
            self._begin(lambda: self._desk.runner.make_consensus(slicer.mrmlScene, source, method))

    def export(self) -> None:
        """Ask for a folder and write the report there."""
        with self._status.problems():
            folder = qt.QFileDialog.getExistingDirectory(
                self._ui.consensusSection.window(), _("Folder for the report")
            )
            if not folder:
                return
            written = export_report(slicer.mrmlScene, Path(str(folder)))
            text = _("The report is in {folder}.").format(folder=folder)
            if not any(path.name == REPORT_HTML for path in written):
                text += " " + _("It has no page: the packages that draw it are not installed.")
            self._status.say(text)

    def refresh(self) -> None:
        """Allow what can be done now."""
        self._ui.consensusButton.enabled = self._desk.is_open and not self._desk.runner.busy
        self._ui.exportButton.enabled = self._desk.results() is not None
