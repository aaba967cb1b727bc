"""The style model that a worker used last, kept in memory: loading the published size takes seconds."""

from __future__ import annotations

from pathlib import Path

from pgt.styles.model_folder import WEIGHTS
from pgt.styles.style_model import StyleModel

_Key = tuple[str, int, int]

_warm: dict[_Key, StyleModel] = {}


def warm_model(folder: Path) -> StyleModel:
    """The model in a folder; read again only where its weights were written anew.

    The names of styles may have changed since: take them from `pgt.styles.model_card`.

    Raises:
        CheckpointError: the folder holds no style model, or a damaged one.
    """
    key = _key(folder)
    if key not in _warm:
        _warm.clear()  # two published models at once would take 1.4 GB
        _warm[key] = StyleModel.load(folder)
    return _warm[key]


def _key(folder: Path) -> _Key:
    try:
        state = (folder / WEIGHTS).stat()
    except OSError:
        return (str(folder), 0, 0)  # loading says what is missing
    return (str(folder.resolve()), state.st_mtime_ns, state.st_size)
