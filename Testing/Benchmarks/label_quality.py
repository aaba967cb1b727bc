"""Is improving labels worth it? The label quality study on 112 hippocampi, at a scale that one core can do.

The whole hippocampus is what is learnt from nine versions of the labels of 80 cases (64 train, 16 kept out);
anterior and posterior hippocampus are what is fine-tuned on eight other cases with their own labels (24 kept
out): other patients and other structures, as in the paper. `pgt study label-quality` does the work; the study
goes on where it was stopped, and its report lies in bench/cache/label-quality.

    python -m Benchmarks label-quality
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgt.case_table import CaseRow, write_case_table
from pgt.cli import run as run_pgt

from .result_cache import DEFAULT_FOLDER

CASES, SECOND_CASES = 80, 32
_DRAWN_WITH = 2026
"""Seed of the choice of cases."""
_SECOND_FROM = 100

CONFIGURATION: dict[str, Any] = {
    "cases": "cases.csv",
    "structures": [{"name": "hippocampus", "values": [1, 2]}],
    "propagated": [{"name": "5 slices", "slices": 5}, {"name": "3 slices", "slices": 3}],
    "predicted": [
        {"name": "strong network", "channels": [8, 16, 32], "steps": 100},
        {"name": "weak network", "channels": [4, 8, 16], "steps": 60, "cases": 8},
    ],
    "perturbed": [
        {"name": "smoothed", "perturbation": "smoothed", "mm": 1},
        {"name": "eroded", "perturbation": "eroded", "mm": 1},
        {"name": "uneven", "perturbation": "uneven", "mm": 2},
        {"name": "shifted", "perturbation": "shifted", "mm": 2},
    ],
    "spacing_mm": [2.5, 2.5, 2.5],
    "seeds": [0, 1, 2],
    "channels": [8, 16, 32],
    "steps": 100,
    "batch": 2,
    "learning_rate": 0.003,
    "patch": [16, 24, 16],
    "fine_tuning": {
        "cases": "second.csv",
        "training_cases": 8,
        "steps": 100,
        "structures": [
            {"name": "anterior hippocampus", "values": [1]},
            {"name": "posterior hippocampus", "values": [2]},
        ],
    },
}


@dataclass(frozen=True)
class LabelQualityFigures:
    """What the study came to.

    Args:
        versions: rows of the report: name, label quality, in-domain and fine-tuned results by metric.
        answers: of the report.
        lead: the answer in words.
    """

    versions: list[dict[str, Any]]
    no_pretraining: dict[str, Any]
    answers: list[dict[str, Any]]
    lead: list[str]


def add_options(parser: ArgumentParser) -> None:
    """The number of seeds, for machines that have less time."""
    parser.add_argument("--study-seeds", type=int, default=3, help="seeds of the label quality study")


def run(options: Namespace) -> LabelQualityFigures:
    """Do the study, or what is missing of it."""
    folder = DEFAULT_FOLDER / "label-quality"
    configuration = write_order(folder, options.data, options.study_seeds)
    status = run_pgt(["study", "label-quality", str(configuration), "-o", str(folder), "--device", "cpu"])
    if status:
        raise SystemExit(status)
    report = json.loads((folder / "report.json").read_text())
    wanted = ("versions", "no_pretraining", "answers", "lead")
    return LabelQualityFigures(**{name: report[name] for name in wanted})


def write_order(folder: Path, data: Path, seeds: int) -> Path:
    """Write both case lists and the configuration; returns the file of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    root = data / "hippocampus_mr"
    names = sorted(path.name for path in (root / "images").glob("*.nii.gz"))
    order = np.random.default_rng(_DRAWN_WITH).permutation(len(names))
    second = order[_SECOND_FROM : _SECOND_FROM + SECOND_CASES]
    for table, numbers in (("cases.csv", order[:CASES]), ("second.csv", second)):
        rows = [
            CaseRow(names[n].split(".")[0], root / "images" / names[n], root / "labels" / names[n])
            for n in sorted(numbers)
        ]
        write_case_table(folder / table, rows, overwrite=True)
    path = folder / "study.json"
    path.write_text(json.dumps({**CONFIGURATION, "seeds": list(range(seeds))}, indent=1) + "\n")
    return path


def print_tables(figures: LabelQualityFigures) -> None:
    """The versions, and the answer."""
    print("\nLabel quality: Dice of labels, in-domain, and after fine-tuning")
    alone = figures.no_pretraining["dice"]["mean"]
    print(f"{'no pre-training':<18}{'':>8}{'':>10}{alone:>12.3f}")
    for version in figures.versions:
        means = [version[part]["dice"]["mean"] for part in ("labels", "in_domain", "fine_tuned")]
        print(f"{version['name']:<18}{means[0]:>8.3f}{means[1]:>10.3f}{means[2]:>12.3f}")
    for sentence in figures.lead:
        print(sentence)
