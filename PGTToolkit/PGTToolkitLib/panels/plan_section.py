"""Plan: which slices to draw, which are done, and the way from one to the next."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from pgt.annotation import AXIS_NAMES, SliceLedger
from PGTToolkitLib.panels.parameters import AnnotateParameters
from PGTToolkitLib.panels.slice_table import SliceTable
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.scene import segment_name
from PGTToolkitLib.slice_lists import DrawingRow, drawing_rows, next_to_draw
from PGTToolkitLib.slice_plan import plan_from_file, plan_volume, store_plan
from PGTToolkitLib.workplace import Workplace


class PlanSection:
    """Owns the widgets of the second section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        workplace: Workplace,
        status: StatusLine,
        current_segment: Callable[[], str],
        refresh_all: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._workplace = workplace
        self._status = status
        self._current_segment = current_segment
        self._refresh_all = refresh_all
        self._rows: list[DrawingRow] = []
        self._table = SliceTable(ui.planTable, [_("Slice"), _("State"), _("Rater")], self.show)
        ui.planButton.clicked.connect(lambda *_args: self.plan())
        ui.openPlanButton.clicked.connect(lambda *_args: self.choose_plan_file())
        ui.alignViewButton.clicked.connect(lambda *_args: self.align_view())
        ui.previousButton.clicked.connect(lambda *_args: self.step(-1))
        ui.nextButton.clicked.connect(lambda *_args: self.step(1))
        ui.confirmButton.clicked.connect(lambda *_args: self.confirm())
        self._parameters: AnnotateParameters | None = None

    def set_parameters(self, parameters: AnnotateParameters | None) -> None:
        """Use the choices of another parameter node."""
        self._parameters = parameters

    def plan(self) -> None:
        """Choose the slices to draw."""
        with self._status.problems():
            session, axis = self._workplace.session, self._workplace.view_axis.axis
            plan = plan_volume(
                session.volume_node, axis, self._parameters.sliceCount, self._parameters.strategy.value
            )
            store_plan(session.segmentation_node, plan)
            self._status.say(
                _("{count} {orientation} slices to draw.").format(
                    count=len(plan.slices), orientation=_(self._workplace.orientation)
                )
            )
            self._refresh_all()
            self._workplace.show(plan.slices[0])

    def choose_plan_file(self) -> None:
        """Ask for a plan file and open it."""
        path = qt.QFileDialog.getOpenFileName(None, _("Open plan file"), "", _("Plan files (*.json)"))
        if path:
            self.open_plan_file(path)

    def open_plan_file(self, path: str) -> None:
        """Take over the slices that a plan file names for this volume."""
        with self._status.problems():
            session = self._workplace.session
            plan = plan_from_file(path, session.volume_node)
            store_plan(session.segmentation_node, plan)
            self._status.say(_("{count} slices to draw, from the plan file.").format(count=len(plan.slices)))
            self._refresh_all()

    def align_view(self) -> None:
        """Turn the view parallel to the volume's slices."""
        with self._status.problems():
            self._workplace.align_view()
            self._refresh_all()

    def show(self, index: int) -> None:
        """Move the view to a slice."""
        with self._status.problems():
            self._workplace.show(index)

    def step(self, step: int) -> None:
        """Show the next (1) or the previous (-1) planned slice."""
        index = next_to_draw(self._rows, self._workplace.shown, step)
        if index is not None:
            self.show(index)

    def confirm(self) -> None:
        """The segment in hand is finished on the slice shown: absent, or drawn as it is."""
        with self._status.problems():
            session, segment = self._workplace.session, self._current_segment()
            axis, index = self._workplace.view_axis.axis, self._workplace.shown
            if not segment or index is None:
                self._status.warn(_("Select a segment, and show a slice of the volume."))
                return
            record = session.confirm(segment, axis, index)
            text = (
                _("{name} is absent from slice {index}.")
                if record.empty
                else _("{name} is drawn on slice {index}.")
            )
            name = segment_name(session.segmentation_node, segment)
            self._status.say(text.format(name=name, index=index))
            self._refresh_all()

    def refresh(self, ledger: SliceLedger) -> None:
        """Show the plan and its progress for the segment in hand."""
        workplace, segment = self._workplace, self._current_segment()
        axis = workplace.view_axis.axis
        self._rows = drawing_rows(ledger, segment, axis, workplace.planned) if workplace.is_open else []
        self._table.fill_with_drawing(self._rows)
        self.refresh_shown()
        for button in ("planButton", "openPlanButton", "confirmButton"):
            getattr(self._ui, button).enabled = workplace.is_open
        for button in ("previousButton", "nextButton"):
            getattr(self._ui, button).enabled = bool(self._rows)
        done = sum(row.annotated for row in self._rows if row.planned)
        total = sum(row.planned for row in self._rows)
        self._ui.planSection.text = (
            _("2. Plan: {done} of {total} slices drawn").format(done=done, total=total)
            if total
            else _("2. Plan")
        )

    def refresh_shown(self) -> None:
        """Follow the view: axis, slice, and whether the view is turned."""
        workplace = self._workplace
        self._table.select(workplace.shown)
        self._ui.alignViewButton.visible = workplace.is_open and workplace.view_axis.oblique
        self._ui.axisLabel.text = (
            self._axis_text()
            if workplace.is_open
            else _("Choose a volume, and choose or make a segmentation.")
        )

    def _axis_text(self) -> str:
        view_axis, shown = self._workplace.view_axis, self._workplace.shown
        text = _("{orientation} slices (axis {axis}), slice {index} shown").format(
            orientation=_(self._workplace.orientation).capitalize(),
            axis=AXIS_NAMES[view_axis.axis],
            index="–" if shown is None else shown,
        )
        if not view_axis.oblique:
            return text
        turned = _("The view is turned {degrees:.0f}° from them: what you draw cuts several slices.")
        return f"{text}. {turned.format(degrees=view_axis.degrees)}"
