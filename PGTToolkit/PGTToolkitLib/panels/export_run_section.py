"""Export: where the files go, the button, and what came of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.errors import InputError
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import ExportReport
from pgt.export.folder_state import export_in
from pgt.export.selection import LeftOut
from PGTToolkitLib.dependencies import WHEEL_FOLDER_SETTING, ensure_dependencies
from PGTToolkitLib.export_scene import scene_cases
from PGTToolkitLib.panels.export_desk import CaseLine, ExportDesk
from PGTToolkitLib.panels.status_line import StatusLine

_TASK = "dicom-seg"
_COLUMN_WIDTHS, _ROW_HEIGHT = (90, 62, 60), 22
_FAILED_COLOR = "#c0392b"
_MEGABYTE = 1e6


class ExportRunSection:
    """Owns the widgets of the fourth section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: ExportDesk,
        status: StatusLine,
        begin: Callable[[Callable[[], None]], None],
    ) -> None:
        """Connect the widgets; ``begin`` starts a job and follows it."""
        self._ui = ui
        self._desk = desk
        self._status = status
        self._begin = begin
        table = ui.outcomeTable
        table.columnCount = 3
        table.setHorizontalHeaderLabels([_("Case"), _("Export"), _("Why")])
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().stretchLastSection = True
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        ui.chooseFolderButton.clicked.connect(lambda *_args: self._choose_folder())
        ui.openExportButton.clicked.connect(lambda *_args: self._open_folder())
        ui.exportButton.clicked.connect(lambda *_args: self.export())

    def export(self) -> None:
        """Write the cases that pass the filter, or go on with an export that was cut off."""
        with self._status.problems():
            desk = self._desk
            folder = desk.folder
            if folder is None:
                raise InputError(_("Choose a folder for the files."))
            lines = desk.lines()
            settings = desk.settings(lines)
            if not lines:
                raise InputError(_("Add cases first: a list, a folder, or segmentations of this scene."))
            if all(line.left_out for line in lines):
                raise InputError(_("The filter leaves every case out."))
            _ensure_packages(settings)
            cases = scene_cases(slicer.mrmlScene)
            self._begin(lambda: desk.runner.export(desk.source, cases, settings, folder))

    def refresh(self, lines: Sequence[CaseLine]) -> None:
        """Allow what can be done now, and show what came of the last export."""
        ui, desk = self._ui, self._desk
        idle = desk.is_open and not desk.runner.busy
        going = sum(not line.left_out for line in lines)
        ui.exportButton.enabled = ui.chooseFolderButton.enabled = idle
        ui.exportButton.text = (
            _("Export {count} of {all} cases").format(count=going, all=len(lines)) if lines else _("Export")
        )
        _show(ui.resumeLabel, _resumed(desk.folder, desk.is_open and desk.parameters.replaceEarlier))
        ui.openExportButton.enabled = desk.folder is not None and desk.folder.is_dir()
        report = desk.runner.report if desk.is_open else None
        failed = desk.runner.failed
        _show(ui.resultLabel, came_of(report, len(failed)) if report is not None else "")
        self._fill(report.left_out if report is not None else (), failed)

    def _fill(self, left_out: Sequence[LeftOut], failed: Sequence[LeftOut]) -> None:
        """Cases that are not in the export, those that failed first."""
        table = self._ui.outcomeTable
        lines = [(one, _("failed"), _FAILED_COLOR) for one in failed]
        lines += [(one, _("left out"), "") for one in left_out]
        table.visible = bool(lines)
        table.rowCount = len(lines)
        for row, (one, what, color) in enumerate(lines):
            for column, text in enumerate((one.case, what, one.reason)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                if color:
                    item.setForeground(qt.QBrush(qt.QColor(color)))
                table.setItem(row, column, item)

    def _choose_folder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            self._ui.exportSection.window(), _("Folder for the export")
        )
        if folder:
            self._desk.parameters.folder = str(folder)

    def _open_folder(self) -> None:
        with self._status.problems():
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._desk.folder)))


def came_of(report: ExportReport, failed: int = 0) -> str:
    """What the user reads of an export whose work is over."""
    text = _("Cases written: {count}").format(count=len(report.exported))
    if report.resumed:
        text += " " + _("({count} of them in an earlier run)").format(count=len(report.resumed))
    text += _("; failed: {failed}; left out: {count}.").format(failed=failed, count=len(report.left_out))
    if failed:
        whole = _("Not whole: mend the cases that failed, or take them out, and export with Replace.")
    else:
        whole = _("{files} files, {size:.1f} MB, checksums in SHA256SUMS.").format(
            files=report.files, size=report.bytes / _MEGABYTE
        )
    return " ".join([text, whole, *report.messages])


def _resumed(folder: Path | None, replacing: bool) -> str:
    """What Export will do with what is in the folder; empty where there is no export."""
    found = export_in(folder) if folder is not None else None
    if found is None:
        return ""
    if replacing:
        return _("The export in this folder is replaced, unless it is this very one.")
    if found.complete:
        return _(
            "This folder holds a finished export of {count} cases; it is checked, and another is refused."
        ).format(count=found.cases)
    return _(
        "An export of {count} cases was cut off in this folder; the same one goes on where it stopped."
    ).format(count=found.cases)


def _ensure_packages(settings: ExportSettings) -> None:
    """Ask for the package that writes DICOM SEG, where it is wanted and missing."""
    if ExportFormat.DICOM_SEG in settings.formats:
        ensure_dependencies(_TASK, qt.QSettings().value(WHEEL_FOLDER_SETTING) or "")


def _show(label: qt.QLabel, text: str) -> None:
    label.text = text
    label.visible = bool(text)
