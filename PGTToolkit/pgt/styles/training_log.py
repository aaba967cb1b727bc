"""What a training says of itself while it runs: two files of one JSON object a line, one line an epoch.

``log.jsonl`` holds ``epoch``, ``of`` (the epoch it ends with, which comes nearer when the loss stands still),
``loss`` (Dice + cross-entropy, mean over the cases), ``dice_loss`` and ``seconds`` (of training so far);
``latents.jsonl`` holds ``epoch`` and ``latents`` (by case name).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgt.output_files import write_text
from pgt.styles.model_folder import LATENTS, LOSSES


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Args:
        number: from 1.
        of: the epoch that training ends with, as things stand.
        loss: Dice + cross-entropy, mean over the cases.
        dice: the Dice part of it.
        seconds: of training so far, over all its runs.
        latents: where every case lies.
    """

    number: int
    of: int
    loss: float
    dice: float
    seconds: float
    latents: Mapping[str, tuple[float, ...]] = field(repr=False)


class TrainingLog:
    """Appends to the two files.

    Args:
        folder: where they lie.
        epochs: of the lines there, how many are kept; a resumed training repeats the epochs since its last
            checkpoint.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        self._losses, self._latents = folder / LOSSES, folder / LATENTS
        for path in (self._losses, self._latents):
            lines = path.read_text(encoding="utf-8").splitlines()[:epochs] if path.exists() else []
            write_text(path, "".join(f"{line}\n" for line in lines), overwrite=True)

    def add(self, epoch: Epoch) -> None:
        """Write an epoch down."""
        losses = {
            "epoch": epoch.number,
            "of": epoch.of,
            "loss": epoch.loss,
            "dice_loss": epoch.dice,
            "seconds": round(epoch.seconds, 2),
        }
        latents = {case: [round(value, 5) for value in place] for case, place in epoch.latents.items()}
        _append(self._losses, losses)
        _append(self._latents, {"epoch": epoch.number, "latents": latents})


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(line) + "\n")
