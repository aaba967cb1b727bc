"""The slice budget study: networks trained on a few slices of many volumes, or many slices of few.

Repeats the experiments of Zhang and Mazurowski, "How to select slices for annotation to train best-performing
deep learning segmentation models for cross-sectional medical images?", on a department's own cases: density
(their section 2.1.1), mask interpolation (2.1.2) and slice sampling (2.1.3), for 2D and 3D networks, on the
same kept-out cases throughout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.planning import usual_axis
from pgt.propagation.fillers import choose_device
from pgt.studies.cells import CellFolder, Result, fingerprint_of, run_cells
from pgt.studies.evaluation import Score, scores_of
from pgt.studies.networks import build_network, parameter_count
from pgt.studies.slice_budget_configuration import (
    DeviceName,
    Direction,
    SliceBudgetCell,
    SliceBudgetConfiguration,
)
from pgt.studies.sparse_cases import SparseCase, SparseCases
from pgt.studies.study_cases import ORIENTATION, CaseReader, StudyCase, read_cases, study_rows
from pgt.studies.supervised import (
    TrainingSettings,
    patch_for,
    predict_probabilities,
    train_network,
)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class SliceBudgetResults:
    """What came of a study.

    Args:
        configuration: what was tried.
        cells: results by the cells' names (:func:`_Study.run_one`).
        training: number of cases to choose from.
        test: how many cases were kept out.
        values: label values.
        across: direction across the slices.
        spacing: of the working grid in mm.
    """

    configuration: SliceBudgetConfiguration
    cells: dict[str, Result]
    training: int
    test: int
    values: tuple[int, ...]
    across: Direction
    spacing: tuple[float, float, float]


def check_study(configuration: SliceBudgetConfiguration) -> tuple[CaseRow, ...]:
    """The cases of a study, refused where it cannot be done; cheap.

    Raises:
        InputError: the table cannot be read, a file is missing, or there are too few cases.
    """
    rows = study_rows(configuration.cases)
    needed = configuration.test_cases + configuration.most_volumes
    if len(rows) < needed:
        raise InputError(
            f"{configuration.cases} lists {len(rows)} cases; the study needs {needed}, "
            f"{configuration.most_volumes} to train and {configuration.test_cases} to test."
        )
    return rows


def run_study(
    configuration: SliceBudgetConfiguration,
    folder: Path,
    device: DeviceName = "auto",
    force: bool = False,
    progress: Progress = lambda done, total, message: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> SliceBudgetResults:
    """Do what is missing of a study.

    Args:
        configuration: what to try.
        folder: for the cells' results, made where missing.
        device: "auto", "cpu" or "cuda".
        force: begin anew in a folder that holds another study.
        progress: told of cells done, cells in all and what is being done.
        cancelled: asked before every step of a training.

    Raises:
        InputError: see :func:`check_study`; or a file cannot be read.
        OutputError: the folder holds another study, or cannot be written.
        DeviceError: the device asked for is not there.
        Cancelled: ``cancelled`` said so; finished cells stay.
    """
    rows = check_study(configuration)
    kind: DeviceName = "cuda" if choose_device(device) == "cuda" else "cpu"
    store = CellFolder(folder, fingerprint_of(configuration.behind_results(), rows))
    store.prepare(force)
    cells = configuration.cells()
    reader, cases = read_cases(
        rows,
        configuration.spacing,
        configuration.labels,
        lambda done, total: progress(0, len(cells), f"Reading case {done} of {total}"),
    )
    study = _Study(configuration, reader, cases, kind, progress, cancelled)
    results = run_cells(cells, store, study.run_one, study.began, cancelled)
    return SliceBudgetResults(
        configuration,
        results,
        len(study.pool),
        len(study.test),
        reader.values,
        study.across,
        reader.spacing,
    )


class _Study:
    """The cases of a study and how one cell of it is done."""

    def __init__(
        self,
        configuration: SliceBudgetConfiguration,
        reader: CaseReader,
        cases: Sequence[StudyCase],
        device: DeviceName,
        progress: Progress,
        cancelled: Callable[[], bool],
    ) -> None:
        self.configuration, self.reader, self.device = configuration, reader, device
        order = np.random.default_rng(configuration.seed).permutation(len(cases))
        self.test = [cases[place] for place in sorted(order[: configuration.test_cases])]
        self.pool = [cases[place] for place in sorted(order[configuration.test_cases :])]
        self.across: Direction = configuration.slices_across or _usual_direction(cases)
        self.sparse = SparseCases(ORIENTATION.index(self.across), configuration.propagation_method, device)
        # Results name cases by their place in the table, since a case's name may be a patient's.
        self._line = {case.case: f"{number + 1:04d}" for number, case in enumerate(cases)}
        self._shapes = [case.image.shape for case in cases]
        self._progress, self._cancelled = progress, cancelled
        self._at = (0, 0)

    def began(self, done: int, total: int, name: str) -> None:
        """A cell begins."""
        self._at = (done, total)
        self._progress(done, total, name)

    def run_one(self, cell: SliceBudgetCell) -> dict[str, Any]:
        """Annotate, train and measure; what JSON can hold."""
        option = cell.option
        drawn = [
            self.sparse.drawn(case, option.density, option.strategy, option.propagated, cell.seed)
            for case in self.chosen(option.volumes, cell.seed)
        ]
        settings = self._settings(cell)
        network = build_network(
            self.configuration.network(option.network).shape, self.reader.classes, cell.seed
        )
        done, total = self._at
        curve = train_network(
            network,
            [one.training for one in drawn],
            settings,
            lambda step, steps: self._progress(done, total, f"{cell.name}, step {step} of {steps}"),
            self._cancelled,
        )
        scores: list[Score] = []
        for case in self.test:
            labels = self.reader.labelled(predict_probabilities(network, case.image, settings), case.truth)
            scores += scores_of(
                self._line[case.case],
                labels,
                case.truth.voxels,
                case.truth.geometry,
                self.reader.values,
                self.configuration.tolerance_mm,
            )
        return {
            "cases": [self._line[one.training.case] for one in drawn],
            **_annotation_facts(drawn),
            "parameters": parameter_count(network),
            "training_losses": [round(loss, 5) for loss in curve.losses],
            "training_seconds": round(curve.seconds, 2),
            "device": self.device,
            "scores": [score.plain() for score in scores],
        }

    def chosen(self, volumes: int, seed: int) -> list[StudyCase]:
        """The training cases of a seed; fewer of them are always among more of them."""
        order = np.random.default_rng((self.configuration.seed, seed)).permutation(len(self.pool))
        return [self.pool[place] for place in order[:volumes]]

    def _settings(self, cell: SliceBudgetCell) -> TrainingSettings:
        network = self.configuration.network(cell.option.network)
        axis = self.sparse.axis
        return TrainingSettings(
            patch=patch_for(self._shapes, network.dimensions, axis, network.shape.divisor),
            dimensions=network.dimensions,
            steps=network.steps,
            batch=network.batch,
            learning_rate=network.learning_rate,
            axis=axis,
            flips=tuple(ORIENTATION.index(direction) for direction in network.mirrored),
            seed=cell.seed,
            device=self.device,
        )


def _annotation_facts(drawn: Sequence[SparseCase]) -> dict[str, Any]:
    filled = [one.filled_iou for one in drawn if one.filled_iou is not None]
    return {
        "drawn_slices": sum(len(one.slices) for one in drawn),
        "drawn_fraction": round(float(np.mean([one.fraction for one in drawn])), 5),
        "filled_cases": len(filled),
        "filled_iou": round(float(np.mean(filled)), 5) if filled else None,
    }


def _usual_direction(cases: Sequence[StudyCase]) -> Direction:
    """Across which slices most cases were scanned."""
    directions: list[Direction] = []
    for case in cases:
        letter = case.truth.geometry.orientation[usual_axis(case.truth.geometry)]
        directions.append("R" if letter in "RL" else "A" if letter in "AP" else "S")
    return Counter(directions).most_common(1)[0][0]
