"""Structures: which are exported, and what each is called, where cases call one structure differently."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from pgt.agreement.label_matching import folded
from PGTToolkitLib.panels.export_desk import CaseLine, ExportDesk
from PGTToolkitLib.panels.status_line import StatusLine

_FOUND, _CASES, _NAME = range(3)
_COLUMN_WIDTHS = (150, 64, 60)
_ROW_HEIGHT = 22
_WARNING_COLOR = "#b3541e"


@dataclass(frozen=True)
class FoundStructure:
    """A structure of the cases that go.

    Args:
        name: as the first of them calls it; capitals and underscores make no difference.
        cases: how many have it.
    """

    name: str
    cases: int


class StructuresSection:
    """Owns the widgets of a part of the third section."""

    def __init__(self, ui: SimpleNamespace, desk: ExportDesk, status: StatusLine) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._found: tuple[FoundStructure, ...] = ()
        self._filling = False
        table = ui.structuresTable
        table.columnCount = 3
        table.setHorizontalHeaderLabels([_("Structure"), _("Cases"), _("Exported as")])
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().stretchLastSection = True
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        table.itemChanged.connect(self._item_changed)

    def refresh(self, lines: Sequence[CaseLine]) -> None:
        """Show the structures of the cases that go."""
        going = [line for line in lines if not line.left_out]
        self._found = found_structures(going)
        chosen = self._desk.structures
        self._filling = True
        table = self._ui.structuresTable
        table.rowCount = len(self._found)
        for row, one in enumerate(self._found):
            name = qt.QTableWidgetItem(one.name)
            name.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
            name.setCheckState(qt.Qt.Unchecked if chosen.leaves_out(one.name) else qt.Qt.Checked)
            table.setItem(row, _FOUND, name)
            count = qt.QTableWidgetItem(_("{count} of {all}").format(count=one.cases, all=len(going)))
            count.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            if one.cases < len(going):
                count.setForeground(qt.QBrush(qt.QColor(_WARNING_COLOR)))
                count.setToolTip(_("Some cases lack it: rename it, untick it, or see Options."))
            table.setItem(row, _CASES, count)
            table.setItem(row, _NAME, qt.QTableWidgetItem(chosen.new_name(one.name)))
        self._filling = False
        left = sum(not chosen.leaves_out(one.name) for one in self._found)
        self._ui.structuresSection.text = (
            _("Structures: {count} of {all}").format(count=left, all=len(self._found))
            if self._found
            else _("Structures")
        )

    def _item_changed(self, item: qt.QTableWidgetItem) -> None:
        if self._filling or not self._desk.is_open:
            return
        with self._status.problems():
            one = self._found[item.row()]
            if item.column() == _FOUND:
                self._desk.choose_structure(one.name, item.checkState() == qt.Qt.Checked)
            elif item.column() == _NAME:
                self._desk.rename_structure(one.name, item.text().strip())


def found_structures(lines: Sequence[CaseLine]) -> tuple[FoundStructure, ...]:
    """The structures of cases, in the order of their first appearance."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for line in lines:
        for key, name in {folded(one.name): one.name for one in line.state.segments}.items():
            names.setdefault(key, name)
            counts[key] = counts.get(key, 0) + 1
    return tuple(FoundStructure(name, counts[key]) for key, name in names.items())
