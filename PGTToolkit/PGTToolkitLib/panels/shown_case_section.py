"""The case in the views: both outlines, where raters disagree, and what an expert thinks of it."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.agreement.expert_ratings import BEST, WORST, ExpertRating
from pgt.agreement.results import PairScores
from pgt.annotation import AXIS_NAMES
from pgt.errors import InputError
from PGTToolkitLib.agreement_store import StoredAgreement, rate, ratings_of
from PGTToolkitLib.disagreement_overlay import (
    disagreement_label,
    disagreement_node,
    show_disagreement,
    store_disagreement,
)
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.status_line import StatusLine

_EXPERT_SETTING = "PGTToolkit/Expert"


class ShownCaseSection:
    """Owns the widgets at the foot of the fourth section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: AgreementDesk,
        status: StatusLine,
        begin: Callable[[Callable[[], None]], None],
    ) -> None:
        """Connect the widgets; ``begin`` starts a job and follows it."""
        self._ui = ui
        self._desk = desk
        self._status = status
        self._begin = begin
        ui.ratingBox.addItems([_rating_text(rating) for rating in range(WORST, BEST + 1)])
        ui.expertEdit.text = qt.QSettings().value(_EXPERT_SETTING) or ""
        ui.expertEdit.textChanged.connect(lambda *_args: self._identify())
        ui.rateButton.clicked.connect(lambda *_args: self.rate())
        ui.showAllButton.clicked.connect(lambda *_args: self.show_all())

    def show(self, pair: PairScores) -> None:
        """Bring a comparison into the views, its case first where it is only in files."""
        with self._status.problems():
            stored = self._desk.results()
            if stored is None:
                return
            listed = stored.table is not None
            if self._desk.view.is_at_hand(slicer.mrmlScene, pair, listed):
                self._show_now(pair, stored)
                return
            source = self._desk.source(pair.case)
            if source.table != stored.table:
                raise InputError(_("Open the case list that was compared to see its cases."))
            self._begin(lambda: self._desk.runner.open_cases(slicer.mrmlScene, source))
            self._desk.wanted = lambda: self.show(pair)

    def show_all(self) -> None:
        """Give the segmentations their own looks back."""
        self._desk.view.clear()
        self.refresh()

    def rate(self) -> None:
        """Keep what the expert thinks of the structure and case shown."""
        with self._status.problems():
            pair = self._seen()
            rating = self._ui.ratingBox.currentIndex + WORST
            expert = self._ui.expertEdit.text.strip()
            if not expert:
                raise InputError(_("Say who rates: enter your name or pseudonym as the expert."))
            rate(slicer.mrmlScene, ExpertRating(pair.case, pair.label, rating, expert))
            self._status.say(
                _("{label} in {case} rated {rating} by {expert}. It counts when you compare again.").format(
                    label=pair.label, case=pair.case, rating=rating, expert=expert
                )
            )
            self.refresh()

    def refresh(self) -> None:
        """Say what is shown, and allow what can be done with it."""
        seen = self._desk.view.seen
        self._ui.rateButton.enabled = self._ui.ratingBox.enabled = seen is not None
        self._ui.showAllButton.enabled = seen is not None
        self._ui.shownLabel.text = self._shown_text()
        self._ui.disagreementBox.enabled = self._desk.is_open and bool(
            self._desk.runner.disputed or disagreement_node(slicer.mrmlScene)
        )
        self._refresh_overlay()

    def _show_now(self, pair: PairScores, stored: StoredAgreement) -> None:
        self._desk.view.show(slicer.mrmlScene, pair, stored.renamed, stored.table is not None)
        self._show_known_rating(pair)
        self.refresh()

    def _seen(self) -> PairScores:
        seen = self._desk.view.seen
        if seen is None:
            raise InputError(_("Click a comparison first, to see what you rate."))
        return seen.pair

    def _shown_text(self) -> str:
        seen = self._desk.view.seen
        if seen is None:
            return _("Click a number to see its case, and the slice where the two readings differ most.")
        pair = seen.pair
        place = (
            _("they do not differ")
            if seen.index is None
            else _("slice {index} across {axis}").format(index=seen.index, axis=AXIS_NAMES[seen.axis])
        )
        text = _("{label} in {case}: {a} (blue) and {b} (orange), {place}.").format(
            label=pair.label, case=pair.case, a=pair.a, b=pair.b, place=place
        )
        mine = [
            one for one in ratings_of(slicer.mrmlScene) if (one.case, one.label) == (pair.case, pair.label)
        ]
        rated = ", ".join(f"{one.rating} ({one.expert})" for one in mine)
        return text + (" " + _("Rated {rated}.").format(rated=rated) if rated else "")

    def _show_known_rating(self, pair: PairScores) -> None:
        expert = self._ui.expertEdit.text.strip()
        for one in ratings_of(slicer.mrmlScene):
            if (one.case, one.label, one.expert) == (pair.case, pair.label, expert):
                self._ui.ratingBox.currentIndex = one.rating - WORST

    def _refresh_overlay(self) -> None:
        if not self._desk.is_open:
            return
        wanted = self._desk.parameters.showDisagreement
        disputed = self._desk.runner.disputed
        label = self._desk.parameters.label or next(iter(disputed), "")
        if wanted and label in disputed and disagreement_label(slicer.mrmlScene) != label:
            found = disputed[label]
            store_disagreement(slicer.mrmlScene, label, found.geometry, found.start, found.bits)
        show_disagreement(slicer.mrmlScene, wanted)

    def _identify(self) -> None:
        qt.QSettings().setValue(_EXPERT_SETTING, self._ui.expertEdit.text.strip())


def _rating_text(rating: int) -> str:
    if rating == WORST:
        return _("{rating}: useless").format(rating=rating)
    return _("{rating}: perfect").format(rating=rating) if rating == BEST else str(rating)
