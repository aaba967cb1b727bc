"""Choose the way of filling that was asked for, on the device that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from pgt.errors import DeviceError
from pgt.propagation.filling import Filler, ShapeFiller


@dataclass(frozen=True)
class FillerChoice:
    """A filler, and what to say of it: the model's name, the device, and a key that tells it from others."""

    filler: Filler
    model: str
    device: str
    key: str


def choose_filler(method: str, model: str, device: str) -> FillerChoice:
    """The filler for a method.

    Raises:
        CheckpointError: the model cannot be loaded.
        DeviceError: there is no CUDA device though one was asked for.
    """
    if method in ("shape", "contour"):
        return FillerChoice(ShapeFiller(), "", "cpu", method)
    from pgt.propagation.checkpoints import load_model
    from pgt.propagation.network_filling import NetworkFiller

    place = choose_device(device)
    network = load_model(model, place)
    return FillerChoice(
        NetworkFiller(network, place, doubting=method == "auto"), model, place, f"{method} {model}"
    )


def choose_device(device: str) -> str:
    """``cuda`` where it is there and wanted, else ``cpu``."""
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise DeviceError("No CUDA GPU was found; choose the device cpu or auto.")
    return "cuda" if available and device != "cpu" else "cpu"
