"""Review: look at what was filled, accept it, and go where drawing helps most."""

from collections.abc import Callable
from types import SimpleNamespace

from slicer.i18n import tr as _

from pgt.annotation import SliceLedger
from PGTToolkitLib.panels.parameters import AnnotateParameters
from PGTToolkitLib.panels.slice_table import SliceTable
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.propagation import suggested_slice
from PGTToolkitLib.scene import segment_name
from PGTToolkitLib.slice_lists import ReviewRow, review_rows
from PGTToolkitLib.uncertainty import show_uncertainty
from PGTToolkitLib.workplace import Workplace


class ReviewSection:
    """Owns the widgets of the fifth section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        workplace: Workplace,
        status: StatusLine,
        refresh_all: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._workplace = workplace
        self._status = status
        self._refresh_all = refresh_all
        self._parameters: AnnotateParameters | None = None
        self._rows: list[ReviewRow] = []
        self._table = SliceTable(ui.reviewTable, [_("Slice"), _("State"), _("Confidence")], self.show)
        ui.acceptButton.clicked.connect(lambda *_args: self.accept())
        ui.acceptAllButton.clicked.connect(lambda *_args: self.accept_all())
        ui.suggestButton.clicked.connect(lambda *_args: self.go_to_suggestion())

    def set_parameters(self, parameters: AnnotateParameters | None) -> None:
        """Use the choices of another parameter node."""
        self._parameters = parameters

    def show(self, index: int) -> None:
        """Move the view to a slice."""
        with self._status.problems():
            self._workplace.show(index)

    def accept(self) -> None:
        """Accept the slice shown and go on to the least certain one left."""
        with self._status.problems():
            index = self._workplace.shown
            if index is None or not self._workplace.session.accept(self._workplace.view_axis.axis, index):
                self._status.warn(_("The slice shown has nothing to accept."))
                return
            self._refresh_all()
            waiting = [row.index for row in self._rows if not row.reviewed]
            if waiting:
                self._workplace.show(waiting[0])
            self._status.say(_("Slice {index} accepted.").format(index=index))

    def accept_all(self) -> None:
        """Accept every slice that is certain enough."""
        with self._status.problems():
            percent = self._parameters.acceptAbove
            count = self._workplace.session.accept_above(percent / 100)
            self._status.say(
                _("{count} slices accepted, {percent} % or surer.").format(count=count, percent=percent)
            )
            self._refresh_all()

    def go_to_suggestion(self) -> None:
        """Show the slice whose drawing would help most."""
        with self._status.problems():
            suggestion = suggested_slice(self._workplace.session)
            if suggestion is not None and suggestion[0] == self._workplace.view_axis.axis:
                self._workplace.show(suggestion[1])

    def refresh(self, ledger: SliceLedger) -> None:
        """Show what waits for review."""
        axis = self._workplace.view_axis.axis
        self._rows = review_rows(ledger, axis) if self._workplace.is_open else []
        self._table.fill_with_review(self._rows)
        waiting = sum(not row.reviewed for row in self._rows)
        self._ui.reviewSection.text = (
            _("5. Review: {count} slices not reviewed").format(count=waiting) if waiting else _("5. Review")
        )
        self._ui.acceptAllButton.enabled = waiting > 0
        self._refresh_suggestion(axis)
        self._refresh_uncertainty()
        self.refresh_shown(ledger)

    def refresh_shown(self, ledger: SliceLedger) -> None:
        """Follow the view: outline what is unreviewed there and say so."""
        self._table.select(self._workplace.shown)
        unreviewed = self._workplace.show_review_state(ledger)
        self._ui.acceptButton.enabled = bool(unreviewed)
        if unreviewed:
            node = self._workplace.session.segmentation_node
            names = ", ".join(segment_name(node, segment) for segment in unreviewed)
            self._ui.reviewLabel.text = _("Slice {index} is not reviewed. Outlined only: {names}.").format(
                index=self._workplace.shown, names=names
            )
        else:
            self._ui.reviewLabel.text = ""
        self._ui.reviewLabel.visible = bool(unreviewed)

    def _refresh_suggestion(self, axis: int) -> None:
        suggestion = suggested_slice(self._workplace.session) if self._workplace.is_open else None
        here = suggestion is not None and suggestion[0] == axis
        self._ui.suggestButton.enabled = here
        self._ui.suggestButton.text = (
            _("Go to slice {index}: drawing it helps most").format(index=suggestion[1])
            if here
            else _("Go to the slice to draw next")
        )

    def _refresh_uncertainty(self) -> None:
        if self._workplace.is_open and self._parameters is not None:
            wanted = self._parameters.showUncertainty and bool(self._rows)
            show_uncertainty(self._workplace.session.segmentation_node, wanted)
