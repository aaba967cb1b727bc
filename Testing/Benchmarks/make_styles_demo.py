"""Train the demonstration model of annotation styles and put it among the project's resources.

Sixty made volumes (`pgt.styles.made_volumes`), half of them annotated as seen and a sixth each tight, loose
and clipped; training is told nothing about that. The clusters that the map finds are named after the style of
most of their cases.

    python -m Benchmarks.make_styles_demo
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import torch

from pgt.case_table import CaseRow
from pgt.propagation.weight_files import write_weights
from pgt.styles.latent_map import latent_map
from pgt.styles.made_volumes import CLIPPED, LOOSE, MAIN, ORGAN, TIGHT, make_case
from pgt.styles.model_folder import DESCRIPTION, WEIGHTS
from pgt.styles.style_model import ARCHITECTURE, StyleModel
from pgt.styles.training_folder import train_folder
from pgt.styles.training_order import TrainingOrder
from pgt.styles.training_settings import StyleTrainingSettings
from pgt.volume_io import write_label_map, write_volume

CASES = 60
STYLE_OF_CASE = (MAIN, TIGHT, MAIN, LOOSE, MAIN, CLIPPED)
"""Taken in turn."""
SETTINGS = StyleTrainingSettings(
    patience=0, latent_penalty=0.05, gather_every=6, augmentation=False, cases_per_step=4, seed=0,
    mixed_precision=True,
)  # fmt: skip
EPOCHS = 120
SPACING = (2.0, 2.0, 2.0)
FOLDER = Path(__file__).resolve().parents[2] / "PGTToolkit" / "Resources" / "Models" / "styles-demo"


def write_cases(folder: Path) -> tuple[CaseRow, ...]:
    """Write images and drawn labels."""
    rows = []
    for number in range(CASES):
        name, style = f"made {number:02d}", STYLE_OF_CASE[number % len(STYLE_OF_CASE)]
        case = make_case(number)
        image, label = folder / f"{name} image.nii.gz", folder / f"{name} label.nii.gz"
        write_volume(case.image, image, overwrite=True)
        write_label_map(case.labels[style], label, overwrite=True)
        rows.append(CaseRow(name, image, label, {"style": style}))
    return tuple(rows)


def named_styles(model: StyleModel, rows: Sequence[CaseRow]) -> dict[str, tuple[float, ...]]:
    """The centre of each cluster beside the main one, by the style of most of its cases."""
    style_of = {row.case: row.others["style"] for row in rows}
    styles: dict[str, tuple[float, ...]] = {}
    for cluster in latent_map(model.latents).clusters:
        drawn = [style_of[case] for case in cluster.cases]
        counts = {style: drawn.count(style) for style in (MAIN, TIGHT, LOOSE, CLIPPED)}
        print(f"{cluster.name}: {counts}, centre {cluster.centre}")
        most = max(counts, key=lambda style: counts[style])
        if not cluster.is_main and most != MAIN:
            styles.setdefault(most, cluster.centre)
    return styles


def save(model: StyleModel, folder: Path) -> None:
    """Write the model with weights in half precision, and its card's figures."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half() for name, tensor in model.hypernetwork.state_dict().items()}
    write_weights(folder / WEIGHTS, halves, ARCHITECTURE, asdict(model.hypernetwork.shape))
    model.save_description(folder)
    card = {
        "name": folder.name,
        "architecture": ARCHITECTURE,
        "parameters": sum(tensor.numel() for tensor in halves.values()),
        "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "source": "trained by this project on made volumes (python -m Benchmarks.make_styles_demo)",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "licence": "Apache-2.0",
        "trained_on": "made volumes only",
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, name, save."""
    parser = argparse.ArgumentParser(prog="Benchmarks.make_styles_demo", description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder for the model")
    parser.add_argument("--work", type=Path, help="keep cases and training here, or go on with them")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    try:
        rows = write_cases(work)
        order = TrainingOrder(
            rows, work / "model", spacing=SPACING, settings=SETTINGS, epochs=EPOCHS, force=True
        )
        model = train_folder(order, lambda step: print(step.message, step.done, flush=True))
        model.class_names = (ORGAN.name,)
        model.styles = named_styles(model, rows)
        save(model, options.output)
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    print(f"{options.output / DESCRIPTION}: styles {', '.join(model.styles)}")


if __name__ == "__main__":
    main()
