"""A trained style model: the hyper-network, how volumes are prepared for it, and where its cases lie.

On disk it is a folder: ``model.safetensors`` (the hyper-network), ``model.json`` (everything else; the
schema is `StyleModel.describe`). Nothing in it is a pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pgt.errors import CheckpointError
from pgt.output_files import whole_file, write_text
from pgt.propagation.weight_files import read_weights, write_weights
from pgt.styles.hypernetwork import HyperNetwork, HyperNetworkShape
from pgt.styles.model_folder import CHECKPOINT, DESCRIPTION, WEIGHTS
from pgt.styles.preparation import Preparation
from pgt.styles.unet import UNet, UNetShape

SCHEMA = "pgt-style-model"
VERSION = 1
ARCHITECTURE = "hypersort"
MAIN_STYLE = "main"

Latent = tuple[float, ...]


@dataclass(eq=False)
class StyleModel:
    """Everything that is needed to segment in any style.

    Args:
        hypernetwork: predicts weights from latent vectors.
        unet: the primary network.
        preparation: how volumes are prepared.
        patch: the network's window in its own voxels [i, j, k]; larger volumes are segmented window by
            window.
        class_names: of the classes in `Preparation.values`.
        latents: where each training case lies.
        styles: latent vectors that somebody named.
        training: how it was trained, for the card.
    """

    hypernetwork: HyperNetwork
    unet: UNet
    preparation: Preparation
    patch: tuple[int, int, int]
    class_names: tuple[str, ...]
    latents: Mapping[str, Latent] = field(default_factory=dict)
    styles: Mapping[str, Latent] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def new(
        cls,
        unet: UNetShape,
        hypernetwork: HyperNetworkShape,
        preparation: Preparation,
        patch: tuple[int, int, int],
        class_names: tuple[str, ...],
    ) -> StyleModel:
        """An untrained model."""
        primary = UNet(unet)
        return cls(HyperNetwork(hypernetwork, primary), primary, preparation, patch, class_names)

    @property
    def main_style(self) -> Latent:
        """The origin: the main style of the training cases (section 3)."""
        return (0.0,) * self.hypernetwork.shape.latent

    def logits(self, images: Tensor, latents: Tensor) -> Tensor:
        """Run images, each in a style of its own.

        The hyper-network always computes in float32, also under autocast: a small latent vector moves the
        weights by less than bfloat16 resolves, and the map would collapse onto its origin.

        Args:
            images: float tensor [case, 1, i, j, k].
            latents: float tensor [case, latent].

        Returns:
            Logits [case, class, i, j, k], background first.
        """
        with torch.autocast(latents.device.type, enabled=False):
            weights = self.hypernetwork(latents.float())
        return self.unet.segment(images, weights)

    def architecture(self) -> dict[str, Any]:
        """What the model was before it learnt anything, in plain data."""
        return {
            "unet": asdict(self.unet.shape),
            "hypernetwork": asdict(self.hypernetwork.shape),
            "preparation": asdict(self.preparation),
            "class_names": list(self.class_names),
            "patch": list(self.patch),
        }

    def describe(self) -> dict[str, Any]:
        """What ``model.json`` holds."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            **self.architecture(),
            "latents": {case: list(latent) for case, latent in self.latents.items()},
            "styles": {name: list(latent) for name, latent in self.styles.items()},
            "training": dict(self.training),
        }

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists, in place of one that is there. Raises OutputError."""
        tensors = self.hypernetwork.state_dict()
        with whole_file(folder / WEIGHTS, overwrite=True) as beside:
            write_weights(beside, tensors, ARCHITECTURE, asdict(self.hypernetwork.shape))
        self.save_description(folder)

    def save_description(self, folder: Path) -> None:
        """Write what is not weights, such as the names of styles, alone. Raises OutputError."""
        text = json.dumps(self.describe(), indent=1, ensure_ascii=False) + "\n"
        write_text(folder / DESCRIPTION, text, overwrite=True)

    @classmethod
    def load(cls, folder: Path) -> StyleModel:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the folder holds no style model, or a damaged one, or one of a later version.
        """
        if (folder / CHECKPOINT).exists() and not (folder / WEIGHTS).exists():
            raise CheckpointError(
                f"The training in {folder} has not finished; go on with pgt styles train --resume."
            )
        path = folder / DESCRIPTION
        description = _read_description(path)
        try:
            model = cls.untrained(description)
            model.latents = {case: tuple(latent) for case, latent in description["latents"].items()}
            model.styles = {name: tuple(latent) for name, latent in description["styles"].items()}
            model.training = description["training"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} describes no style model: {error!r}.") from error
        weights = read_weights(folder / WEIGHTS).tensors
        try:
            model.hypernetwork.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"{folder / WEIGHTS} is of another architecture than {path}.") from error
        model.hypernetwork.eval()
        return model

    @classmethod
    def untrained(cls, architecture: Mapping[str, Any]) -> StyleModel:
        """A model from what `architecture` says. Raises KeyError, TypeError or ValueError."""
        hyper, prepared = dict(architecture["hypernetwork"]), dict(architecture["preparation"])
        hyper["hidden"] = tuple(hyper["hidden"])
        prepared["spacing"], prepared["values"] = tuple(prepared["spacing"]), tuple(prepared["values"])
        return cls.new(
            UNetShape(**architecture["unet"]),
            HyperNetworkShape(**hyper),
            Preparation(**prepared),
            tuple(architecture["patch"]),
            tuple(architecture["class_names"]),
        )


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(description, dict) or description.get("schema") != SCHEMA:
        raise CheckpointError(f"{path} describes no style model of PGT Toolkit.")
    if description.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {description.get('version')}; this reads version {VERSION}."
        )
    return description
