"""Filter and formats: which cases go, as what, and what will not work."""

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace

from slicer.i18n import tr as _

from pgt.export.export_settings import ExportFormat
from PGTToolkitLib.panels.export_desk import CaseLine, ExportDesk

_WARNING_STYLE = "color: #b3541e;"
_MOST_NAMED = 3


class ExportFilterSection:
    """Owns the widgets of the second and third section."""

    def __init__(self, ui: SimpleNamespace, desk: ExportDesk) -> None:
        self._ui = ui
        self._desk = desk

    def refresh(self, lines: Sequence[CaseLine]) -> None:
        """Say which cases go, and allow the options that have a meaning."""
        ui, chosen = self._ui, self._desk.parameters
        gone = [line for line in lines if not line.left_out]
        ui.filterSection.text = (
            _("2. Filter: {count} of {all} cases go").format(count=len(gone), all=len(lines))
            if lines
            else _("2. Filter")
        )
        _show(ui.filterLabel, left_out_in_words(lines))
        ui.agreementSpin.enabled = chosen is not None and chosen.byAgreement
        formats = self._desk.formats() if chosen is not None else ()
        ui.formatsSection.text = (
            _("3. Formats: {count}").format(count=len(formats)) if formats else _("3. Formats")
        )
        nnunet, label_map = ExportFormat.NNUNET in formats, any(one.is_label_map for one in formats)
        for widget in (ui.datasetNumberSpin, ui.datasetNameEdit):
            widget.enabled = nnunet or (widget is ui.datasetNameEdit and ExportFormat.MONAI in formats)
        ui.channelEdit.enabled = any(one.needs_image for one in formats)
        ui.ignoreBox.enabled = label_map
        ui.separateBox.enabled = ExportFormat.NIFTI in formats and not any(one.needs_image for one in formats)
        text, alarming = series_in_words(gone, ExportFormat.DICOM_SEG in formats)
        _show(ui.dicomLabel, text, _WARNING_STYLE if alarming else "")
        _show(ui.identifiersLabel, *_identifiers(chosen is not None and chosen.identifiers))


def left_out_in_words(lines: Sequence[CaseLine]) -> str:
    """How many cases each criterion keeps out; empty without any."""
    counts = Counter(word for line in lines for word in line.kept_out_by)
    told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return _("Left out: {reasons}.").format(reasons=told) if told else ""


def series_in_words(lines: Sequence[CaseLine], wanted: bool) -> tuple[str, bool]:
    """How many of the cases that go know their DICOM series, and whether that stops the export."""
    if not lines:
        return "", False
    without = [line.state.case for line in lines if line.state.series is None]
    if not without:
        return _("All cases know their DICOM series."), False
    text = _("{count} of {all} cases know their DICOM series").format(
        count=len(lines) - len(without), all=len(lines)
    )
    if not wanted:
        return text + ".", False
    named = ", ".join(without[:_MOST_NAMED]) + (" …" if len(without) > _MOST_NAMED else "")
    return text + _("; not {cases}.").format(cases=named), True


def _identifiers(given: bool) -> tuple[str, str]:
    if given:
        text = _(
            "Patient, study and file identifiers of the sources are written as well: keep the files safe."
        )
        return text, _WARNING_STYLE
    text = _(
        "Beside every label lies a record of how it came about. Nothing names a patient or study; raters "
        "appear as they signed."
    )
    return text, ""


def _show(label, text: str, style: str = "") -> None:
    label.text = text
    label.styleSheet = style
    label.visible = bool(text)
