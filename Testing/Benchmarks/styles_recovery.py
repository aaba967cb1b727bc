"""Are styles found again that nobody told the training of? The paper's section 4.1, on real hippocampi.

*perturbed*: 15 % of the training labels were eroded or dilated by 1 or 2 voxels. *raters*: four raters of
equal share, none of them named. Clusters are those of ``pgt styles map``, which is not told how many
there are; the adjusted Rand index compares them with who drew what. The area under the curve says how well a
score tells perturbed labels from others: HyperSORT's suspicion against

- *Test-Dice*: 1 - Dice of the label with what a UNet of the same size predicts that was not shown the case
  (cross-validation, 5 folds),
- *loss*: the training loss of the case in a plain UNet of the same size, early in training (the first fifth),
  averaged over all of it, and at the moment that is best, which nobody knows who does not know the truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from pgt.styles.inference import segment
from pgt.styles.latent_map import LatentMap
from pgt.styles.style_model import StyleModel
from pgt.volume import LabelMap

from .accuracy import dice
from .result_cache import DEFAULT_FOLDER
from .styles_data import GROUPS, Cohort, Task, cohort
from .styles_models import SEEDS, fold_unets, plain_unet, style_map, style_model

EARLY = 0.2
GOALS = {"perturbed": 0.90, "raters": 0.75}
AUC_GOAL = 0.97


@dataclass(frozen=True)
class Recovery:
    """What was found again in one training.

    Args:
        task: "perturbed" or "raters".
        seed: of cohort and training.
        styles: clusters that were found.
        alone: cases in none of them.
        rand_index: adjusted Rand index of the clusters; cases that lie alone are one more cluster.
        table: cases by true group and cluster.
        areas: under the curve, by score; empty for the raters, where no label is wrong.
        seconds: of the training of HyperSORT.
    """

    task: Task
    seed: int
    styles: int
    alone: int
    rand_index: float
    table: dict[str, dict[str, int]]
    areas: dict[str, float]
    seconds: float


def mean_dice(one: LabelMap, other: LabelMap) -> float:
    """Mean over the structures."""
    return float(np.mean([dice(one.mask(value), other.mask(value)) for value in one.values]))


def cluster_names(data: Cohort, found: LatentMap) -> list[str]:
    """The cluster of every training case; those that lie alone are one more."""
    return [found.cluster_of[case.name] or "alone" for case in data.training]


def area_for_perturbed(data: Cohort, scores: ArrayLike) -> float:
    """Area under the curve with which a score of every training case tells perturbed labels from others."""
    return float(roc_auc_score([group != GROUPS[data.task][0] for group in data.groups], scores))


def recovery(task: Task, seed: int, cache: Path = DEFAULT_FOLDER) -> Recovery:
    """Train, or take from the cache, and compare with the truth."""
    data = cohort(task, seed)
    model = style_model(data, cache)
    found = style_map(data, model)
    names = cluster_names(data, found)
    table = {group: dict.fromkeys(sorted(set(names)), 0) for group in GROUPS[task]}
    for group, name in zip(data.groups, names, strict=True):
        table[group][name] += 1
    return Recovery(
        task,
        seed,
        len(found.clusters),
        names.count("alone"),
        float(adjusted_rand_score(data.groups, names)),
        table,
        _areas(data, model, found, cache) if task == "perturbed" else {},
        float(model.training["seconds"]),
    )


def _areas(data: Cohort, model: StyleModel, found: LatentMap, cache: Path) -> dict[str, float]:
    """Area under the curve for perturbed labels, by score."""
    suspects = {suspect.case: suspect for suspect in found.suspects}
    mine = [suspects[case.name] for case in data.training]
    losses = plain_unet(data, "drawn", [case.drawn for case in data.training], cache).losses
    early = max(1, round(EARLY * len(losses)))
    scores = {
        "suspicion": [one.score for one in mine],
        "norm": [one.norm for one in mine],
        "isolation": [one.isolation for one in mine],
        "Test-Dice": held_out_scores(data, cache),
        "loss, early": losses[:early].mean(axis=0),
        "loss, mean": losses.mean(axis=0),
    }
    areas = {name: area_for_perturbed(data, score) for name, score in scores.items()}
    areas["loss, best moment"] = max(area_for_perturbed(data, at) for at in losses)
    return areas


def held_out_scores(data: Cohort, cache: Path = DEFAULT_FOLDER) -> list[float]:
    """1 - Dice of every drawn label with the prediction of the UNet that was not shown it."""
    scores = [0.0] * len(data.training)
    for network, left_out in fold_unets(data, cache):
        for number in left_out:
            case = data.training[number]
            predicted = segment(network.model, case.volume, device="cpu").label_map
            scores[number] = 1 - mean_dice(case.drawn, predicted)
    return scores


def run(options: argparse.Namespace) -> list[Recovery]:
    """Every task and seed."""
    torch.set_num_threads(1)
    return [recovery(task, seed, options.styles_cache) for task in GROUPS for seed in options.style_seeds]


def print_tables(results: Sequence[Recovery]) -> None:
    """Every seed, the bad ones too."""
    print("\nStyles found again (adjusted Rand index, clusters not told)")
    for task, goal in GOALS.items():
        for one in (result for result in results if result.task == task):
            print(
                f"  {task:10s} seed {one.seed}: {one.rand_index:.3f} (goal {goal:.2f}), {one.styles} styles "
                f"of {len(GROUPS[one.task])}, {one.alone} alone, trained {one.seconds / 60:.1f} min"
            )
            for group, counts in one.table.items():
                print(f"      {group:20s}", ", ".join(f"{name}: {count}" for name, count in counts.items()))
    print(f"\nPerturbed labels told from others (area under the curve, goal {AUC_GOAL})")
    for one in (result for result in results if result.areas):
        told = ", ".join(f"{name} {area:.4f}" for name, area in one.areas.items())
        print(f"  seed {one.seed}: {told}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of all experiments on styles."""
    parser.add_argument("--style-seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument(
        "--styles-cache", type=Path, default=DEFAULT_FOLDER, help="where trained networks are kept"
    )
