"""Model: which style model, and what its card says."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import qt
from slicer.i18n import tr as _

from pgt.styles.model_card import ModelCard, read_card
from PGTToolkitLib.panels.job_progress import duration
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.styles_desk import StylesDesk
from PGTToolkitLib.shipped_models import shipped_style_models


class ModelSection:
    """Owns the widgets of the first section."""

    def __init__(
        self, ui: SimpleNamespace, desk: StylesDesk, status: StatusLine, opened: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._opened = opened
        self._shipped: tuple[Path, ...] = shipped_style_models()
        ui.shippedBox.addItem(_("Shipped…"))
        ui.shippedBox.addItems([folder.name for folder in self._shipped])
        ui.shippedBox.visible = bool(self._shipped)
        ui.shippedBox.activated.connect(lambda *_args: self._open_shipped())
        ui.openModelButton.clicked.connect(lambda *_args: self._choose())

    def open(self, folder: Path) -> None:
        """Use the model in a folder."""
        with self._status.problems():
            read_card(folder)
            parameters = self._desk.parameters
            if str(folder) != parameters.modelFolder:
                self._desk.runner.forget_model()
                parameters.modelFolder = str(folder)
                parameters.styleName = parameters.styleLatent = parameters.compared = ""
            self._opened()

    def refresh(self) -> None:
        """Say what the model is."""
        self._ui.cardLabel.text = ""
        self._ui.openModelButton.enabled = self._ui.shippedBox.enabled = self._desk.is_open
        try:
            card = self._desk.card()
            self._ui.cardLabel.text = described(card) if card is not None else _("No model is open.")
        finally:
            self._ui.cardLabel.visible = bool(self._ui.cardLabel.text)

    def _choose(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(None, _("Open a style model"))
        if folder:
            self.open(Path(folder))

    def _open_shipped(self) -> None:
        number = self._ui.shippedBox.currentIndex - 1
        self._ui.shippedBox.currentIndex = 0
        if number >= 0:
            self.open(self._shipped[number])


def described(card: ModelCard) -> str:
    """A model in one line."""
    parts = [
        _("{count} cases").format(count=len(card.latents)),
        ", ".join(card.classes.values()),
        _("{count} named styles").format(count=len(card.styles)),
    ]
    seconds = card.training.get("seconds")
    if isinstance(seconds, int | float):
        parts.append(_("trained in {time}").format(time=duration(seconds)))
    return " · ".join(parts)
