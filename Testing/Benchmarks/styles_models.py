"""The networks of the experiments on annotation styles, each trained once and kept in ``bench/cache/styles``.

All are the same small UNet (8 channels, 2 levels, 158 k parameters) at 2 mm, trained by the
product's own `pgt.styles.training.train` with one thread: HyperSORT with a hyper-network before it, and
plain UNets, whose weights are the same for every case. A network is found by everything that it depends on;
``python -m Benchmarks.styles_models`` trains all that is missing of what it is asked for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pgt.case_table import write_case_table
from pgt.styles.hypernetwork import HyperNetwork, HyperNetworkShape
from pgt.styles.latent_map import LatentMap, latent_map
from pgt.styles.losses import segmentation_loss
from pgt.styles.preparation import Preparation
from pgt.styles.sampling import PreparedCase, take_patches
from pgt.styles.signatures import reference_cases, signatures
from pgt.styles.style_model import StyleModel
from pgt.styles.training import train
from pgt.styles.training_log import Epoch
from pgt.styles.training_settings import StyleTrainingSettings
from pgt.styles.unet import UNet, UNetShape
from pgt.volume import LabelMap

from .result_cache import DEFAULT_FOLDER
from .styles_data import STRUCTURES, Cohort, StyledCase, Task, cohort, write_rows

SEEDS = (0, 1, 2)
FOLDS = 5

Rank = int | None
"""Of the hyper-network's heads; None for the published ones."""
RANK: Rank = 8
OTHER_RANKS: tuple[Rank, ...] = (4, None)

PREPARATION = Preparation((2.0, 2.0, 2.0), tuple(segment.value for segment in STRUCTURES))
PATCH = (20, 28, 20)
NETWORK = UNetShape(input_channels=1, classes=3, channels=8, levels=2, layers=2)

_NAMES = tuple(segment.name for segment in STRUCTURES)
_LOSSES_EVERY = 4
_DATA_VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """How one kind of network is trained.

    Args:
        dimensions: of the latent vectors; 0 for a plain UNet.
        settings: of the training, but for the seed.
    """

    dimensions: int
    settings: dict[str, Any] = field(default_factory=dict)


STYLES: dict[Task, Recipe] = {
    "perturbed": Recipe(2, {"epochs": 100, "patience": 0, "latent_penalty": 0.05, "augmentation": True}),
    # Four styles that differ in more than size need room, and none of them is the main one. A network that
    # knows its cases by heart mixes them up.
    "raters": Recipe(
        6, {"epochs": 90, "patience": 0, "latent_penalty": 0.05, "gather_every": 6, "augmentation": True}
    ),
}
PLAIN = Recipe(0, {"epochs": 100, "patience": 0, "latent_penalty": 0.0, "augmentation": True})
PLAIN_FOLD = Recipe(0, {"epochs": 50, "patience": 0, "latent_penalty": 0.0, "augmentation": True})


class SharedWeights(HyperNetwork):
    """A plain UNet in the place of a hyper-network: every latent vector has the same weights."""

    def __init__(self, primary: UNet) -> None:
        nn.Module.__init__(self)
        self.shape = HyperNetworkShape(latent=1)
        initial = primary.initial_weights()
        self.names = list(initial)
        self.weights = nn.ParameterList(nn.Parameter(value) for value in initial.values())

    def forward(self, latents: Tensor) -> dict[str, Tensor]:
        return {name: weight[None] for name, weight in zip(self.names, self.weights, strict=True)}


@dataclass(frozen=True, eq=False)
class PlainNetwork:
    """A trained plain UNet.

    Args:
        model: segments as any style model does, in the same way whatever the style.
        losses: of every training case, every few epochs: [time, case].
        seconds: that training took.
    """

    model: StyleModel
    losses: NDArray[np.float32]
    seconds: float


def style_model(data: Cohort, cache: Path = DEFAULT_FOLDER, rank: Rank = RANK) -> StyleModel:
    """HyperSORT, trained on a cohort's drawn labels."""
    recipe = STYLES[data.task]
    heads = "" if rank == RANK else f"-rank{rank}" if rank else "-published"
    folder = _folder(cache, f"{data.task}-seed{data.seed}{heads}", recipe, data)
    if (folder / "model.safetensors").exists():
        return StyleModel.load(folder)
    rows = write_rows(data.training, folder / "labels")
    settings = StyleTrainingSettings(seed=data.seed, **recipe.settings)
    model = _untrained(data, recipe, rank)
    cases = _prepared(data.training, [case.drawn for case in data.training])
    train(model, cases, settings, folder, _told(folder.name))
    write_case_table(folder / "cases.csv", rows, overwrite=True)
    model.save(folder)
    return model


def style_map(data: Cohort, model: StyleModel) -> LatentMap:
    """The map as ``pgt styles map`` makes it where the images are at hand."""
    by_name = {case.name: case for case in data.training}
    chosen = [by_name[name] for name in reference_cases(model.latents, list(by_name))]
    references = _prepared(chosen, [case.drawn for case in chosen])
    return latent_map(model.latents, signatures=signatures(model, model.latents, references))


