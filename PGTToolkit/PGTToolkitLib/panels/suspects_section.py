"""Suspicious labels: a ranked list; a case is opened with its label and the proposal, and decided."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.errors import InputError
from pgt.styles.correction_job import Proposal
from pgt.styles.decisions import Verdict, accept_proposal, keep_label, read_decisions
from pgt.styles.map_job import FoundSuspect
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.styles_desk import StylesDesk
from PGTToolkitLib.suspect_views import close_suspect, show_suspect, suspect_in_view

_CASE, _SCORE, _SUGGESTION, _DECISION = range(4)
_COLUMN_WIDTHS = (120, 52, 120)
_ROW_HEIGHT = 22
_RATER_SETTING = "PGTToolkit/Rater"


class SuspectsSection:
    """Owns the widgets of the fourth section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: StylesDesk,
        status: StatusLine,
        begin: Callable[[Callable[[], None]], None],
        ring: Callable[[str], None],
        refresh_all: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._begin = begin
        self._ring = ring
        self._refresh_all = refresh_all
        self._suspects: tuple[FoundSuspect, ...] = ()
        table = ui.suspectsTable
        table.columnCount = 4
        table.setHorizontalHeaderLabels([_("Case"), _("Score"), _("Suggestion"), _("Decision")])
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().stretchLastSection = True
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        table.cellClicked.connect(lambda row, _column: self._ring(self._suspects[row].case))
        table.cellDoubleClicked.connect(lambda row, _column: self.open(self._suspects[row].case))
        ui.lookButton.clicked.connect(lambda *_args: self.look())
        ui.openCaseButton.clicked.connect(lambda *_args: self._open_selected())
        ui.acceptButton.clicked.connect(lambda *_args: self.accept())
        ui.keepButton.clicked.connect(lambda *_args: self.keep())
        ui.closeCaseButton.clicked.connect(lambda *_args: self.close_case())

    def look(self) -> None:
        """Compare labels and predictions for suggestions."""
        with self._status.problems():
            folder = self._desk.model().folder
            self._begin(lambda: self._desk.runner.read_map(folder, True, self._desk.device))

    def open(self, case: str) -> None:
        """Open a case with its label and the proposal side by side."""
        with self._status.problems():
            folder = self._desk.model().folder
            self._begin(lambda: self._desk.runner.correct(folder, case, self._desk.device, self._opened))

    def accept(self) -> None:
        """Keep the proposal of the open case beside the model."""
        with self._status.problems():
            proposal = self._proposal()
            made = accept_proposal(proposal.model, proposal.case, proposal.proposal, _rater())
            self._status.say(
                _("The proposal for {case} is in {file} of the model's folder.").format(
                    case=proposal.case, file=made.file
                )
            )
            self._refresh_all()

    def keep(self) -> None:
        """The label of the open, else of the selected, case is right."""
        with self._status.problems():
            case = suspect_in_view(slicer.mrmlScene) or self._selected()
            keep_label(self._desk.model().folder, case, _rater())
            self._status.say(_("The label of {case} is kept.").format(case=case))
            self._refresh_all()

    def close_case(self) -> None:
        """Take the open case out of the scene."""
        with self._status.problems():
            close_suspect(slicer.mrmlScene)
            self._refresh_all()

    def refresh(self) -> None:
        """Show the list and what can be done now."""
        found = self._desk.map() if self._desk.is_open else None
        self._suspects = found.suspects if found is not None else ()
        self._fill_table()
        idle = found is not None and not self._desk.runner.busy
        shown = suspect_in_view(slicer.mrmlScene)
        proposal = self._desk.runner.proposal
        ui = self._ui
        ui.lookButton.enabled = ui.openCaseButton.enabled = idle
        ui.acceptButton.enabled = idle and proposal is not None and proposal.case == shown
        ui.keepButton.enabled = idle
        ui.closeCaseButton.enabled = bool(shown)
        ui.suspectLabel.text = (
            _("{case}: label on the left, proposal on the right, where they differ most.").format(case=shown)
            if shown
            else ""
        )
        ui.suspectLabel.visible = bool(shown)

    def _fill_table(self) -> None:
        table = self._ui.suspectsTable
        selected = table.currentRow()
        decided = read_decisions(self._desk.model().folder) if self._suspects else {}
        looked = self._suspects and self._desk.map().looked
        table.rowCount = len(self._suspects)
        for row, one in enumerate(self._suspects):
            verdict = decided[one.case].verdict if one.case in decided else None
            cells = {
                _CASE: one.case,
                _SCORE: f"{one.score:.2f}",
                _SUGGESTION: _suggested(one.suggestion) if looked or one.suggestion != "unknown" else "",
                _DECISION: _decided(verdict),
            }
            for column, text in cells.items():
                table.setItem(row, column, qt.QTableWidgetItem(text))
        if 0 <= selected < len(self._suspects):
            table.selectRow(selected)

    def _open_selected(self) -> None:
        with self._status.problems():
            self.open(self._selected())

    def _selected(self) -> str:
        row = self._ui.suspectsTable.currentRow()
        if not 0 <= row < len(self._suspects):
            raise InputError(_("Select a case in the list first."))
        return self._suspects[row].case

    def _opened(self) -> None:
        show_suspect(slicer.mrmlScene, self._desk.runner.proposal)
        self._ring(self._desk.runner.proposal.case)

    def _proposal(self) -> Proposal:
        proposal = self._desk.runner.proposal
        if proposal is None or proposal.case != suspect_in_view(slicer.mrmlScene):
            raise InputError(_("Open the case first."))
        return proposal


def _suggested(suggestion: str) -> str:
    """A suggestion in the user's language; the keys are those of `pgt.styles.suspicion.Suggestion`."""
    return {
        "nothing unusual": _("nothing unusual"),
        "another style": _("another style"),
        "bad label": _("bad label?"),
        "hard case": _("hard case?"),
        "unknown": _("unknown"),
    }.get(suggestion, suggestion)


def _decided(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return {Verdict.ACCEPTED: _("proposal accepted"), Verdict.KEPT: _("label kept")}[verdict]


def _rater() -> str:
    return qt.QSettings().value(_RATER_SETTING) or ""
