"""Whether a folder holds an export already, for a host that shows it before anything is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pgt.export.manifest import MANIFEST, SCHEMA


@dataclass(frozen=True)
class FoundExport:
    """An export that is in a folder.

    Args:
        complete: whether it was finished; else it was cut off and can go on.
        cases: how many cases it holds, or will hold.
    """

    complete: bool
    cases: int


def export_in(folder: Path) -> FoundExport | None:
    """The export in a folder; None where there is none, or one that cannot be read."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            return None
        return FoundExport(bool(content["complete"]), len(content["plan"]["cases"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
