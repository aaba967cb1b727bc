"""Map: where the training cases lie, and which styles there are. During training the map grows here."""

from collections.abc import Callable, Mapping
from html import escape
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from pgt.styles.segment_job import NamedStyle
from pgt.styles.training_watch import Glance
from PGTToolkitLib.panels.case_coloring import CaseColoring, colored_by
from PGTToolkitLib.panels.map_picture import MapMark, MapPicture
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.style_colors import color_of_group
from PGTToolkitLib.panels.styles_desk import StyleLine, StylesDesk

_NAME, _CASES, _PLACE = range(3)
_COLUMN_WIDTHS = (180, 56)
_ROW_HEIGHT = 22


class MapSection:
    """Owns the widgets of the second section."""

    def __init__(
        self, ui: SimpleNamespace, desk: StylesDesk, status: StatusLine, refresh_all: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._refresh_all = refresh_all
        self._lines: list[StyleLine] = []
        self._filling = False
        self._growing = False
        self._columns: tuple[str, ...] = ()
        self.picture = MapPicture(ui.mapLabel, self._case_clicked, self._point_clicked)
        self.ringed = ""
        """The case that has a ring."""
        table = ui.stylesTable
        table.columnCount = 3
        table.setHorizontalHeaderLabels([_("Style (tick to compare)"), _("Cases"), _("Place")])
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        table.horizontalHeader().stretchLastSection = True
        for column, width in enumerate(_COLUMN_WIDTHS):
            table.setColumnWidth(column, width)
        ui.colorByBox.currentIndexChanged.connect(lambda *_args: self._color_chosen())
        table.itemChanged.connect(self._item_changed)
        table.cellClicked.connect(self._line_clicked)

    def ring(self, case: str) -> None:
        """Show where a case lies."""
        self.ringed = case
        self.refresh()

    def grow(self, glance: Glance | None) -> None:
        """Show the map of the training under way; None when it is over."""
        self._growing = glance is not None
        if glance is None:
            self.refresh()
            return
        self.picture.show_cases(glance.latents, dict.fromkeys(glance.latents, color_of_group(0)))
        note = _("Training: epoch {epoch} of {of}, loss {loss:.3f}").format(
            epoch=glance.epoch, of=glance.of, loss=glance.loss
        )
        self.picture.show_styles((), None, "", note)

    def refresh(self) -> None:
        """Show the model's map and its styles."""
        card = self._desk.card() if self._desk.is_open else None
        self._lines = self._desk.lines() if self._desk.is_open else []
        self._fill_table()
        self._list_columns()
        latents = card.latents if card is not None else {}
        coloring = self._coloring(latents)
        self._ui.mapHint.text = _legend(coloring) if coloring is not None else self._hint()
        self._ui.mapHint.visible = bool(self._ui.mapHint.text)
        if self._growing:
            return
        groups = self._desk.group_of()
        colors = {case: color_of_group(groups.get(case)) for case in latents}
        self.picture.show_cases(latents, coloring.colors if coloring is not None else colors)
        marks = [
            MapMark(line.style.name, line.style.latent, color_of_group(line.group))
            for line in self._lines
            if line.group is not None or line.saved
        ]
        chosen = self._desk.style().latent if card is not None else None
        note = _("Open a model, or train one.") if card is None else ""
        self.picture.show_styles(marks, chosen, self.ringed, note)

    def _hint(self) -> str:
        found = self._desk.map() if self._desk.is_open else None
        if found is None:
            return ""
        alone = len(found.suspects) - sum(len(group.cases) for group in found.clusters)
        text = _("{count} styles found.").format(count=len(found.clusters))
        return f"{text} " + _("{count} cases lie alone (grey).").format(count=alone) if alone else text

    def _list_columns(self) -> None:
        """Offer what the cases' table tells of them."""
        columns = tuple(self._desk.columns()) if self._desk.is_open else ()
        chosen = self._desk.parameters.colorBy if self._desk.is_open else ""
        box = self._ui.colorByBox
        self._filling = True
        if columns != self._columns or not box.count:
            box.clear()
            box.addItems([_("Style"), *columns])
            self._columns = columns
        box.currentIndex = 1 + columns.index(chosen) if chosen in columns else 0
        self._filling = False
        box.enabled = bool(columns)

    def _coloring(self, latents: Mapping[str, object]) -> CaseColoring | None:
        """Colors by the chosen column; None for those of the styles."""
        columns = self._desk.columns() if self._desk.is_open else {}
        values = columns.get(self._desk.parameters.colorBy) if columns else None
        return None if values is None else colored_by({case: values.get(case, "") for case in latents})

    def _color_chosen(self) -> None:
        if self._filling or not self._desk.is_open:
            return
        with self._status.problems():
            index = self._ui.colorByBox.currentIndex
            self._desk.parameters.colorBy = self._columns[index - 1] if index > 0 else ""
            self.refresh()

    def _fill_table(self) -> None:
        table = self._ui.stylesTable
        ticked = self._desk.compared()
        current = self._desk.style().latent if self._lines else None
        self._filling = True
        table.rowCount = len(self._lines)
        for row, line in enumerate(self._lines):
            name = qt.QTableWidgetItem(line.style.name)
            name.setForeground(qt.QBrush(qt.QColor(color_of_group(line.group))))
            name.setCheckState(qt.Qt.Checked if line.style.name in ticked else qt.Qt.Unchecked)
            table.setItem(row, _NAME, name)
            place = ", ".join(f"{number:.2f}" for number in line.style.latent)
            for column, text in ((_CASES, "" if line.cases is None else str(line.cases)), (_PLACE, place)):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                table.setItem(row, column, item)
            if line.style.latent == current:
                table.selectRow(row)
        self._filling = False

    def _case_clicked(self, case: str) -> None:
        if self._growing or not self._desk.is_open:
            return
        with self._status.problems():
            latent = self._desk.model().latents[case]
            self.ringed = case
            self._desk.choose(NamedStyle(_("as in {case}").format(case=case), latent))
            self._refresh_all()

    def _point_clicked(self, x: float, y: float) -> None:
        if self._growing or not self._desk.is_open:
            return
        with self._status.problems():
            self._desk.choose_point(x, y)
            self._refresh_all()

    def _line_clicked(self, row: int, column: int) -> None:
        with self._status.problems():
            self._desk.choose(self._lines[row].style)
            self._refresh_all()

    def _item_changed(self, item: qt.QTableWidgetItem) -> None:
        if self._filling or item.column() != _NAME:
            return
        with self._status.problems():
            line = self._lines[item.row()]
            ticked = [name for name in self._desk.compared() if name != line.style.name]
            if item.checkState() == qt.Qt.Checked:
                ticked.append(line.style.name)
            self._desk.parameters.compared = "\n".join(ticked)
            if item.text() != line.style.name:
                self._desk.rename(line, item.text())
                self._status.say(_("The name is kept with the model."))
        with self._status.problems():
            self._refresh_all()


def _legend(coloring: CaseColoring) -> str:
    return " &nbsp; ".join(
        f'<span style="color: {color}">●</span> {escape(words)}' for color, words in coloring.legend
    )
