"""The style models that come with the extension."""

from __future__ import annotations

from pathlib import Path

from pgt.errors import CheckpointError
from pgt.styles.model_card import read_card

_MODELS = Path(__file__).resolve().parent.parent / "Resources" / "Models"


def shipped_style_models(folder: Path = _MODELS) -> tuple[Path, ...]:
    """Folders of the style models that come along, by name; perhaps none."""
    return tuple(sorted(one for one in folder.glob("*") if one.is_dir() and _is_style_model(one)))


def _is_style_model(folder: Path) -> bool:
    try:
        read_card(folder)
    except CheckpointError:
        return False
    return True
