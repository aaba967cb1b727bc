"""A trained reference stage: both networks and what is known of them.

On disk it is a folder: ``transunet.safetensors``, ``deeplab.safetensors`` and ``model.json`` (the schema is
`ReferenceCard.describe`). Nothing in it is a pickle.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgt.errors import CheckpointError, OutputError
from pgt.output_files import whole_file, write_text
from pgt.propagation.weight_files import read_weights, write_weights
from pgt.reference.model_folder import DEEPLAB, DESCRIPTION, TRANSUNET
from pgt.reference.networks import ReferenceNetworks
from pgt.reference.reference_card import ReferenceCard, read_card

_PIXELS_AT_ONCE = 1 << 20
"""Pixels of the slices that go through the networks together, which bounds memory."""


class ReferenceModel:
    """Everything that is needed to segment slices.

    Args:
        card: what the model is.
        networks: of the card's size and classes.
        device: where they run.
    """

    def __init__(
        self, card: ReferenceCard, networks: ReferenceNetworks, device: torch.device | None = None
    ) -> None:
        self.card = card
        self.device = device or torch.device("cpu")
        self.networks = networks.to(self.device).eval()

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> ReferenceModel:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the folder holds no reference model, or a damaged one, or one of a later version.
        """
        card = read_card(folder)
        networks = ReferenceNetworks(card.classes, card.size)
        for name, network in ((TRANSUNET, networks.transunet), (DEEPLAB, networks.deeplab)):
            tensors = read_weights(folder / name).tensors
            try:
                found = network.load_state_dict(tensors, strict=False)
            except RuntimeError as error:
                raise CheckpointError(
                    f"{folder / name} is of another network or size than {DESCRIPTION}."
                ) from error
            # How many batches a normalisation has seen is not kept, since nothing depends on it.
            missing = [one for one in found.missing_keys if not one.endswith("num_batches_tracked")]
            if missing or found.unexpected_keys:
                raise CheckpointError(f"{folder / name} is of another network or size than {DESCRIPTION}.")
        return cls(card, networks, device)

    def save(self, folder: Path, overwrite: bool = False) -> None:
        """Write the model into a folder, which is made where missing.

        Raises:
            OutputError: there is a model already and it must not be overwritten, or writing fails.
        """
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
        if (folder / DESCRIPTION).exists() and not overwrite:
            raise OutputError(f"{folder} holds a reference model already and was left as it is.")
        for name, network in ((TRANSUNET, self.networks.transunet), (DEEPLAB, self.networks.deeplab)):
            with whole_file(folder / name, overwrite=True) as beside:
                write_weights(
                    beside, network.state_dict(), name.removesuffix(".safetensors"), asdict(network.shape)
                )
        # Last, since it is what makes the folder a model.
        text = json.dumps(self.card.describe(), indent=1, ensure_ascii=False) + "\n"
        write_text(folder / DESCRIPTION, text, overwrite=True)

    def probabilities(
        self, slices: NDArray[np.float32], positions: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """What both networks together say (FLARE22, section 2.2: the results are summed).

        Args:
            slices: windowed, float32 (slices, 3, rows, columns); see `pgt.reference.slices`.
            positions: where each lies along the axis, from 0 to 1, float32 (slices,).

        Returns:
            Probabilities float32 (slices, classes, rows, columns), background first, adding up to 1.
        """
        count, _, rows, columns = slices.shape
        found = np.empty((count, self.card.classes, rows, columns), np.float32)
        together = max(_PIXELS_AT_ONCE // (rows * columns), 1)
        for first in range(0, count, together):
            part = slice(first, first + together)
            found[part] = self._probabilities(slices[part], positions[part])
        return found

    @torch.inference_mode()
    def _probabilities(
        self, slices: NDArray[np.float32], positions: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        images = torch.from_numpy(np.ascontiguousarray(slices, np.float32)).to(self.device)
        places = torch.from_numpy(np.ascontiguousarray(positions, np.float32)).to(self.device)
        one, other = (logits.float().softmax(dim=1) for logits in self.networks(images, places))
        return ((one + other) / 2).cpu().numpy()
