"""What is known of a model: written as ``card.json`` beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pgt.errors import CheckpointError

UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True)
class ModelCard:
    """One model. ``sha256`` is of the weights file, ``date`` is ISO 8601 in UTC.

    ``source`` names the file that the model was made from, without its folder. ``details`` holds whatever
    else a card says: training data, hours, figures.
    """

    name: str
    architecture: str
    parameters: int
    sha256: str
    source: str
    date: str
    licence: str = UNKNOWN_LICENCE
    layout: str = ""
    """Which publication's names and shapes the source followed; empty for a model made by this project."""
    details: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write as JSON, ``details`` beside the other entries."""
        entries = asdict(self)
        entries.update(entries.pop("details"))
        path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Read a card.

        Raises:
            CheckpointError: the card is missing, is no JSON object, or lacks an entry.
        """
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            known = {name: entries.pop(name) for name in cls.__dataclass_fields__ if name in entries}
            return cls(**known, details=entries)
        except OSError as error:
            raise CheckpointError(
                f"{path} cannot be read: {(error.strerror or str(error)).lower()}."
            ) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise CheckpointError(f"{path} is not a model card, or is damaged.") from error
