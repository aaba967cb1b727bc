"""What ``model.json`` says of a reference model, read without its weights; needs no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgt.errors import CheckpointError
from pgt.propagation.windowing import Modality
from pgt.reference.model_folder import CHECKPOINT, DEEPLAB, DESCRIPTION, TRANSUNET
from pgt.reference.settings import Size
from pgt.reference.slices import Plane

SCHEMA = "pgt-reference-model"
VERSION = 1
SPACING = "native"
"""Slices keep their own pixels; nothing is resampled (FLARE22, section 2.1)."""


@dataclass(frozen=True)
class ReferenceCard:
    """A reference model without its weights.

    Args:
        values: label value of every class, background excepted, in the order of the networks' channels.
        names: of the same classes.
        plane: which way volumes are cut.
        modality: which windows the three channels show.
        size: of the networks.
        training: how it was trained.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    plane: Plane
    modality: Modality = "auto"
    size: Size = "published"
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """Channels of the networks: background first."""
        return 1 + len(self.values)

    def describe(self) -> dict[str, Any]:
        """What ``model.json`` holds."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "classes": [
                {"value": value, "name": name} for value, name in zip(self.values, self.names, strict=True)
            ],
            "plane": self.plane,
            "modality": self.modality,
            "size": self.size,
            "spacing": SPACING,
            "training": dict(self.training),
        }


def read_card(folder: Path) -> ReferenceCard:
    """Read the description of a model.

    Raises:
        CheckpointError: the folder holds no reference model, an unfinished or a damaged one, or one of a
            later version.
    """
    if not all((folder / name).exists() for name in (DESCRIPTION, TRANSUNET, DEEPLAB)):
        if (folder / CHECKPOINT).exists():
            raise CheckpointError(
                f"The training in {folder} has not finished; go on with pgt reference train --resume."
            )
        raise CheckpointError(f"{folder} holds no reference model: {DESCRIPTION} or its weights are missing.")
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise CheckpointError(f"{path} describes no reference model of PGT Toolkit.")
    if content.get("version") != VERSION:
        raise CheckpointError(f"{path} has version {content.get('version')}; this reads version {VERSION}.")
    try:
        return _card(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no reference model: {error!r}.") from error


def _card(content: Mapping[str, Any]) -> ReferenceCard:
    planes: dict[str, Plane] = {"sagittal": "sagittal", "coronal": "coronal", "axial": "axial"}
    modalities: dict[str, Modality] = {"auto": "auto", "ct": "ct", "mr": "mr"}
    sizes: dict[str, Size] = {"published": "published", "small": "small"}
    values = tuple(int(one["value"]) for one in content["classes"])
    if not values or min(values) < 1 or len(set(values)) < len(values):
        raise ValueError(f"label values {values}")
    return ReferenceCard(
        values,
        tuple(str(one["name"]) for one in content["classes"]),
        planes[content["plane"]],
        modalities[content["modality"]],
        sizes[content["size"]],
        dict(content["training"]),
    )
