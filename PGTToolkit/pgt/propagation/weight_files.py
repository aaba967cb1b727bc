"""Read weights from a file that may come from anyone, and write them as safetensors.

A ``.pth`` file is a pickle, which can hold code. It is read by torch's restricted unpickler, which makes
tensors and plain containers and nothing else; whatever asks for more is refused.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pgt.errors import CheckpointError

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
_WRAPPERS = ("averaged", "model", "network", "state_dict")
"""Entries that training scripts put weights under; averaged ones are preferred."""


@dataclass(frozen=True)
class WeightFile:
    """Tensors by name, and the network's configuration where the file tells it."""

    tensors: dict[str, Tensor]
    configuration: Mapping[str, Any] | None = None


def read_weights(path: Path) -> WeightFile:
    """Read the tensors of a safetensors or torch file, without running anything in it.

    Prefixes of data-parallel training and batch counters are dropped; floating-point tensors become float32.

    Raises:
        CheckpointError: the file is missing, empty, damaged or cut short, holds code, or holds no tensors.
    """
    start = _first_bytes(path)
    # First, since safetensors begin with the length of their header, whose first byte may be a pickle's.
    if start[8:9] == b"{":
        return _read_safetensors(path)
    if start.startswith(_ZIP_MAGIC) or start.startswith(_PICKLE_MAGIC):
        return WeightFile(_cleaned(path, _tensors_within(_read_pickle(path))))
    # Tar archives end here as well: before torch 2.6 the restriction did not hold for them.
    raise CheckpointError(f"{path} is not a model file: neither safetensors nor saved by PyTorch.")


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], architecture: str, configuration: Mapping[str, Any]
) -> None:
    """Write safetensors that say which network they belong to. Raises OSError."""
    metadata = {"architecture": architecture, "configuration": json.dumps(configuration)}
    separate = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(separate, path, metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    if not start:
        raise CheckpointError(f"{path} is empty.")
    return start


def _read_safetensors(path: Path) -> WeightFile:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        configuration = json.loads(metadata["configuration"]) if "configuration" in metadata else None
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or cut short ({error}).") from error
    return WeightFile(_cleaned(path, tensors), configuration)


def _read_pickle(path: Path) -> object:
    # An open file, not its name: torch chooses another reader for some names.
    try:
        with _numpy_numbers_allowed(), warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"(?:GLOBAL|global|class|function) ([\w.]+\.\w+)", str(error))
        found = f"code ({asked[1]})" if asked else "more than weights, perhaps code"
        raise CheckpointError(f"{path} holds {found}; it was refused and nothing of it was run.") from error
    except Exception as error:  # whatever a damaged archive makes the reader stumble over
        raise CheckpointError(f"{path} is damaged or cut short, or was not saved by PyTorch.") from error


@contextlib.contextmanager
def _numpy_numbers_allowed() -> Iterator[None]:
    """Let numpy scalars pass: training scripts save their best score as one beside the weights."""
    import numpy as np

    scalar: Any = np.float64(0).__reduce__()[0]
    harmless = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype]
    harmless += [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        # Before torch 2.6 exceptions to the restriction could not be named one by one.
        yield
        return
    with torch.serialization.safe_globals(harmless):
        yield


def _tensors_within(content: object) -> dict[str, Tensor]:
    """The state dict in what was saved: itself, or under one of the usual entries."""
    if not isinstance(content, Mapping):
        return {}
    for wrapper in _WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping) and any(isinstance(value, Tensor) for value in inner.values()):
            content = inner
            break
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _cleaned(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    if not kept:
        raise CheckpointError(f"{path} holds no weights.")
    while all(name.startswith("module.") for name in kept):
        kept = {name.removeprefix("module."): tensor for name, tensor in kept.items()}
    for name, tensor in kept.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path} holds numbers that are not finite, in {name}.")
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in kept.items()}
