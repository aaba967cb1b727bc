"""What ``model.json`` says of a style model, read without its weights; and the names that users give styles.

Needs no PyTorch, so a host can show a model, and name what is on its map, at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgt.errors import CheckpointError, InputError
from pgt.output_files import write_text
from pgt.styles.model_folder import CASES, CHECKPOINT, DESCRIPTION, WEIGHTS

Latent = tuple[float, ...]

MAIN = "main"
"""The style at the origin (HyperSORT, section 3)."""

_SCHEMA = "pgt-style-model"


@dataclass(frozen=True)
class ModelCard:
    """A style model as its description has it.

    Args:
        folder: where it lies.
        classes: name of every structure by its label value.
        dimensions: of a latent vector.
        latents: where each training case lies.
        styles: latent vectors that somebody named.
        training: how it was trained.
    """

    folder: Path
    classes: Mapping[int, str]
    dimensions: int
    latents: Mapping[str, Latent]
    styles: Mapping[str, Latent]
    training: Mapping[str, Any]

    @property
    def main_style(self) -> Latent:
        """The origin."""
        return (0.0,) * self.dimensions

    @property
    def case_table(self) -> Path:
        """The table of the training cases; may be absent."""
        return self.folder / CASES


def read_card(folder: Path) -> ModelCard:
    """Read the description of a model.

    Raises:
        CheckpointError: the folder holds no style model, an unfinished or a damaged one.
    """
    if not (folder / WEIGHTS).exists():
        if (folder / CHECKPOINT).exists():
            raise CheckpointError(f"The training in {folder} has not finished; resume it.")
        raise CheckpointError(f"{folder} holds no style model: {WEIGHTS} is missing.")
    path = folder / DESCRIPTION
    content = _content(path)
    try:
        values, names = content["preparation"]["values"], content["class_names"]
        return ModelCard(
            folder,
            {int(value): str(name) for value, name in zip(values, names, strict=True)},
            int(content["hypernetwork"]["latent"]),
            {case: _latent(numbers) for case, numbers in content["latents"].items()},
            {name: _latent(numbers) for name, numbers in content["styles"].items()},
            dict(content["training"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no style model: {error!r}.") from error


def name_style(folder: Path, name: str, latent: Latent, instead_of: str = "") -> None:
    """Remember the name of a style with its model.

    Args:
        folder: of the model.
        name: what to call it.
        latent: where it lies on the map.
        instead_of: the name it had, which is forgotten.

    Raises:
        InputError: the name is empty, or belongs to another style.
        CheckpointError: the folder holds no style model.
        OutputError: the folder cannot be written.
    """
    card = read_card(folder)
    name = name.strip()
    if not name:
        raise InputError("A style needs a name.")
    if name == MAIN and latent != card.main_style:
        raise InputError(f"The name {MAIN} belongs to the style at the origin.")
    if name in card.styles and name != instead_of:
        raise InputError(f"The model has a style {name} already.")
    if _numbers(name):
        raise InputError(f"{name} would be taken for a point of the map; choose a name with letters.")
    content = _content(folder / DESCRIPTION)
    styles = {known: list(place) for known, place in card.styles.items() if known != instead_of}
    if name != MAIN:
        styles[name] = list(latent)
    content["styles"] = styles
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_text(folder / DESCRIPTION, text, overwrite=True)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
        raise CheckpointError(f"{path} describes no style model of PGT Toolkit.")
    return content


def _latent(numbers: list[float]) -> Latent:
    return tuple(float(number) for number in numbers)


def _numbers(text: str) -> bool:
    try:
        return bool([float(part) for part in text.split(",")])
    except ValueError:
        return False
