"""Questions: what masks do not tell of a structure, for which metrics to look at."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from pgt.agreement.metric_choice import QUESTIONS
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.status_line import StatusLine

_QUESTION, _ANSWER = range(2)
_QUESTION_WIDTH, _ANSWER_WIDTH = 290, 60
_UNSAID, _YES, _NO = range(3)
_CHOICES = (None, True, False)
_ALL = ""


class QuestionsSection:
    """Owns the widgets of a part of the third section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: AgreementDesk,
        status: StatusLine,
        labels: Callable[[], tuple[str, ...]],
    ) -> None:
        """Connect the widgets.

        Args:
            ui: the widgets by name.
            desk: what the sections share.
            status: where to tell.
            labels: what structures are compared as.
        """
        self._ui = ui
        self._desk = desk
        self._status = status
        self._labels = labels
        self._listed: tuple[str, ...] = (_ALL,)
        self._filling = False
        self._boxes = self._set_up_table()
        ui.questionLabelBox.addItem(_("All structures"))
        ui.questionLabelBox.currentIndexChanged.connect(lambda *_args: self._chosen())

    def refresh(self) -> None:
        """Show what was answered about the structure in hand."""
        self._list_structures()
        said = self._desk.said
        own, everywhere = said.get(self._label, {}), said.get(_ALL, {})
        self._filling = True
        for question, box in zip(QUESTIONS, self._boxes, strict=True):
            inherited = everywhere.get(question.key) if self._label else None
            box.setItemText(_UNSAID, _unsaid(inherited))
            box.currentIndex = _CHOICES.index(own.get(question.key))
            box.enabled = self._desk.is_open
        self._filling = False
        count = sum(len(answers) for answers in said.values())
        self._ui.questionsSection.text = (
            _("Questions about structures: {count} answered").format(count=count)
            if count
            else _("Questions about structures")
        )

    @property
    def _label(self) -> str:
        index = self._ui.questionLabelBox.currentIndex
        return self._listed[index] if 0 <= index < len(self._listed) else _ALL

    def _list_structures(self) -> None:
        listed = (_ALL, *self._labels())
        if listed == self._listed:
            return
        before, box = self._label, self._ui.questionLabelBox
        self._filling = True
        box.clear()
        box.addItems([_("All structures"), *listed[1:]])
        self._listed = listed
        box.currentIndex = listed.index(before) if before in listed else 0
        self._filling = False

    def _set_up_table(self) -> list[qt.QComboBox]:
        table = self._ui.questionsTable
        table.columnCount = 2
        table.rowCount = len(QUESTIONS)
        table.setHorizontalHeaderLabels([_("Question"), _("Answer")])
        table.verticalHeader().visible = False
        table.horizontalHeader().stretchLastSection = True
        table.wordWrap = True
        table.setColumnWidth(_QUESTION, _QUESTION_WIDTH)
        table.setColumnWidth(_ANSWER, _ANSWER_WIDTH)
        boxes = []
        for row, question in enumerate(QUESTIONS):
            item = qt.QTableWidgetItem(question.text)
            item.setToolTip(_("Unanswered: {meaning}").format(meaning=question.unanswered))
            table.setItem(row, _QUESTION, item)
            box = qt.QComboBox()
            box.addItems([_unsaid(None), _("Yes"), _("No")])
            box.toolTip = question.unanswered
            box.currentIndexChanged.connect(lambda *_args, row=row: self._answered(row))
            table.setCellWidget(row, _ANSWER, box)
            boxes.append(box)
        table.resizeRowsToContents()
        return boxes

    def _answered(self, row: int) -> None:
        if self._filling or not self._desk.is_open:
            return
        with self._status.problems():
            self._desk.say(self._label, QUESTIONS[row].key, _CHOICES[self._boxes[row].currentIndex])

    def _chosen(self) -> None:
        if not self._filling:
            with self._status.problems():
                self.refresh()


def _unsaid(inherited: bool | None) -> str:
    """The choice of saying nothing; where something was said of all structures, that."""
    return {None: "–", True: _("– (yes)"), False: _("– (no)")}[inherited]
