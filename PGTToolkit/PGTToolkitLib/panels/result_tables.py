"""The two tables of results: readings against each other, and every comparison."""

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from pgt.agreement.pair_matrix import matrices, shade
from pgt.agreement.readings import FIRST_SESSION, Sitting
from pgt.agreement.results import Agreement, PairScores
from PGTToolkitLib.agreement_charts import titled
from PGTToolkitLib.agreement_rows import PairLine, as_text, metrics_of, number_text, pair_lines

_ROW_HEIGHT = 22
_NAME_WIDTHS = (84, 70, 62, 62)
_NUMBER_WIDTH = 64
_CELL_WIDTH = 70
_MOST_ROWS = 8
_DARKEST = 0.55


def short(sitting: Sitting) -> str:
    """A reading as narrow columns have room for it."""
    return sitting.rater if sitting.session == FIRST_SESSION else f"{sitting.rater}, {sitting.session}"


class MatrixTable:
    """Every reading against every other; clicking a cell chooses the two."""

    def __init__(self, table: qt.QTableWidget, choose: Callable[[Sitting, Sitting], None]) -> None:
        self._table = table
        self._choose = choose
        self._sittings: tuple[Sitting, ...] = ()
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.cellClicked.connect(self._clicked)

    def fill(self, agreement: Agreement | None, label: str, key: str) -> None:
        """Show one metric of one label, or of all labels together."""
        self._sittings = agreement.sittings if agreement is not None else ()
        names = [short(sitting) for sitting in self._sittings]
        self._table.clear()
        self._table.rowCount = self._table.columnCount = len(names)
        self._table.setHorizontalHeaderLabels(names)
        self._table.setVerticalHeaderLabels(names)
        for column in range(len(names)):
            self._table.setColumnWidth(column, _CELL_WIDTH)
        # As high as its lines, so that a few raters are seen at once and many do not push all else away.
        height = _ROW_HEIGHT * (min(len(names), _MOST_ROWS) + 2)
        self._table.minimumHeight = self._table.maximumHeight = height
        if agreement is None or not key:
            return
        (matrix,) = matrices(agreement, (key,))
        cells = matrix.by_label[label] if label else matrix.overall
        for (row, column), cell in cells.items():
            item = qt.QTableWidgetItem(number_text(matrix.metric, cell.value))
            item.setTextAlignment(qt.Qt.AlignCenter)
            item.setBackground(qt.QBrush(_color(shade(matrix, cells, cell.value))))
            item.setToolTip(
                _("{a} and {b}: mean of {count} cases. {reading}").format(
                    a=names[row], b=names[column], count=cell.cases, reading=matrix.reading
                )
            )
            self._table.setItem(row, column, item)

    def _clicked(self, row: int, column: int) -> None:
        if row != column:
            self._choose(self._sittings[row], self._sittings[column])


class PairsTable:
    """Every comparison a line; headings sort, lines show the case."""

    def __init__(self, table: qt.QTableWidget, show: Callable[[PairScores], None]) -> None:
        self._table = table
        self._show = show
        self._lines: list[PairLine] = []
        self._titles: list[str] = []
        self._cells: list[list[str]] = []
        self._agreement: Agreement | None = None
        self._label = ""
        self._order: tuple[int, bool] = (-1, False)
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().sectionsClickable = True
        table.horizontalHeader().sectionClicked.connect(self._sort)
        table.cellClicked.connect(self._clicked)

    def fill(self, agreement: Agreement | None, label: str) -> None:
        """Show the comparisons of one label, or of all."""
        self._agreement, self._label = agreement, label
        self._lines = list(pair_lines(agreement, label)) if agreement is not None else []
        self._sorted()
        self._write()

    def as_text(self) -> str:
        """The table as it is shown, for the clipboard."""
        return as_text(self._titles, self._cells)

    def _write(self) -> None:
        described = metrics_of(self._agreement) if self._agreement is not None else ()
        self._titles = [_("Case"), _("Label"), "A", "B", *(titled(one) for one in described)]
        self._cells = [
            [
                line.pair.case,
                line.pair.label,
                short(line.pair.a),
                short(line.pair.b),
                *(number_text(one, value) for one, value in zip(described, line.values, strict=True)),
            ]
            for line in self._lines
        ]
        table = self._table
        table.columnCount = len(self._titles)
        table.setHorizontalHeaderLabels(self._titles)
        table.rowCount = len(self._cells)
        for row, cells in enumerate(self._cells):
            self._write_line(row, cells)
        for column in range(len(self._titles)):
            table.setColumnWidth(column, (*_NAME_WIDTHS, *[_NUMBER_WIDTH] * len(described))[column])
        table.setColumnHidden(1, bool(self._label))

    def _write_line(self, row: int, cells: Sequence[str]) -> None:
        policy = self._lines[row].pair.occupancy.value
        for column, text in enumerate(cells):
            item = qt.QTableWidgetItem(text)
            if column >= len(_NAME_WIDTHS):
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if policy != "both":
                item.setToolTip(_("By the metric's policy: {policy}.").format(policy=policy))
                item.setForeground(qt.QBrush(qt.QColor("#b3541e")))
            self._table.setItem(row, column, item)

    def _sort(self, column: int) -> None:
        falling = not self._order[1] if self._order[0] == column else False
        self._order = (column, falling)
        header = self._table.horizontalHeader()
        header.sortIndicatorShown = True
        header.setSortIndicator(column, qt.Qt.DescendingOrder if falling else qt.Qt.AscendingOrder)
        self._sorted()
        self._write()

    def _sorted(self) -> None:
        column, falling = self._order
        if column < 0:
            return

        def key(line: PairLine) -> object:
            pair = line.pair
            names = (pair.case, pair.label, short(pair.a), short(pair.b))
            return names[column] if column < len(names) else line.values[column - len(names)]

        if not self._lines or column < len(_NAME_WIDTHS) + len(self._lines[0].values):
            self._lines.sort(key=key, reverse=falling)

    def _clicked(self, row: int, column: int) -> None:
        self._show(self._lines[row].pair)


def _color(goodness: float) -> qt.QColor:
    """White for the best cell, orange for the worst."""
    color = qt.QColor("#f0a35e")
    worst = _DARKEST * (1 - goodness)
    mixed = [round(255 - worst * (255 - part)) for part in (color.red(), color.green(), color.blue())]
    return qt.QColor(*mixed)
