"""A training as a process that tests kill, or start several times: ``FOLDER EPOCHS [CASES_PER_STEP]``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from style_cases import LOOSE, TIGHT, prepared_cases, tiny_model

from pgt.distributed import Team
from pgt.styles.training import train
from pgt.styles.training_settings import StyleTrainingSettings


def main(folder: Path, epochs: int, cases_per_step: int = 3) -> None:
    """Train, and write the weights and latent vectors of this process down."""
    torch.set_num_threads(1)
    settings = StyleTrainingSettings(
        epochs=epochs,
        cases_per_step=cases_per_step,
        augmentation=False,
        mixed_precision=False,
        checkpoint_seconds=0,
    )
    rank = int(os.environ.get("RANK", "0"))
    # Each process begins with weights of its own; those of the first one count.
    model = train(tiny_model(rank), prepared_cases([TIGHT, LOOSE] * 2 + [TIGHT]), settings, folder,
                  team=Team.from_environment("cpu"))  # fmt: skip
    torch.save(model.hypernetwork.state_dict(), folder / f"weights{rank}.pt")
    (folder / f"latents{rank}.json").write_text(json.dumps(model.latents), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
