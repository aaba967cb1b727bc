"""The two tables of slices, and the colors of the slice states."""

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from pgt.annotation import SliceState
from PGTToolkitLib.slice_lists import DrawingRow, ReviewRow

_ANNOTATED_COLOR = "#2e7d46"
_UNREVIEWED_COLOR = "#b3541e"
_REVIEWED_COLOR = "#2b6cb0"
_TO_DO_COLOR = "#7a7a7a"

_ROW_HEIGHT = 22
_COLUMN_WIDTHS = (56, 190)


class SliceTable:
    """A table with one slice a row; clicking a row shows the slice."""

    def __init__(self, table: qt.QTableWidget, headers: Sequence[str], show: Callable[[int], None]) -> None:
        self._table = table
        self._show = show
        self._indices: list[int] = []
        table.columnCount = len(headers)
        table.setHorizontalHeaderLabels(list(headers))
        table.wordWrap = False
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().stretchLastSection = True
        table.horizontalHeader().highlightSections = False
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        table.cellClicked.connect(self._clicked)

    def fill_with_drawing(self, rows: Sequence[DrawingRow]) -> None:
        """List slices to draw: slice, state, who."""
        self._fill(
            [row.index for row in rows],
            [
                (str(row.index), *_drawing_state(row), row.record.rater if row.annotated else "")
                for row in rows
            ],
        )

    def fill_with_review(self, rows: Sequence[ReviewRow]) -> None:
        """List slices to review: slice, confidence, state."""
        self._fill(
            [row.index for row in rows],
            [
                (
                    str(row.index),
                    _("Reviewed") if row.reviewed else _("Not reviewed"),
                    _REVIEWED_COLOR if row.reviewed else _UNREVIEWED_COLOR,
                    f"{100 * row.confidence:.0f} %",
                )
                for row in rows
            ],
        )

    def select(self, index: int | None) -> None:
        """Mark the row of the slice that is shown."""
        if index in self._indices:
            row = self._indices.index(index)
            self._table.selectRow(row)
            self._table.scrollToItem(self._table.item(row, 0))
        else:
            self._table.clearSelection()

    def _fill(self, indices: list[int], rows: Sequence[tuple[str, str, str, str]]) -> None:
        self._indices = indices
        self._table.rowCount = len(rows)
        for row, (slice_text, state, color, last) in enumerate(rows):
            self._table.setItem(row, 0, qt.QTableWidgetItem(slice_text))
            state_item = qt.QTableWidgetItem("● " + state)
            state_item.setForeground(qt.QBrush(qt.QColor(color)))
            self._table.setItem(row, 1, state_item)
            self._table.setItem(row, 2, qt.QTableWidgetItem(last))

    def _clicked(self, row: int, column: int) -> None:
        self._show(self._indices[row])


def _drawing_state(row: DrawingRow) -> tuple[str, str]:
    record = row.record
    if record is None:
        return _("To draw"), _TO_DO_COLOR
    if record.state is SliceState.ANNOTATED:
        return (_("Annotated, empty") if record.empty else _("Annotated")), _ANNOTATED_COLOR
    if record.state is SliceState.REVIEWED:
        return _("Propagated, reviewed"), _REVIEWED_COLOR
    return _("Propagated, not reviewed"), _UNREVIEWED_COLOR
