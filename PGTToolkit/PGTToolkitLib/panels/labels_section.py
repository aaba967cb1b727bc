"""Labels: which structure of one rater is compared with which of another."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from pgt.agreement.label_renaming import FoundLabel, found_labels
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.status_line import StatusLine

_FOUND, _COUNT, _LABEL = range(3)
_COLUMN_WIDTHS = (150, 64)
_ROW_HEIGHT = 22


class LabelsSection:
    """Owns the widgets of the second section."""

    def __init__(
        self, ui: SimpleNamespace, desk: AgreementDesk, status: StatusLine, refresh_all: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._refresh_all = refresh_all
        self._found: tuple[FoundLabel, ...] = ()
        self._filling = False
        table = ui.labelsTable
        table.columnCount = 3
        table.setHorizontalHeaderLabels([_("Structure"), _("Readings"), _("Compared as")])
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().stretchLastSection = True
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        table.itemChanged.connect(self._item_changed)
        ui.resetLabelsButton.clicked.connect(lambda *_args: self.reset())

    def reset(self) -> None:
        """Forget the corrections."""
        with self._status.problems():
            self._desk.parameters.renamed = ""
            self._refresh_all()

    def compared(self) -> tuple[str, ...]:
        """What structures are compared as, as last shown."""
        return tuple(dict.fromkeys(found.label for found in self._found if found.label))

    def refresh(self) -> None:
        """Show what is compared as what."""
        self._found = self._look()
        table = self._ui.labelsTable
        self._filling = True
        table.rowCount = len(self._found)
        for row, found in enumerate(self._found):
            for column, text in ((_FOUND, found.name), (_COUNT, str(found.count))):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                table.setItem(row, column, item)
            table.setItem(row, _LABEL, qt.QTableWidgetItem(found.label))
        self._filling = False
        self._ui.resetLabelsButton.enabled = bool(self._desk.renamed)
        compared = len(self.compared())
        self._ui.labelsSection.text = (
            _("2. Labels: {count} compared").format(count=compared) if self._found else _("2. Labels")
        )

    def _look(self) -> tuple[FoundLabel, ...]:
        if not self._desk.is_open:
            return ()
        if self._desk.listed:
            listed, renamed = self._desk.runner.listed, self._desk.renamed
            known = listed.found if listed is not None else ()
            return tuple(FoundLabel(one.name, one.count, renamed.get(one.name, one.label)) for one in known)
        source = self._desk.source(with_voxels=False)
        return found_labels([one.segmentation for one in source.rated], source.renamed)

    def _item_changed(self, item: qt.QTableWidgetItem) -> None:
        if self._filling:
            return
        with self._status.problems():
            self._desk.rename(self._found[item.row()].name, item.text().strip())
            self._refresh_all()
