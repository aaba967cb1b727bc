"""A training seen from outside: its newest epoch, read from the logs that it writes as it goes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgt.styles.model_card import Latent
from pgt.styles.model_folder import CHECKPOINT, LATENTS, LOSSES

_FIRST_LOOK = 1 << 16


@dataclass(frozen=True)
class Glance:
    """Where a training is.

    Args:
        epoch: from 1.
        of: the epoch that it ends with, as things stand.
        loss: Dice + cross-entropy, mean over the cases.
        latents: where each case lies.
    """

    epoch: int
    of: int
    loss: float
    latents: dict[str, Latent]


def glance(folder: Path) -> Glance | None:
    """The newest epoch of the training in a folder; None before the first."""
    losses, latents = last_line(folder / LOSSES), last_line(folder / LATENTS)
    if losses is None or latents is None:
        return None
    try:
        places = {case: tuple(float(n) for n in place) for case, place in latents["latents"].items()}
        return Glance(int(losses["epoch"]), int(losses["of"]), float(losses["loss"]), places)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def can_resume(folder: Path) -> bool:
    """Whether a training in a folder can go on."""
    return (folder / CHECKPOINT).is_file()


def last_line(path: Path) -> dict[str, Any] | None:
    """The last whole line of a file of JSON lines, read from its end; None where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            look = _FIRST_LOOK
            while True:
                start = max(0, size - look)
                file.seek(start)
                # What follows the last line feed is a line that is being written.
                lines = file.read(size - start).split(b"\n")[:-1]
                if start == 0 or len(lines) > 1:
                    break
                look *= 4
        content = json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
