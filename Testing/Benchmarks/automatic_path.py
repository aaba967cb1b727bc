"""The automatic path on hippocampi: 20 labelled cases, 130 unlabelled, 30 kept out, on a CPU.

Three questions of the FLARE22 paper: do the networks learn from unlabelled cases (cross pseudo supervision
against the same training without them), does propagation keep up with the reference stage alone, and are
accepted pseudo-labels better than rejected ones. Both trainings have the same networks, steps and rates, and
the same labelled slices in the same order, turned alike; only the unlabelled ones are missing in one of them.
A third one has twice the steps without them, which costs as much as cross pseudo supervision; a fourth has
the labels of all cases, which is the most that unlabelled ones could bring.

Everything is kept in a folder, so that a second run does only what is missing; models are trained a few
at a time in processes of one thread each.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pgt.case_table import CaseRow
from pgt.reference.cases import ReferenceCase
from pgt.reference.settings import ReferenceSettings

from .result_cache import DEFAULT_FOLDER

if TYPE_CHECKING:
    from pgt.progress import Progress
    from pgt.reference.pseudo_label_plan import RoundsOrder
    from pgt.reference.reference_model import ReferenceModel
    from pgt.volume import Volume

LABELLED, UNLABELLED, KEPT_OUT = 20, 130, 30
SPLIT_SEED = 0
RAMP_UP = 0.5
"""In short trainings the networks have something to tell each other only after many of the steps."""
STRUCTURES = {1: "anterior", 2: "posterior"}

SUPERVISED, CROSS = "supervised only", "cross pseudo supervision"
LONGER = "supervised only, twice the steps"
"""As many slices through the networks as cross pseudo supervision, labelled ones all of them."""
EVERY_LABEL = "supervised, all cases labelled"
"""The other cases' labels, too: what cross pseudo supervision does without."""
STAGES = ("reference", "propagation", "propagation from 3 masks")
ALONE = ("TransUNet alone", "DeepLabV3+ alone")
SEEN = "reference, unlabelled cases"
"""As the reference stage, but on as many of the unlabelled cases, which cross pseudo supervision has seen."""


@dataclass(frozen=True)
class Score:
    """One kept-out case.

    Args:
        training: supervised only, also with twice the steps or the labels of all cases, or cross pseudo
            supervision.
        seed: of the model.
        stage: how the volume was segmented.
        case: number of the case among those kept out, or among the unlabelled ones.
        anterior: Dice.
        posterior: Dice.
        seconds: that segmenting took.
    """

    training: str
    seed: int
    stage: str
    case: int
    anterior: float
    posterior: float
    seconds: float

    @property
    def dice(self) -> float:
        """Mean of both structures."""
        return (self.anterior + self.posterior) / 2


@dataclass(frozen=True)
class PseudoLabelScore:
    """One unlabelled case in one round: what the models said of it, and the truth that they never saw."""

    round: int
    case: int
    score: float
    accepted: bool
    dice: float


@dataclass(frozen=True)
class Outcome:
    """All that was measured."""

    settings: dict[str, object]
    scores: tuple[Score, ...]
    pseudo_labels: tuple[PseudoLabelScore, ...]
    training_seconds: dict[str, float]


@dataclass(frozen=True)
class _Training:
    """One model to train, in a process of its own."""

    cases: tuple[ReferenceCase, ...]
    settings: ReferenceSettings
    folder: Path


@dataclass(frozen=True)
class _Look:
    """One case to segment with one model, at one stage."""

    training: str
    seed: int
    stage: str
    number: int
    row: CaseRow
    model: Path
    folder: Path

    @property
    def kept(self) -> Path:
        """Where the score is kept."""
        name = f"{self.training}, seed {self.seed}, {self.stage}, case {self.number}"
        return self.folder / f"{name.replace(', ', '-').replace(' ', '_')}.json"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--path-iterations", type=int, default=4000, help="steps of each training")
    parser.add_argument(
        "--path-weight", type=float, default=0.5, help="of what the networks teach each other"
    )
    parser.add_argument("--path-models", type=int, default=2, help="models of each kind, 2 or more")
    parser.add_argument("--path-rounds", type=int, default=1, help="rounds of pseudo-labels")
    parser.add_argument("--path-threshold", type=float, help="of accepted labels; else the middle score")
    parser.add_argument("--path-jobs", type=int, default=os.cpu_count() or 1, help="models trained at once")
    parser.add_argument("--path-folder", type=Path, default=DEFAULT_FOLDER / "automatic-path")