def plain_unet(
    data: Cohort, name: str, labels: Sequence[LabelMap], cache: Path = DEFAULT_FOLDER
) -> PlainNetwork:
    """A plain UNet, trained on all of a cohort's training images with some labels."""
    return _plain(data, name, data.training, labels, PLAIN, cache)


def fold_unets(data: Cohort, cache: Path = DEFAULT_FOLDER) -> list[tuple[PlainNetwork, list[int]]]:
    """Cross-validation on the drawn labels: networks, and the training cases that each was not shown."""
    shuffled = np.random.default_rng((data.seed, FOLDS)).permutation(len(data.training))
    networks = []
    for fold, left_out in enumerate(np.array_split(shuffled, FOLDS)):
        shown = [data.training[case] for case in sorted(set(range(len(shuffled))) - set(left_out.tolist()))]
        labels = [case.drawn for case in shown]
        network = _plain(data, f"fold{fold}", shown, labels, PLAIN_FOLD, cache)
        networks.append((network, left_out.tolist()))
    return networks


def _plain(
    data: Cohort,
    name: str,
    cases: Sequence[StyledCase],
    labels: Sequence[LabelMap],
    recipe: Recipe,
    cache: Path,
) -> PlainNetwork:
    folder = _folder(cache, f"{data.task}-seed{data.seed}-plain-{name}", recipe, data)
    model = _untrained(data, recipe)
    result = folder / "network.pt"
    if result.exists():
        kept = torch.load(result, weights_only=True)
        model.hypernetwork.load_state_dict(kept["weights"])
        model.hypernetwork.eval()
        return PlainNetwork(model, kept["losses"].numpy(), kept["seconds"])
    prepared = _prepared(cases, labels)
    told, losses = _told(folder.name), []

    def note(epoch: Epoch) -> None:
        told(epoch)
        if epoch.number % _LOSSES_EVERY == 0:
            losses.append(_case_losses(model, prepared))

    train(model, prepared, StyleTrainingSettings(seed=data.seed, **recipe.settings), folder, note)
    seconds = float(model.training["seconds"])
    state = {"weights": model.hypernetwork.state_dict(), "losses": torch.stack(losses), "seconds": seconds}
    torch.save(state, result)
    return PlainNetwork(model, torch.stack(losses).numpy(), seconds)


def _case_losses(model: StyleModel, cases: Sequence[PreparedCase]) -> Tensor:
    """The loss of every case with the weights as they are, [case]."""
    losses = []
    with torch.no_grad():
        for first in range(0, len(cases), 8):
            some = cases[first : first + 8]
            # Every case and every time of asking takes the same patch.
            images, labels = take_patches(some, PATCH, [np.random.default_rng(0) for _ in some])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model.logits(images, torch.zeros(len(some), 1))
            losses.append(segmentation_loss(logits, labels).total)
    return torch.cat(losses)


def _untrained(data: Cohort, recipe: Recipe, rank: Rank = RANK) -> StyleModel:
    torch.manual_seed(data.seed)
    if recipe.dimensions:
        shape = HyperNetworkShape(latent=recipe.dimensions, rank=rank)
        return StyleModel.new(NETWORK, shape, PREPARATION, PATCH, _NAMES)
    unet = UNet(NETWORK)
    return StyleModel(SharedWeights(unet), unet, PREPARATION, PATCH, _NAMES)


def _prepared(cases: Sequence[StyledCase], labels: Sequence[LabelMap]) -> list[PreparedCase]:
    return [
        PreparedCase(case.name, PREPARATION.image(case.volume), PREPARATION.labels(label).half())
        for case, label in zip(cases, labels, strict=True)
    ]


def _folder(cache: Path, name: str, recipe: Recipe, data: Cohort) -> Path:
    """Where a network lies: named by all that it depends on."""
    content = [
        _DATA_VERSION, asdict(recipe), asdict(NETWORK), asdict(PREPARATION), PATCH,
        [(case.name, case.group, case.voxels) for case in data.training],
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]
    folder = cache / "styles" / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _told(name: str) -> Any:
    def tell(epoch: Epoch) -> None:
        if epoch.number % 20 == 0 or epoch.number == epoch.of:
            print(f"{name}: epoch {epoch.number}/{epoch.of}, loss {epoch.loss:.4f}", file=sys.stderr)

    return tell


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(prog="Benchmarks.styles_models", description=__doc__.split("\n")[0])
    parser.add_argument(
        "what",
        nargs="*",
        default=["perturbed", "plain", "folds", "raters"],
        help="kinds of network, or heads",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--cache", type=Path, default=DEFAULT_FOLDER)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for seed in options.seeds:
        perturbed = cohort("perturbed", seed)
        for what in options.what:
            began = time.monotonic()
            if what == "perturbed":
                style_model(perturbed, options.cache)
            elif what == "heads":
                for rank in OTHER_RANKS:
                    style_model(perturbed, options.cache, rank)
            elif what == "plain":
                clean = [case.true for case in perturbed.training]
                plain_unet(perturbed, "clean", clean, options.cache)
                plain_unet(perturbed, "drawn", [case.drawn for case in perturbed.training], options.cache)
            elif what == "folds":
                fold_unets(perturbed, options.cache)
            elif what == "raters":
                style_model(cohort("raters", seed), options.cache)
            print(f"{what}, seed {seed}: {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
