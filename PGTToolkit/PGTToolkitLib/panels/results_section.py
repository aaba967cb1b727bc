"""Results: the numbers as tables and plots, and the way from each number to its case."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.agreement.metrics import metric
from pgt.agreement.readings import Sitting
from pgt.agreement.results import Agreement, BlandAltman, PairKind, PairScores
from pgt.errors import InputError
from PGTToolkitLib.agreement_charts import (
    band_chart,
    bland_altman_chart,
    case_of_point,
    cases_chart,
    show_chart,
    titled,
)
from PGTToolkitLib.agreement_rows import (
    advised,
    band_of,
    coefficient_text,
    estimate_text,
    expert_correlation,
    metrics_of,
    summary_of,
    worst_case,
)
from PGTToolkitLib.panels.agreement_desk import AgreementDesk
from PGTToolkitLib.panels.plot_points import PlotPoints
from PGTToolkitLib.panels.result_tables import MatrixTable, PairsTable
from PGTToolkitLib.panels.status_line import StatusLine


class ResultsSection:
    """Owns the tables and plots of the fourth section."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: AgreementDesk,
        status: StatusLine,
        show: Callable[[PairScores], None],
    ) -> None:
        """Connect the widgets.

        Args:
            ui: the widgets by name.
            desk: what the sections share.
            status: where to tell.
            show: brings a comparison into the views.
        """
        self._ui = ui
        self._desk = desk
        self._status = status
        self._show = show
        self._agreement: Agreement | None = None
        self._labels: list[str] = []
        self._keys: list[str] = []
        self._chosen: tuple[Sitting, Sitting] | None = None
        self._filling = False
        self._matrix = MatrixTable(ui.matrixTable, self.choose)
        self._pairs = PairsTable(ui.pairsTable, show)
        self._points = PlotPoints(self.show_point)
        ui.labelBox.currentIndexChanged.connect(lambda *_args: self._choice_changed())
        ui.metricBox.currentIndexChanged.connect(lambda *_args: self._choice_changed())
        ui.bandPlotButton.clicked.connect(lambda *_args: self.plot_band())
        ui.blandAltmanButton.clicked.connect(lambda *_args: self.plot_volumes())
        ui.casesPlotButton.clicked.connect(lambda *_args: self.plot_cases())
        ui.copyButton.clicked.connect(lambda *_args: self.copy())

    def choose(self, a: Sitting, b: Sitting) -> None:
        """Take two readings for the plots, and show where they differ most."""
        self._chosen = (a, b)
        pair = worst_case(self._agreement, a, b, self._label, self._key)
        if pair is not None:
            self._show(pair)

    def show_point(self, series: slicer.vtkMRMLPlotSeriesNode, point: int) -> None:
        """Show the case that a point of a plot stands for."""
        with self._status.problems():
            case = case_of_point(series, point)
            found = [
                pair
                for pair in self._agreement.pairs
                if pair.case == case and self._label in ("", pair.label)
            ]
            between = [pair for pair in found if self._chosen and {pair.a, pair.b} == set(self._chosen)]
            if found:
                self._show((between or found)[0])

    def plot_band(self) -> None:
        """Plot both bounds and the models."""
        self._plot(lambda agreement: band_chart(slicer.mrmlScene, agreement, self._key))

    def plot_cases(self) -> None:
        """Plot every comparison of one label."""
        self._plot(lambda agreement: cases_chart(slicer.mrmlScene, agreement, self._one_label(), self._key))

    def plot_volumes(self) -> None:
        """Plot two readings' volumes of one label against each other."""
        self._plot(lambda agreement: bland_altman_chart(slicer.mrmlScene, self._volumes(agreement)))

    def copy(self) -> None:
        """Put the table of comparisons on the clipboard."""
        with self._status.problems():
            qt.QApplication.clipboard().setText(self._pairs.as_text())
            self._status.say(_("The table is on the clipboard."))

    def refresh(self) -> None:
        """Show the newest comparison."""
        stored = self._desk.results()
        self._agreement = stored.agreement if stored is not None else None
        self._fill_boxes()
        self._refresh_tables()
        there = self._agreement is not None
        for name in ("bandPlotButton", "blandAltmanButton", "casesPlotButton", "copyButton"):
            getattr(self._ui, name).enabled = there
        self._ui.labelBox.enabled = self._ui.metricBox.enabled = there
        self._ui.resultsSection.text = (
            _("4. Results: {pairs} comparisons").format(pairs=len(self._agreement.pairs))
            if there
            else _("4. Results")
        )

    @property
    def _label(self) -> str:
        """The label shown; empty for all."""
        index = self._ui.labelBox.currentIndex
        return self._labels[index] if 0 <= index < len(self._labels) else ""

    @property
    def _key(self) -> str:
        index = self._ui.metricBox.currentIndex
        return self._keys[index] if 0 <= index < len(self._keys) else ""

    def _one_label(self) -> str:
        return self._label or self._agreement.labels[0]

    def _volumes(self, agreement: Agreement) -> BlandAltman:
        of_label = [one for one in agreement.bland_altman if one.label == self._one_label()]
        if not of_label:
            raise InputError(_("There are no two readings whose volumes could be compared."))
        if self._chosen is None:
            return of_label[0]
        raters = {sitting.rater for sitting in self._chosen}
        found = [one for one in of_label if {one.a, one.b} == set(self._chosen)]
        found += [one for one in of_label if {one.a.rater, one.b.rater} == raters]
        if not found:
            a, b = self._chosen
            raise InputError(
                _("The volumes of {a} and {b} were not compared; choose two raters in the matrix.").format(
                    a=a, b=b
                )
            )
        return found[0]

    def _plot(self, draw: Callable[[Agreement], slicer.vtkMRMLPlotChartNode]) -> None:
        with self._status.problems():
            if self._agreement is None:
                raise InputError(_("Compare first."))
            show_chart(draw(self._agreement))
            self._points.listen()

    def _fill_boxes(self) -> None:
        agreement, parameters = self._agreement, self._desk.parameters
        labels = ["", *agreement.labels] if agreement is not None else []
        described = metrics_of(agreement) if agreement is not None else ()
        keys = [one.key for one in described]
        self._filling = True
        if labels != self._labels:
            self._labels = labels
            self._ui.labelBox.clear()
            self._ui.labelBox.addItems([label or _("All structures") for label in labels])
        if keys != self._keys:
            self._keys = keys
            self._ui.metricBox.clear()
            self._ui.metricBox.addItems([titled(one) for one in described])
        if parameters is not None and agreement is not None:
            self._ui.labelBox.currentIndex = (
                labels.index(parameters.label) if parameters.label in labels else 0
            )
            self._ui.metricBox.currentIndex = (
                keys.index(parameters.metric) if parameters.metric in keys else 0
            )
        self._filling = False

    def _choice_changed(self) -> None:
        if self._filling or not self._desk.is_open:
            return
        self._desk.parameters.label = self._label
        self._desk.parameters.metric = self._key
        with self._status.problems():
            self._refresh_tables()

    def _refresh_tables(self) -> None:
        self._matrix.fill(self._agreement, self._label, self._key)
        self._pairs.fill(self._agreement, self._label)
        self._ui.summaryLabel.text = self._summary()
        self._ui.summaryLabel.visible = bool(self._ui.summaryLabel.text)

    def _summary(self) -> str:
        """What one label and metric come to, in a few lines."""
        agreement = self._agreement
        if agreement is None or not self._label or not self._key:
            return ""
        described = metric(self._key)
        names = {
            PairKind.INTER: _("Between raters"),
            PairKind.INTRA: _("Within raters"),
            PairKind.REFERENCE: _("Against the reference"),
        }
        lines = []
        for kind, name in names.items():
            found = summary_of(agreement, self._label, self._key, kind)
            if found is not None:
                lines.append(f"{name}: {estimate_text(described, found)}")
        band = band_of(agreement, self._label, self._key)
        if band is not None:
            lines += [
                _("{name}: {verdict} the band (below {below:.0%}, inside {inside:.0%}, beyond {beyond:.0%})")
                .format(
                    name=one.name, verdict=one.verdict, below=one.below, inside=one.inside, beyond=one.beyond
                )
                for one in band.placements
            ]  # fmt: skip
            lines.append(band.note)
        followed = expert_correlation(agreement, self._label, self._key)
        if followed is not None:
            lines.append(
                _("Spearman’s correlation with the experts’ ratings: {number}").format(
                    number=coefficient_text(followed)
                )
            )
        lines += [one.note for one in agreement.outliers if one.label == self._label]
        suiting = ", ".join(titled(one) for one in advised(agreement, self._label))
        if suiting:
            lines.append(
                _("Metrics that suit it: {metrics}; why stands in the report.").format(metrics=suiting)
            )
        return "\n".join(lines)