def split(data: Path) -> tuple[tuple[CaseRow, ...], tuple[CaseRow, ...], tuple[CaseRow, ...]]:
    """Labelled, unlabelled and kept-out cases, drawn by `SPLIT_SEED`; all with their labels."""
    folder = data / "hippocampus_mr"
    names = sorted(path.name for path in (folder / "images").iterdir())
    order = np.random.default_rng(SPLIT_SEED).permutation(len(names))
    rows = [
        CaseRow(
            names[index].split(".")[0], folder / "images" / names[index], folder / "labels" / names[index]
        )
        for index in order
    ]
    last = LABELLED + UNLABELLED
    return tuple(rows[:LABELLED]), tuple(rows[LABELLED:last]), tuple(rows[last : last + KEPT_OUT])


def run(options: argparse.Namespace) -> Outcome:
    """Train, segment and label in rounds, or read what an earlier run has done of it."""
    labelled, unlabelled, kept_out = split(options.data)
    settings = ReferenceSettings.of_size(
        "small",
        iterations=options.path_iterations,
        unsupervised_weight=options.path_weight,
        ramp_up=RAMP_UP,
        device="cpu",
        checkpoint_seconds=30.0,
    )
    folder: Path = options.path_folder
    folder.mkdir(parents=True, exist_ok=True)
    rows = (*labelled, *unlabelled)
    order = _rounds(options, settings, rows, labelled)
    _begin_rounds(order)
    models = _models(folder, range(options.path_models))
    trainings = [
        _Training(_cases_of(kind, labelled, unlabelled), _settings_of(kind, seed, settings), place)
        for (kind, seed), place in models.items()
    ]
    # What the comparison needs first, of these the longest.
    trainings.sort(key=lambda one: (one.settings.iterations, -len(one.cases)))
    _train(trainings, options.path_jobs)
    (folder / "scores").mkdir(exist_ok=True)
    scores = _measured(_looks(models, unlabelled, kept_out, folder / "scores"), options.path_jobs)
    pseudo = _run_rounds(order, rows)
    seconds = {f"{kind}, seed {seed}": _seconds(place) for (kind, seed), place in models.items()}
    return Outcome(asdict(settings), scores, pseudo, seconds)


def _models(folder: Path, seeds: range) -> dict[tuple[str, int], Path]:
    """Where the model of each training and seed lies."""
    names = {SUPERVISED: "supervised", LONGER: "longer", EVERY_LABEL: "every-label"}
    models = {(kind, seed): folder / f"{name}-{seed}" for kind, name in names.items() for seed in seeds}
    # Those that the first round of pseudo-labels trains.
    first = folder / "rounds" / "round-1" / "models"
    return models | {(CROSS, seed): first / str(seed + 1) for seed in seeds}


def _cases_of(
    kind: str, labelled: Sequence[CaseRow], unlabelled: Sequence[CaseRow]
) -> tuple[ReferenceCase, ...]:
    cases = [ReferenceCase(row.case, row.image, row.label) for row in labelled]
    if kind in (CROSS, EVERY_LABEL):
        cases += [
            ReferenceCase(row.case, row.image, row.label if kind == EVERY_LABEL else None)
            for row in unlabelled
        ]
    return tuple(cases)


def _settings_of(kind: str, seed: int, settings: ReferenceSettings) -> ReferenceSettings:
    times = 2 if kind == LONGER else 1
    return replace(settings, seed=seed, iterations=times * settings.iterations)


def _looks(
    models: Mapping[tuple[str, int], Path],
    unlabelled: Sequence[CaseRow],
    kept_out: Sequence[CaseRow],
    folder: Path,
) -> list[_Look]:
    """Every case to segment, what is quick and needed most first."""

    def looks(kinds: Sequence[str], stage: str, rows: Sequence[CaseRow]) -> list[_Look]:
        return [
            _Look(kind, seed, stage, number, row, place, folder)
            for (kind, seed), place in models.items()
            if kind in kinds
            for number, row in enumerate(rows)
        ]

    everything = (SUPERVISED, LONGER, EVERY_LABEL, CROSS)
    found = [look for stage in (STAGES[0], *ALONE) for look in looks(everything, stage, kept_out)]
    found += looks((SUPERVISED, CROSS), SEEN, unlabelled[:KEPT_OUT])
    return found + [look for stage in STAGES[1:] for look in looks((CROSS,), stage, kept_out)]


def dice(found: NDArray[np.integer], truth: NDArray[np.integer]) -> tuple[float, float]:
    """Dice of both structures, whole volumes."""
    values = []
    for value in STRUCTURES:
        one, other = found == value, truth == value
        values.append(float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1)))
    return values[0], values[1]


def _train(trainings: Sequence[_Training], jobs: int) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(jobs, 1), mp_context=context) as pool:
        for place in pool.map(_train_one, trainings):
            print(f"{time.strftime('%H:%M:%S')} trained {place}", flush=True)


