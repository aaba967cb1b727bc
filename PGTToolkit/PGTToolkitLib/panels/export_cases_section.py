"""Cases: a list, a folder of scenes, or segmentations of this scene, and how far each of them is."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.errors import InputError
from PGTToolkitLib import export_scene
from PGTToolkitLib.case_opening import open_case
from PGTToolkitLib.panels.cases_table import CasesTable
from PGTToolkitLib.panels.export_desk import CaseLine, ExportDesk
from PGTToolkitLib.panels.selected_segmentations import selected_segmentations
from PGTToolkitLib.panels.state_bar import ANNOTATED_COLOR, REVIEWED_COLOR, UNREVIEWED_COLOR
from PGTToolkitLib.panels.status_line import StatusLine


class ExportCasesSection:
    """Owns the widgets of the first section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: ExportDesk,
        status: StatusLine,
        begin: Callable[[Callable[[], None]], None],
        refresh_all: Callable[[], None],
    ) -> None:
        """Connect the widgets.

        Args:
            ui: the widgets by name.
            desk: what the sections share.
            status: where to tell.
            begin: starts a job and follows it.
            refresh_all: shows the present state everywhere.
        """
        self._ui = ui
        self._desk = desk
        self._status = status
        self._begin = begin
        self._refresh_all = refresh_all
        self.table = CasesTable(ui.casesTable, self._allow, lambda line: self.open([line]))
        ui.legendLabel.text = _legend()
        ui.openListButton.clicked.connect(lambda *_args: self._choose_list())
        ui.openFolderButton.clicked.connect(lambda *_args: self._choose_folder())
        ui.closeListButton.clicked.connect(lambda *_args: self.close_list())
        ui.reportButton.clicked.connect(lambda *_args: self._choose_known("agreementReport"))
        ui.suspectsButton.clicked.connect(lambda *_args: self._choose_known("suspectsFile"))
        ui.seriesButton.clicked.connect(lambda *_args: self._choose_known("seriesFolder"))
        ui.addSelectedButton.clicked.connect(lambda *_args: self.add_selected())
        ui.removeCaseButton.clicked.connect(lambda *_args: self.remove())
        ui.openCaseButton.clicked.connect(lambda *_args: self.open(self.table.selected()))
        ui.readAgainButton.clicked.connect(lambda *_args: self.read())

    def read(self) -> None:
        """Read the states of all cases, as they are now."""
        with self._status.problems():
            self._desk.look_again()
            source = self._desk.source
            if source is not None:
                self._begin(lambda: self._desk.runner.read_list(source))
            self._refresh_all()

    def close_list(self) -> None:
        """Take the cases of the list out of the table."""
        with self._status.problems():
            self._desk.parameters.caseList = ""
            self._desk.runner.forget_list()
            self._refresh_all()

    def add_selected(self) -> None:
        """Add what is selected in the tree."""
        with self._status.problems():
            chosen = selected_segmentations(self._ui.segmentationTree)
            count = export_scene.add(chosen, [state.case for state in self._desk.listed()])
            self._status.say(
                _("Cases added: {count}.").format(count=count)
                if count
                else _("These segmentations are in the table already.")
            )
            self._refresh_all()

    def remove(self) -> None:
        """Take the selected cases of this scene out of the table."""
        with self._status.problems():
            chosen = [line.scene.node for line in self.table.selected() if line.scene is not None]
            if not chosen:
                raise InputError(_("Select a case of this scene in the table first."))
            for node in chosen:
                export_scene.leave(node)
            self._refresh_all()

    def open(self, lines: list[CaseLine]) -> None:
        """Bring a case into the scene, or one that is there into the views."""
        with self._status.problems():
            if len(lines) != 1:
                raise InputError(_("Select one case in the table first."))
            (line,) = lines
            open_case(slicer.mrmlScene, line.state, line.scene)
            self._status.say(_("{case} is in the views.").format(case=line.state.case))

    def refresh(self, lines: list[CaseLine]) -> None:
        """Show the cases and what can be done now."""
        ui, idle = self._ui, self._desk.is_open and not self._desk.runner.busy
        self.table.fill(lines)
        ui.casesSection.text = _("1. Cases: {count}").format(count=len(lines)) if lines else _("1. Cases")
        listed = self._desk.source is not None
        for widget in (ui.openListButton, ui.openFolderButton, ui.readAgainButton):
            widget.enabled = idle
        for widget in (ui.reportButton, ui.suspectsButton, ui.seriesButton, ui.closeListButton):
            widget.enabled = idle and listed
        ui.addSelectedButton.enabled = idle
        self._allow()

    def _allow(self) -> None:
        chosen = self.table.selected()
        self._ui.openCaseButton.enabled = self._desk.is_open and len(chosen) == 1
        self._ui.removeCaseButton.enabled = any(line.scene is not None for line in chosen)

    def _choose_list(self) -> None:
        path = qt.QFileDialog.getOpenFileName(
            self._ui.casesSection.window(), _("Open a case list"), "", _("Case lists") + " (*.csv)"
        )
        if path:
            self._desk.parameters.caseList = str(path)
            self.read()

    def _choose_folder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self._ui.casesSection.window(), _("Folder of scenes"))
        if folder:
            self._desk.parameters.caseList = str(folder)
            self.read()

    def _choose_known(self, name: str) -> None:
        window = self._ui.casesSection.window()
        if name == "suspectsFile":
            path = qt.QFileDialog.getOpenFileName(window, _("Suspicious cases"), "", "JSON (*.json)")
        else:
            title = _("Agreement report") if name == "agreementReport" else _("DICOM series")
            path = qt.QFileDialog.getExistingDirectory(window, title)
        setattr(self._desk.parameters, name, str(path or ""))
        self.read()


def _legend() -> str:
    """What the colors of the bars mean."""
    words = (
        (ANNOTATED_COLOR, _("annotated")),
        (REVIEWED_COLOR, _("reviewed")),
        (UNREVIEWED_COLOR, _("propagated, not reviewed")),
    )
    return " &nbsp; ".join(f'<span style="color: {color}">■</span> {word}' for color, word in words)
