"""The checkpoint of a training: one safetensors file, whole or absent, read back only by its own training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pgt.errors import CheckpointError, OutputError
from pgt.output_files import whole_file
from pgt.reference.model_folder import CHECKPOINT
from pgt.reference.settings import ReferenceSettings

_NETWORK, _OPTIMIZER = "network/", "optimizer/"


@dataclass(frozen=True)
class TrainingIdentity:
    """What cannot change in the course of a training.

    Args:
        settings: how it trains.
        model: the card's description.
        cases: `pgt.reference.cases.fingerprint` of its cases.
    """

    settings: ReferenceSettings
    model: Mapping[str, Any]
    cases: str

    def describe(self) -> dict[str, Any]:
        """As plain data, settings that may change left out."""
        settings = {
            name: value for name, value in asdict(self.settings).items() if name not in self.settings.LATER
        }
        plain: dict[str, Any] = json.loads(
            json.dumps({"settings": settings, "model": dict(self.model), "cases": self.cases})
        )
        return plain


def write_state(
    folder: Path,
    identity: TrainingIdentity,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    """Write a checkpoint after ``step`` steps. Raises OutputError."""
    tensors = {_NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    for number, entries in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{number}/{name}": tensor for name, tensor in entries.items()}
    apart = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    said = {"identity": identity.describe(), "step": step, "seconds": seconds}
    path = folder / CHECKPOINT
    with whole_file(path, overwrite=True) as beside:
        try:
            save_file(apart, beside, {"training": json.dumps(said)})
        except SafetensorError as error:
            raise OutputError(f"{path} cannot be written: {error}.") from error


def read_state(
    folder: Path, identity: TrainingIdentity, network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """Put the checkpoint in a folder, where there is one, into network and optimizer.

    Returns:
        Steps and seconds of training so far; both 0 where there is no checkpoint.

    Raises:
        CheckpointError: it is damaged, or of a training with other cases, model or settings.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0, 0.0
    said, tensors = _read(path)
    began, now = said["identity"], identity.describe()
    if began["cases"] != now["cases"]:
        raise CheckpointError(f"{path} belongs to a training on other cases; choose another folder.")
    for name, value in now["settings"].items():
        if began["settings"].get(name) != value:
            raise CheckpointError(
                f"{path} belongs to a training with {name} {began['settings'].get(name)}, not {value}."
            )
    if began["model"] != now["model"]:
        raise CheckpointError(f"{path} belongs to a model of another kind; choose another folder.")
    try:
        network.load_state_dict(_under(tensors, _NETWORK))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(tensors, _OPTIMIZER).items():
            number, entry = name.split("/")
            state.setdefault(int(number), {})[entry] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is no checkpoint of this training.") from error
    return int(said["step"]), float(said["seconds"])


def read_settings(folder: Path) -> dict[str, Any]:
    """With what settings the training in a folder was begun.

    Raises:
        CheckpointError: there is no checkpoint, or a damaged one.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        raise CheckpointError(f"{folder} holds no training that could go on: {CHECKPOINT} is missing.")
    settings: dict[str, Any] = _read(path)[0]["identity"]["settings"]
    return settings


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {})["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if not {"identity", "step", "seconds"} <= set(said):
            raise KeyError("training")
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint of a reference training.") from error
    return said, tensors


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