def _train_one(training: _Training) -> Path:
    import torch

    from pgt.reference.training import train_reference

    torch.set_num_threads(1)
    train_reference(training.cases, training.settings, training.folder)
    return training.folder


def _measured(looks: Sequence[_Look], jobs: int) -> tuple[Score, ...]:
    """The scores of all looks, each kept in a file of its own as soon as it is there."""
    missing = [look for look in looks if not look.kept.exists()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(jobs, 1), mp_context=context) as pool:
        for look in pool.map(_look, missing):
            print(f"{time.strftime('%H:%M:%S')} measured {look.kept.stem}", flush=True)
    return tuple(Score(**json.loads(look.kept.read_text())) for look in looks)


def _look(look: _Look) -> _Look:
    """Segment one kept-out case and compare it with its label."""
    import torch

    from pgt.reference.reference_model import ReferenceModel
    from pgt.volume_io import read_label_map, read_volume

    torch.set_num_threads(1)
    assert look.row.label is not None
    model, volume = ReferenceModel.load(look.model), read_volume(look.row.image)
    began = time.monotonic()
    found = _segmented(model, volume, look.stage)
    seconds = round(time.monotonic() - began, 2)
    anterior, posterior = dice(found, read_label_map(look.row.label).voxels)
    score = Score(look.training, look.seed, look.stage, look.number, anterior, posterior, seconds)
    partial = look.kept.with_suffix(".part")
    partial.write_text(json.dumps(asdict(score)))
    partial.replace(look.kept)
    return look


def _segmented(model: ReferenceModel, volume: Volume, stage: str) -> NDArray[np.integer]:
    """Label values [i, j, k]."""
    import torch

    from pgt.reference.prediction import PredictionSettings, predict_volume
    from pgt.reference.selection import SelectionSettings
    from pgt.reference.slices import windowed_slices

    if stage in ALONE:
        cut = windowed_slices(volume, model.card.plane, model.card.modality)
        with torch.inference_mode():
            both = model.networks(torch.from_numpy(cut.images), torch.from_numpy(cut.positions))
        values = np.array([0, *model.card.values])
        return cut.turn.undo(values[both[ALONE.index(stage)].argmax(dim=1).numpy()])
    settings = {
        "reference": PredictionSettings("reference"),
        SEEN: PredictionSettings("reference"),
        "propagation": PredictionSettings("propagation"),
        "propagation from 3 masks": PredictionSettings("propagation", SelectionSettings(None, 3)),
    }[stage]
    return predict_volume(model, volume, settings)[0].voxels


def _rounds(
    options: argparse.Namespace,
    settings: ReferenceSettings,
    rows: Sequence[CaseRow],
    labelled: Sequence[CaseRow],
) -> RoundsOrder:
    from pgt.reference.pseudo_label_plan import RoundSettings, RoundsOrder

    hidden = tuple(row if row in labelled else replace(row, label=None) for row in rows)
    return RoundsOrder(
        hidden,
        options.path_folder / "rounds",
        RoundSettings(options.path_models, options.path_threshold, options.path_rounds, settings),
    )


def _begin_rounds(order: RoundsOrder) -> None:
    """Make the folder of the rounds, so that the first round's models can be trained side by side."""
    from pgt.reference.pseudo_label_plan import begin, check_order

    check_order(order)
    begin(order)
    (order.folder / "round-1" / "models").mkdir(parents=True, exist_ok=True)


def _run_rounds(order: RoundsOrder, rows: Sequence[CaseRow]) -> tuple[PseudoLabelScore, ...]:
    """All rounds; the truth is only looked at afterwards."""
    from pgt.reference.pseudo_label_rounds import run_rounds
    from pgt.volume_io import read_label_map

    truths = {row.case: (number, row.label) for number, row in enumerate(rows)}
    found = []
    for made in run_rounds(order, _Spoken()):
        for case in made.scored:
            number, label = truths[case.case]
            assert label is not None
            place = order.folder / f"round-{made.number}" / case.label
            score = float(np.mean(dice(read_label_map(place).voxels, read_label_map(label).voxels)))
            found.append(PseudoLabelScore(made.number, number, case.score, case.accepted, score))
    return tuple(found)


class _Spoken:
    """Says every minute where the rounds are."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, at: Progress) -> None:
        if time.monotonic() - self._said > 60:
            self._said = time.monotonic()
            print(f"{time.strftime('%H:%M:%S')} {at.message} ({at.done} of {at.total})", flush=True)


def _seconds(folder: Path) -> float:
    from pgt.reference.reference_card import read_card

    return float(read_card(folder).training["seconds"])
