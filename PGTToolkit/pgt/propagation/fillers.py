"""Choose the way of filling that was asked for, on the device that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pgt.errors import DeviceError
from pgt.propagation.filling import Filler, ShapeFiller

if TYPE_CHECKING:
    from pgt.propagation.propagator import Propagator


@dataclass(frozen=True)
class FillerChoice:
    """A filler, the model's name (empty without one), and a key that tells it from others."""

    filler: Filler
    model: str
    key: str


def choose_filler(method: str, model: str, device: str) -> FillerChoice:
    """The filler for a method.

    Raises:
        CheckpointError: the model cannot be loaded.
        DeviceError: there is no CUDA device though one was asked for.
    """
    if method in ("shape", "contour"):
        return FillerChoice(ShapeFiller(), "", method)
    from pgt.propagation.checkpoints import weights_path
    from pgt.propagation.network_filling import NetworkFiller

    place = choose_device(device)
    path = weights_path(model)
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    filler = NetworkFiller(_loaded(path, changed).to(place), place, doubting=method == "auto")
    return FillerChoice(filler, model, f"{method} {path} {changed}")


@lru_cache(maxsize=1)
def _loaded(path: Path, changed: int) -> Propagator:
    """The network of a weights file, kept for the next propagation; ``changed`` is the file's time stamp."""
    from pgt.propagation.checkpoints import load_model

    return load_model(path)


def choose_device(device: str) -> str:
    """``cuda`` where it is there and wanted, else ``cpu``."""
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise DeviceError("No CUDA GPU was found; choose the device cpu or auto.")
    return "cuda" if available and device != "cpu" else "cpu"
