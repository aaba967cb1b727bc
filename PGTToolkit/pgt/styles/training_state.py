"""The checkpoint of a training: written whole or not at all, read back only into the training it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from pgt.errors import CheckpointError
from pgt.output_files import whole_file
from pgt.styles.model_folder import CHECKPOINT
from pgt.styles.training_settings import StyleTrainingSettings


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint. Raises OutputError."""
    with whole_file(folder / CHECKPOINT, overwrite=True) as beside:
        torch.save(dict(state), beside)


def read_state(folder: Path, fresh: Mapping[str, Any]) -> dict[str, Any] | None:
    """The checkpoint in a folder; None where there is none.

    Args:
        folder: of the training.
        fresh: the state that this training would begin with; what cannot change in its course must be equal.

    Raises:
        CheckpointError: the checkpoint is damaged or of a training with other cases, model or settings.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    state = _read(path)
    try:
        for what, words in (("cases", "cases"), ("model", "a model of another kind")):
            if state[what] != fresh[what]:
                raise CheckpointError(
                    f"{path} belongs to a training on other {words}; choose another folder."
                )
        for name, value in fresh["settings"].items():
            if name not in StyleTrainingSettings.LATER and state["settings"][name] != value:
                raise CheckpointError(
                    f"{path} belongs to a training with {name} {state['settings'][name]}, not {value}."
                )
        missing = set(fresh) - set(state)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of a style training.") from error
    if missing:
        raise CheckpointError(f"{path} is no checkpoint of a style training.")
    return state


def read_settings(folder: Path) -> StyleTrainingSettings:
    """How the training in a folder was begun.

    Raises:
        CheckpointError: there is no checkpoint, or a damaged one.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        raise CheckpointError(f"{folder} holds no training that could go on: {CHECKPOINT} is missing.")
    known = {field.name for field in fields(StyleTrainingSettings)}
    try:
        settings = dict(_read(path)["settings"])
        return StyleTrainingSettings(**{name: value for name, value in settings.items() if name in known})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is no checkpoint of a style training.") from error


def read_architecture(folder: Path) -> dict[str, Any]:
    """What `StyleModel.architecture` said when the training in a folder was begun. Raises CheckpointError."""
    path = folder / CHECKPOINT
    state = _read(path)
    if not isinstance(state.get("model"), dict):
        raise CheckpointError(f"{path} is no checkpoint of a style training.")
    return dict(state["model"])


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged archive makes the reader stumble over
        raise CheckpointError(f"{path} is damaged or cut short, or was not saved by PyTorch.") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is no checkpoint of a style training.")
    return state
