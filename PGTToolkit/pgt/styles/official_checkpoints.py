"""Models trained by the official code of HyperSORT, brought into the form that everything here reads.

The official code writes ``model_w.pt``, the state dict of its ``HyperModel``, and ``latent_dict.pt``, latent
vectors by the row of its data list. Neither says how images were prepared: that stood in the pipeline of a
vendor's toolkit, so spacing, orientation and intensities are taken from the published configuration unless
they are given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pgt.errors import CheckpointError, InputError
from pgt.geometry import Geometry, Shape, Vector
from pgt.propagation.weight_files import read_weights
from pgt.styles.hypernetwork import HyperNetworkShape
from pgt.styles.preparation import Preparation
from pgt.styles.style_model import Latent, StyleModel
from pgt.styles.unet import UNetShape
from pgt.volume import Segment

_TRUNK = re.compile(r"hypernetwork\.(\d+)\.0\.weight")
_HEAD = re.compile(r"heads\.([^.]+)\.(?:weight|bias)")
_KERNEL = 3**3


@dataclass(frozen=True)
class OfficialPreparation:
    """What the official files do not say.

    Args:
        spacing: of the network's voxels in mm along the axes of `orientation`.
        orientation: the directions that the axes of the network's tensors run towards. The published
            pipeline turns images into the toolkit's own axes (left, posterior, superior), the last first.
        patch: the window it was trained with, in voxels.
        class_names: of the classes in the order of their channels, background left out; numbered by default.
    """

    spacing: Vector = (2.0, 2.0, 2.0)
    orientation: str = "SPL"
    patch: Shape = (168, 168, 168)
    class_names: tuple[str, ...] = ()


def import_official(
    weights: Path,
    latents: Path | None = None,
    data_list: Path | None = None,
    prepared: OfficialPreparation | None = None,
) -> StyleModel:
    """Read a model of the official code; nothing in its files is run.

    Args:
        weights: ``model_w.pt``.
        latents: ``latent_dict.pt``, for the map.
        data_list: the list of files that it was trained on, which gives the cases names; else they are
            called by their row, from 0.
        prepared: how its images were prepared.

    Raises:
        CheckpointError: a file is missing, damaged, holds code, or is of another kind of network.
        InputError: data list or preparation do not fit the model.
    """
    prepared = prepared or OfficialPreparation()
    tensors = read_weights(weights).tensors
    shape, unet = _hypernetwork_shape(weights, tensors), _unet_shape(weights, tensors)
    count = unet.classes - 1
    if prepared.class_names and len(prepared.class_names) != count:
        raise InputError(
            f"{weights} has {count} classes beside the background, not {len(prepared.class_names)}."
        )
    values = tuple(range(1, unet.classes))
    names = prepared.class_names or tuple(Segment.numbered(value).name for value in values)
    Geometry((1, 1, 1)).turn_to(prepared.orientation)  # refuses what is no orientation
    preparation = Preparation(prepared.spacing, values, prepared.orientation, "unit")
    model = StyleModel.new(unet, shape, preparation, prepared.patch, names)
    if any(size % model.unet.step for size in prepared.patch):
        raise InputError(f"The sides of the window must be multiples of {model.unet.step}, as 96.")
    _load(weights, model, tensors)
    if latents is not None:
        model.latents = _read_latents(latents, shape.latent, data_list)
    model.training = {"imported_from": weights.name, "cases": len(model.latents)}
    return model


def _hypernetwork_shape(path: Path, tensors: Mapping[str, Tensor]) -> HyperNetworkShape:
    layers = sorted(int(found[1]) for found in map(_TRUNK.fullmatch, tensors) if found)
    if not layers or layers != list(range(len(layers))):
        raise CheckpointError(f"{path} is no model of the official HyperSORT code: no hyper-network in it.")
    sizes = [tensors[f"hypernetwork.{n}.0.weight"].shape for n in layers]
    return HyperNetworkShape(latent=sizes[0][1], hidden=tuple(size[0] for size in sizes), rank=None)


def _unet_shape(path: Path, tensors: Mapping[str, Tensor]) -> UNetShape:
    """The UNet whose weights the heads predict, from their names and numbers."""
    numbers = {
        found[1]: tensors[name].shape[0] for name in tensors if (found := _HEAD.fullmatch(name)) is not None
    }
    try:
        channels = numbers["conv_init;bias"]
        classes = numbers["conv_final;bias"]
        inner = numbers["conv_0_0;weight"]
        entering = numbers["conv_init;weight"] // (channels * _KERNEL)
    except KeyError as error:
        raise CheckpointError(f"{path} predicts no UNet of the official code: {error} is missing.") from error
    if "norm_init;running_mean" in numbers:
        raise CheckpointError(
            f"{path} uses batch normalisation, which cannot be imported, only instance normalisation."
        )
    if inner != channels * channels * _KERNEL:
        raise CheckpointError(f"{path} is not of a 3D UNet with kernels of 3 voxels.")
    if entering != 1:
        raise CheckpointError(f"{path} takes images of {entering} channels; only one can be imported.")
    levels = sum(1 for name in numbers if re.fullmatch(r"down_\d+;weight", name))
    layers = sum(1 for name in numbers if re.fullmatch(r"conv_0_\d+;weight", name))
    return UNetShape(entering, classes, channels, levels, layers)


def _load(path: Path, model: StyleModel, tensors: Mapping[str, Tensor]) -> None:
    """Put the official tensors where they belong: heads one below the other, in the order of the UNet."""
    names = [name.replace(".", ";") for name in model.unet.initial_weights()]
    try:
        state = {
            f"trunk.{n}.0.{part}": tensors[f"hypernetwork.{n}.0.{part}"]
            for n in range(len(model.hypernetwork.shape.hidden))
            for part in ("weight", "bias")
        }
        state["heads"] = torch.cat([tensors[f"heads.{name}.weight"] for name in names])
        state["bias"] = torch.cat([tensors[f"heads.{name}.bias"] for name in names])
        model.hypernetwork.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is of another UNet than the official code's.") from error
    model.hypernetwork.eval()


def _read_latents(path: Path, dimensions: int, data_list: Path | None) -> dict[str, Latent]:
    vectors = read_weights(path).tensors
    if any(vector.numel() != dimensions or not name.isdigit() for name, vector in vectors.items()):
        raise CheckpointError(f"{path} holds no latent vectors of {dimensions} dimensions by row.")
    names = _case_names(data_list) if data_list else None
    found = {}
    for row, vector in sorted((int(name), vector) for name, vector in vectors.items()):
        if names is not None and row >= len(names):
            raise InputError(f"{data_list} lists {len(names)} cases, but {path} has a vector for row {row}.")
        found[names[row] if names else str(row)] = tuple(vector.flatten().tolist())
    return found


def _case_names(data_list: Path) -> list[str]:
    """Names of the cases in an official data list: image files without folder and suffix, if these differ."""
    try:
        lines = [line for line in data_list.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{data_list} cannot be read as a list of files: {error}.") from error
    images = [line.split("\t")[0] for line in lines[1:]]
    return _short(images)


def _short(paths: Sequence[str]) -> list[str]:
    stems = [Path(path).name.split(".")[0] for path in paths]
    return stems if len(set(stems)) == len(stems) else list(paths)
