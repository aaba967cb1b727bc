"""What the sections of the Styles panel share: choices, the model's card, and the styles on its map."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _

from pgt.case_table import read_case_table
from pgt.errors import InputError
from pgt.styles.map_job import FoundMap
from pgt.styles.model_card import MAIN, Latent, ModelCard, name_style, read_card
from pgt.styles.model_folder import DESCRIPTION
from pgt.styles.segment_job import NamedStyle
from PGTToolkitLib.panels.styles_parameters import StylesParameters
from PGTToolkitLib.style_training import StyleTraining
from PGTToolkitLib.styles_runner import StylesRunner


@dataclass(frozen=True)
class StyleLine:
    """A style that can be chosen.

    Args:
        style: its name and place.
        cases: how many training cases are drawn so; None for one that no group of cases stands for.
        group: number of its group of cases, for its color; None without one.
        saved: whether the name lies with the model.
    """

    style: NamedStyle
    cases: int | None = None
    group: int | None = None
    saved: bool = False


class StylesDesk:
    """Reads the scene and the model's folder on demand."""

    def __init__(self, runner: StylesRunner, training: StyleTraining) -> None:
        self.runner = runner
        self.training = training
        self.parameters: StylesParameters | None = None
        self._card: ModelCard | None = None
        self._card_state: tuple[str, int] = ("", 0)
        self._columns: dict[str, dict[str, str]] = {}
        self._columns_state: tuple[str, int] = ("", 0)

    @property
    def is_open(self) -> bool:
        """Whether there is a scene to work in."""
        return self.parameters is not None

    @property
    def device(self) -> str:
        """Where to compute."""
        return str(self.parameters.device.value)

    @property
    def model_folder(self) -> Path | None:
        """Where the chosen model lies; None without one."""
        return Path(self.parameters.modelFolder) if self.is_open and self.parameters.modelFolder else None

    def card(self) -> ModelCard | None:
        """The chosen model's description; None without a model. Raises CheckpointError."""
        folder = self.model_folder
        if folder is None:
            return None
        description = folder / DESCRIPTION
        state = (str(folder), description.stat().st_mtime_ns if description.exists() else 0)
        if self._card is None or state != self._card_state:
            self._card, self._card_state = None, state
            self._card = read_card(folder)
        return self._card

    def model(self) -> ModelCard:
        """The chosen model's description. Raises InputError without a model."""
        card = self.card()
        if card is None:
            raise InputError(_("Choose a style model first."))
        return card

    def map(self) -> FoundMap | None:
        """The map of the chosen model; None before it was read."""
        found = self.runner.map
        return found if found is not None and found.folder == self.model_folder else None

    def lines(self) -> list[StyleLine]:
        """Every style that can be chosen: the map's groups, what else has a name, and the current one."""
        card = self.card()
        if card is None:
            return []
        lines = []
        found = self.map()
        for number, group in enumerate(found.clusters if found is not None else ()):
            latent = card.styles.get(group.name, group.centre)
            style = NamedStyle(group.name, latent)
            lines.append(StyleLine(style, len(group.cases), number, group.name in card.styles))
        taken = {line.style.name for line in lines}
        if found is None:
            lines.insert(0, StyleLine(NamedStyle(MAIN, card.main_style)))
            taken.add(MAIN)
        lines += [
            StyleLine(NamedStyle(name, latent), saved=True)
            for name, latent in card.styles.items()
            if name not in taken
        ]
        current = self.style()
        if all(line.style.latent != current.latent for line in lines):
            lines.append(StyleLine(current))
        return lines

    def columns(self) -> dict[str, dict[str, str]]:
        """What the table of the model's training cases says beside their files: by column, then by case."""
        card = self.card()
        if card is None or not card.case_table.exists():
            return {}
        state = (str(card.case_table), card.case_table.stat().st_mtime_ns)
        if state != self._columns_state:
            self._columns, self._columns_state = {}, state
            rows = read_case_table(card.case_table)
            names = dict.fromkeys(name for row in rows for name in row.others)
            self._columns = {name: {row.case: row.others.get(name, "") for row in rows} for name in names}
        return self._columns

    def style(self) -> NamedStyle:
        """The current style: the main one until another is chosen. Raises InputError without a model."""
        card = self.model()
        text = self.parameters.styleLatent
        if not text:
            return NamedStyle(self.parameters.styleName or MAIN, card.main_style)
        latent = _latent_from(text)
        if len(latent) != card.dimensions:
            return NamedStyle(MAIN, card.main_style)
        return NamedStyle(self.parameters.styleName or point_name(latent), latent)

    def choose(self, style: NamedStyle) -> None:
        """Take a style as the current one."""
        self.parameters.styleName = style.name
        self.parameters.styleLatent = ",".join(repr(number) for number in style.latent)

    def choose_point(self, x: float, y: float) -> None:
        """Take any point of the map as the current style; dimensions beyond the second are 0."""
        card = self.model()
        latent = (x, y, *card.main_style[2:])[: card.dimensions]
        self.choose(NamedStyle(point_name(latent), latent))

    def compared(self) -> tuple[str, ...]:
        """Names of the styles that are ticked."""
        return tuple(self.parameters.compared.splitlines()) if self.is_open else ()

    def rename(self, line: StyleLine, name: str) -> None:
        """Give a style another name, and remember it with the model.

        Raises:
            InputError: the name is empty or taken.
            OutputError: the model's folder cannot be written.
        """
        before, name = line.style, name.strip()
        if name == before.name:
            return
        if any(other.style.name == name for other in self.lines()):
            raise InputError(_("There is a style {name} already.").format(name=name))
        name_style(self.model().folder, name, before.latent, before.name if line.saved else "")
        found = self.map()
        if found is not None and line.group is not None:
            groups = [
                replace(group, name=name) if number == line.group else group
                for number, group in enumerate(found.clusters)
            ]
            self.runner.map = replace(found, clusters=tuple(groups))
        ticked = [name if other == before.name else other for other in self.compared()]
        self.parameters.compared = "\n".join(ticked)
        if self.style().latent == before.latent:
            self.parameters.styleName = name

    def group_of(self) -> Mapping[str, int]:
        """Number of the group of each case that is in one."""
        found = self.map()
        groups = found.clusters if found is not None else ()
        return {case: number for number, group in enumerate(groups) for case in group.cases}


def point_name(latent: Latent) -> str:
    """What a point of the map is called that has no name."""
    return "(" + ", ".join(f"{number:.2f}" for number in latent) + ")"


def _latent_from(text: str) -> Latent:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(_("The style in the scene cannot be read.")) from error
