"""Readings: which segmentations are compared, and who drew them."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.errors import InputError
from PGTToolkitLib import reading_nodes
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.selected_segmentations import selected_segmentations
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.reading_nodes import Entered, ReadingEntry, Role
from PGTToolkitLib.segmentation_readings import drawn_on

_NAME, _RATER, _SESSION, _BLINDED, _ROLE = range(5)
_COLUMN_WIDTHS = (118, 84, 52, 52)
_ROW_HEIGHT = 24


class ReadingsSection:
    """Owns the widgets of the first section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: AgreementDesk,
        status: StatusLine,
        refresh_all: Callable[[], None],
        read_names: Callable[[], None],
    ) -> None:
        """Connect the widgets.

        Args:
            ui: the widgets by name.
            desk: what the sections share.
            status: where to tell.
            refresh_all: shows the present state everywhere.
            read_names: reads what the files of a case list hold.
        """
        self._ui = ui
        self._desk = desk
        self._status = status
        self._refresh_all = refresh_all
        self._read_names = read_names
        self._readings: Entered = ()
        self._filling = False
        self._set_up_table()
        ui.addSelectedButton.clicked.connect(lambda *_args: self.add_selected())
        ui.addMatchingButton.clicked.connect(lambda *_args: self.add_matching())
        ui.patternEdit.returnPressed.connect(lambda *_args: self.add_matching())
        ui.removeReadingButton.clicked.connect(lambda *_args: self.remove())
        ui.openCaseListButton.clicked.connect(lambda *_args: self.choose_case_list())
        ui.closeCaseListButton.clicked.connect(lambda *_args: self.close_case_list())

    def add_selected(self) -> None:
        """Add what is selected in the tree."""
        with self._status.problems():
            self._add(selected_segmentations(self._ui.segmentationTree))

    def add_matching(self) -> None:
        """Add all segmentations whose name fits."""
        with self._status.problems():
            found = reading_nodes.named_like(slicer.mrmlScene, self._ui.patternEdit.text)
            if not found:
                raise InputError(
                    _("No segmentation is called like {pattern}.").format(pattern=self._ui.patternEdit.text)
                )
            self._add(found)

    def remove(self) -> None:
        """Take the selected readings out of the comparison."""
        with self._status.problems():
            rows = sorted({index.row() for index in self._ui.readingsTable.selectedIndexes()})
            if not rows:
                raise InputError(_("Select a reading in the table first."))
            for row in rows:
                reading_nodes.leave(self._readings[row][0])
            self._refresh_all()

    def choose_case_list(self) -> None:
        """Ask for a case list and read what its files hold."""
        with self._status.problems():
            path = qt.QFileDialog.getOpenFileName(
                self._ui.readingsSection.window(), _("Open a case list"), "", _("Case lists (*.csv)")
            )
            if path:
                self._desk.parameters.caseList = str(path)
                self._refresh_all()
                self._read_names()

    def close_case_list(self) -> None:
        """Compare the readings of the scene again."""
        with self._status.problems():
            self._desk.parameters.caseList = ""
            self._refresh_all()

    def refresh(self) -> None:
        """Show whose the readings are."""
        listed = self._desk.listed
        self._readings = reading_nodes.entered(slicer.mrmlScene) if self._desk.is_open else ()
        self._fill()
        for name in ("segmentationTree", "patternEdit", "addSelectedButton", "addMatchingButton"):
            getattr(self._ui, name).enabled = self._desk.is_open and not listed
        self._ui.readingsTable.enabled = not listed
        self._ui.removeReadingButton.enabled = bool(self._readings) and not listed
        self._ui.closeCaseListButton.enabled = listed
        self._ui.openCaseListButton.enabled = self._desk.is_open and not self._desk.runner.busy
        count = len(self._readings)
        self._ui.readingsSection.text = (
            _("1. Readings: {count} in the scene").format(count=count)
            if count and not listed
            else _("1. Readings: case list")
            if listed
            else _("1. Readings")
        )
        self._ui.readingsNote.text = self._note()
        self._ui.readingsNote.visible = bool(self._ui.readingsNote.text)

    def _note(self) -> str:
        """What to know of what is compared."""
        if self._desk.listed:
            found = self._desk.runner.listed
            if found is None:
                return ""
            return _("{cases} cases; {sittings}.").format(
                cases=len(found.cases), sittings=", ".join(str(one) for one in found.sittings)
            )
        stored = self._desk.results()
        return " ".join(stored.notes) if stored is not None and stored.table is None else ""

    def _add(self, nodes: list[slicer.vtkMRMLSegmentationNode]) -> None:
        count = reading_nodes.add(nodes)
        if self._desk.parameters.volume is None:
            self._desk.parameters.volume = drawn_on(nodes[0])
        self._status.say(
            _("{count} readings added. Check rater, session and role.").format(count=count)
            if count
            else _("These segmentations are in the table already.")
        )
        self._refresh_all()

    def _set_up_table(self) -> None:
        table = self._ui.readingsTable
        table.columnCount = 5
        table.setHorizontalHeaderLabels(
            [_("Segmentation"), _("Rater"), _("Session"), _("Blinded"), _("Role")]
        )
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().stretchLastSection = True
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        table.itemChanged.connect(self._item_changed)

    def _fill(self) -> None:
        table = self._ui.readingsTable
        self._filling = True
        table.rowCount = len(self._readings)
        for row, (node, entry) in enumerate(self._readings):
            name = qt.QTableWidgetItem(node.GetName())
            name.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            name.setToolTip(node.GetName())
            table.setItem(row, _NAME, name)
            table.setItem(row, _RATER, qt.QTableWidgetItem(entry.rater))
            table.setItem(row, _SESSION, qt.QTableWidgetItem(entry.session))
            blinded = qt.QTableWidgetItem("")
            blinded.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
            blinded.setCheckState(qt.Qt.Checked if entry.blinded else qt.Qt.Unchecked)
            table.setItem(row, _BLINDED, blinded)
            self._fill_role(row, entry)
        self._filling = False

    def _fill_role(self, row: int, entry: ReadingEntry) -> None:
        box = self._ui.readingsTable.cellWidget(row, _ROLE)
        if box is None:
            box = qt.QComboBox()
            box.addItems([_("Rater"), _("Reference"), _("Model")])
            box.currentIndexChanged.connect(lambda *_args, row=row: self._role_changed(row))
            self._ui.readingsTable.setCellWidget(row, _ROLE, box)
        box.currentIndex = list(Role).index(entry.role)

    def _item_changed(self, item: qt.QTableWidgetItem) -> None:
        if self._filling:
            return
        with self._status.problems():
            row = item.row()
            node, entry = self._readings[row]
            table = self._ui.readingsTable
            changed = replace(
                entry,
                rater=table.item(row, _RATER).text().strip(),
                session=table.item(row, _SESSION).text().strip() or entry.session,
                blinded=table.item(row, _BLINDED).checkState() == qt.Qt.Checked,
            )
            reading_nodes.enter(node, changed)
            self._refresh_all()

    def _role_changed(self, row: int) -> None:
        if self._filling or row >= len(self._readings):
            return
        with self._status.problems():
            node, entry = self._readings[row]
            role = list(Role)[self._ui.readingsTable.cellWidget(row, _ROLE).currentIndex]
            reading_nodes.enter(node, replace(entry, role=role))
            self._refresh_all()
