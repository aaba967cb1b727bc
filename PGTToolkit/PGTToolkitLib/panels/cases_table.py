"""The table of cases: how far each is, how far raters agree on it, and whether it is exported."""

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from pgt.annotation import SliceState
from pgt.export.case_state import CaseState, SegmentState
from PGTToolkitLib.panels.export_desk import CaseLine
from PGTToolkitLib.panels.state_bar import (
    ANNOTATED_COLOR,
    REVIEWED_COLOR,
    UNREVIEWED_COLOR,
    BarPart,
    state_bar,
)

_CASE, _SLICES, _AGREEMENT, _LABEL, _EXPORT = range(5)
_COLUMN_WIDTHS = (72, 86, 70, 72, 60)
_BAR_WIDTH, _BAR_HEIGHT = 78, 14
_LEAST_COLUMN_WIDTH = 32
_FRAME = 8
_ROW_HEIGHT = 22
_FEWEST_ROWS, _MOST_ROWS = 3, 10
_WARNING_COLOR, _GOOD_COLOR, _UNKNOWN_COLOR = "#b3541e", "#2e7d46", "#7a7a7a"


class CasesTable:
    """Every case a line; headings sort, a double click opens."""

    def __init__(
        self, table: qt.QTableWidget, selected: Callable[[], None], opened: Callable[[CaseLine], None]
    ) -> None:
        """Fill a table.

        Args:
            table: the widget.
            selected: called when other lines are selected.
            opened: called with the case that was double-clicked.
        """
        self._table = table
        self._lines: list[CaseLine] = []
        self._order: tuple[int, bool] = (-1, False)
        table.columnCount = 5
        table.setHorizontalHeaderLabels([_("Case"), _("Slices"), _("Agreement"), _("Label"), _("Export")])
        table.wordWrap = False
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        header = table.horizontalHeader()
        header.minimumSectionSize = _LEAST_COLUMN_WIDTH
        header.stretchLastSection = True
        header.highlightSections = False
        header.sectionsClickable = True
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        header.sectionClicked.connect(self._sort)
        table.itemSelectionChanged.connect(selected)
        table.cellDoubleClicked.connect(lambda row, _column: opened(self._lines[row]))

    def fill(self, lines: Sequence[CaseLine]) -> None:
        """Show these cases, in the order that the user chose last."""
        chosen = {line.state.case for line in self.selected()}
        self._lines = list(lines)
        self._sorted()
        self._write()
        self._table.clearSelection()
        for row, line in enumerate(self._lines):
            if line.state.case in chosen:
                self._table.setRangeSelected(qt.QTableWidgetSelectionRange(row, _CASE, row, _EXPORT), True)

    def selected(self) -> list[CaseLine]:
        """The cases whose lines are selected."""
        rows = sorted({index.row() for index in self._table.selectedIndexes()})
        return [self._lines[row] for row in rows if row < len(self._lines)]

    def _write(self) -> None:
        self._table.rowCount = len(self._lines)
        # As high as its lines, so that a few cases are seen at once and many do not push all else away.
        height = _ROW_HEIGHT * (min(max(len(self._lines), _FEWEST_ROWS), _MOST_ROWS) + 1) + _FRAME
        self._table.minimumHeight = self._table.maximumHeight = height
        for row, line in enumerate(self._lines):
            state = line.state
            self._put(row, _CASE, state.case, tip=_place(line))
            slices = self._put(row, _SLICES, "", tip=slices_in_words(state))
            slices.setData(qt.Qt.DecorationRole, _bar(state))
            text, tip = _agreement(state)
            self._put(row, _AGREEMENT, text, tip=tip)
            text, color, tip = _label(state)
            self._put(row, _LABEL, text, color, tip)
            out = ", ".join(line.kept_out_by)
            text, color = ("✕ " + out, _WARNING_COLOR) if out else ("✓", _GOOD_COLOR)
            self._put(row, _EXPORT, text, color, line.left_out or _("Goes into the export."))

    def _put(self, row: int, column: int, text: str, color: str = "", tip: str = "") -> qt.QTableWidgetItem:
        item = qt.QTableWidgetItem(text)
        item.setToolTip(tip)
        if color:
            item.setForeground(qt.QBrush(qt.QColor(color)))
        self._table.setItem(row, column, item)
        return item

    def _sort(self, column: int) -> None:
        falling = not self._order[1] if self._order[0] == column else False
        self._order = (column, falling)
        header = self._table.horizontalHeader()
        header.sortIndicatorShown = True
        header.setSortIndicator(column, qt.Qt.DescendingOrder if falling else qt.Qt.AscendingOrder)
        self.fill(self._lines)

    def _sorted(self) -> None:
        column, falling = self._order
        if column >= 0:
            self._lines.sort(key=lambda line: _key(line, column), reverse=falling)


def slices_in_words(state: CaseState) -> str:
    """How far a case is, a line for each of its segments."""
    if not state.records:
        said = {True: _("The list says: reviewed."), False: _("The list says: not reviewed.")}
        return said.get(state.said_reviewed, _("Nobody recorded who drew which slice."))
    return "\n".join(_segment_in_words(one) for one in state.segments)


def _segment_in_words(one: SegmentState) -> str:
    if not one.has_states:
        return _("{segment}: nothing recorded").format(segment=one.name)
    return _("{segment}: {annotated} annotated, {reviewed} reviewed, {propagated} not reviewed").format(
        segment=one.name,
        annotated=len(one.annotated),
        reviewed=len(one.reviewed),
        propagated=len(one.propagated),
    )


def _bar(state: CaseState) -> qt.QPixmap:
    parts = [
        BarPart(state.slices(SliceState.ANNOTATED), ANNOTATED_COLOR),
        BarPart(state.slices(SliceState.REVIEWED), REVIEWED_COLOR),
        BarPart(state.slices(SliceState.PROPAGATED), UNREVIEWED_COLOR),
    ]
    return state_bar(parts, _BAR_WIDTH, _BAR_HEIGHT)


def _agreement(state: CaseState) -> tuple[str, str]:
    agreement = state.agreement
    if agreement is None:
        return "", _("Nobody compared raters on this case.")
    tip = _("Mean of {count} comparisons ({metric}).").format(count=agreement.pairs, metric=agreement.metric)
    return f"{agreement.value:.2f}", tip


def _label(state: CaseState) -> tuple[str, str, str]:
    suspicion = state.suspicion
    if suspicion is None:
        return "", _UNKNOWN_COLOR, _("No style model looked at this label.")
    if not suspicion.suspicious:
        return _("usual"), _GOOD_COLOR, suspicion.suggestion
    return _("suspicious"), _WARNING_COLOR, suspicion.suggestion


def _place(line: CaseLine) -> str:
    if line.scene is not None:
        return _("In this scene: {name}").format(name=line.scene.node.GetName())
    return str(line.state.label)


def _key(line: CaseLine, column: int) -> tuple[object, ...]:
    """What a heading sorts by; where it says nothing, cases keep their order."""
    state = line.state
    if column == _CASE:
        return (state.case.casefold(),)
    if column == _SLICES:
        return (bool(state.records), -_open_share(state))
    if column == _AGREEMENT:
        return (state.agreement is not None, state.agreement.value if state.agreement else 0.0)
    if column == _LABEL:
        return (state.suspicion is None, not (state.suspicion and state.suspicion.suspicious))
    return (not line.kept_out_by, line.kept_out_by)


def _open_share(state: CaseState) -> float:
    return state.slices(SliceState.PROPAGATED) / len(state.records) if state.records else 0.0
