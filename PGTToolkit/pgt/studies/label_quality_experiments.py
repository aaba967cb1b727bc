"""Do one experiment of a study of label quality (Jaus et al., sections 2.1 and 3).

A training sees the same cases in the same order from the same first weights, whichever version of the labels
it learns: only the labels differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pgt.errors import Cancelled
from pgt.studies.cells import Result
from pgt.studies.label_quality_cells import (
    FineTuningCell,
    GeneratorCell,
    QualityCell,
    TrainingCell,
    VersionCell,
)
from pgt.studies.label_quality_configuration import FineTuning, LabelQualityConfiguration
from pgt.studies.label_quality_task import SegmentationTask, class_map, read_on_grid
from pgt.studies.label_versions import (
    BASE,
    NONE,
    ColumnVersion,
    LabelVersion,
    PerturbedVersion,
    PredictedVersion,
    PropagatedVersion,
    column_file,
    folds_of,
    generator_cases,
    perturbed_labels,
    propagated_labels,
    slug,
    split_cases,
)
from pgt.studies.networks import NetworkShape, build_network
from pgt.studies.study_cases import read_pair
from pgt.studies.study_store import StudyStore
from pgt.studies.supervised import TrainingCase, TrainingCurve, TrainingSettings, patch_for, train_network
from pgt.volume import LabelMap

HEAD = "output_block"
"""In the names of the parameters that belong to the structures, not to what was learnt of images."""

_WEIGHT_DECAY = 0.01
"""Of AdamW; the paper says nothing, this is the optimiser's usual one."""


@dataclass(frozen=True, eq=False)
class Experiments:
    """Everything that the experiments of one study share.

    Args:
        configuration: of the study.
        store: for networks and label maps.
        task: cases and structures of the study.
        pretraining: the same cases with the structures to pre-train on; ``task`` itself where they are its.
        second: the task to fine-tune on; None without one.
        device: "cpu" or "cuda".
        cancelled: asked before every step.
    """

    configuration: LabelQualityConfiguration
    store: StudyStore
    task: SegmentationTask
    pretraining: SegmentationTask
    second: SegmentationTask | None
    device: str
    cancelled: Callable[[], bool] = lambda: False

    @property
    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training cases and kept-out ones, by number."""
        return split_cases(len(self.task.cases), self.configuration.kept_out, self.configuration.split_seed)

    @property
    def second_split(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Cases of the second task that are learnt from, and those kept out."""
        tuning, second = self._tuning
        order = np.random.default_rng([self.configuration.split_seed, 7]).permutation(len(second.cases))
        learnt = sorted(int(case) for case in order[: tuning.training_cases])
        return tuple(learnt), tuple(sorted(int(case) for case in order[tuning.training_cases :]))

    def run(self, cell: QualityCell) -> Result:
        """Do one experiment.

        Raises:
            InputError: labels of the version cannot be read or do not fit.
            OutputError: the disk is full.
            Cancelled: ``cancelled`` said so.
        """
        if isinstance(cell, GeneratorCell):
            self.generator(cell)
            return {}
        if isinstance(cell, VersionCell):
            return self._judged(cell)
        if isinstance(cell, TrainingCell):
            return self._trained(cell)
        return self._fine_tuned(cell)

    # --- versions of the labels

    def generator(self, cell: GeneratorCell) -> torch.nn.Module:
        """The network that predicts one fold for a version, trained on base labels of other folds."""
        version = self._version(cell.version)
        assert isinstance(version, PredictedVersion)
        shape = NetworkShape("generator", 3, "dynunet", version.channels)
        seed = self.configuration.split_seed
        network = build_network(shape, self.task.reader.classes, seed=seed + cell.fold)
        if self.store.restore_network(cell.name, network):
            return network
        numbers = generator_cases(cell.fold, self._folds(version), self.split[0], version.cases, seed)
        cases = [self.task.training_case(number) for number in numbers]
        self._train(network, cases, self._settings(shape, version.steps, seed + cell.fold))
        self.store.keep_network(cell.name, network)
        return network

    def labels(self, name: str, number: int) -> LabelMap | None:
        """Classes of a version's label map of a case on its own grid; None for the base."""
        if name == BASE:
            return None
        return class_map(self.store.labels(slug(name), number), self.task.scheme)

    def _make(self, name: str) -> None:
        """Make the label maps of a version where they are missing."""
        if name == BASE or self.store.has_labels(slug(name)):
            return
        version = self._version(name)
        self.store.keep_labels(slug(name), self._made(version), version.words)

    def _made(self, version: LabelVersion) -> Iterator[LabelMap]:
        folds, networks = None, {}
        if isinstance(version, PredictedVersion):
            folds = self._folds(version)
            networks = {
                fold: self.generator(GeneratorCell(version.name, fold)) for fold in range(version.folds)
            }
        for number, row in enumerate(self.task.rows):
            if self.cancelled():
                raise Cancelled
            base = self.task.cases[number].truth
            if isinstance(version, PropagatedVersion):
                classes = propagated_labels(read_pair(row)[0], base, version, self.device)
            elif isinstance(version, PerturbedVersion):
                classes = perturbed_labels(base, version, self.configuration.split_seed, number)
            elif isinstance(version, ColumnVersion):
                classes = self._from_column(version, number)
            else:
                assert folds is not None
                shape = NetworkShape("generator", 3, "dynunet", version.channels)
                settings = self._settings(shape, version.steps, 0)
                classes = self.task.predicted(networks[int(folds[number])], number, settings)
            yield self.task.values_of(classes)

    def _from_column(self, version: ColumnVersion, number: int) -> LabelMap:
        row = self.task.rows[number]
        path = column_file(row, version, self.configuration.cases)
        labels = read_on_grid(path, self.task.cases[number].truth.geometry, row.case)
        return class_map(labels, self.task.scheme)

    def _judged(self, cell: VersionCell) -> Result:
        self._make(cell.version)
        scores = []
        for number in range(len(self.task.cases)):
            labels = self.labels(cell.version, number)
            assert labels is not None
            scores.append(self.task.scored(labels, number, self.configuration.tolerance_mm))
        return {"scores": _plain(scores)}

    # --- training

    def network(self, cell: TrainingCell) -> tuple[torch.nn.Module, TrainingCurve | None]:
        """The network trained on a version, and how that went; None for one that was kept."""
        task = self.pretraining if cell.pretraining else self.task
        network = build_network(self._shape, task.reader.classes, seed=cell.seed)
        if self.store.restore_network(cell.name, network):
            return network, None
        self._make(cell.version)
        cases = []
        for number in (int(case) for case in self.split[0]):
            classes = self.labels(cell.version, number)
            if classes is not None and cell.pretraining:
                classes = class_map(self.task.values_of(classes), task.scheme)
            cases.append(task.training_case(number, classes))
        curve = self._train(network, cases, self._settings(self._shape, self.configuration.steps, cell.seed))
        self.store.keep_network(cell.name, network)
        return network, curve

    def _trained(self, cell: TrainingCell) -> Result:
        network, curve = self.network(cell)
        task = self.pretraining if cell.pretraining else self.task
        kept = [int(case) for case in self.split[1]]
        return self._scores(network, task, kept, curve)

    def _fine_tuned(self, cell: FineTuningCell) -> Result:
        tuning, second = self._tuning
        network = build_network(self._shape, second.reader.classes, seed=cell.seed)
        if cell.version != NONE:
            own = tuning.pretrained_on is not None
            pretrained, _ = self.network(TrainingCell(cell.version, cell.seed, pretraining=own))
            self._take_over(network, pretrained, second)
        learnt, kept = self.second_split
        rate = tuning.learning_rate or self.configuration.learning_rate
        settings = self._settings(self._shape, tuning.steps, cell.seed, rate)
        curve = self._train(network, [second.training_case(number) for number in learnt], settings)
        return self._scores(network, second, kept, curve)

    def _take_over(
        self, network: torch.nn.Module, pretrained: torch.nn.Module, second: SegmentationTask
    ) -> None:
        """Pre-trained weights; the last layer stays as new where it was for other structures."""
        same = self.pretraining.scheme.names == second.scheme.names
        state = pretrained.state_dict()
        taken = {key: value for key, value in state.items() if same or HEAD not in key}
        network.load_state_dict({**network.state_dict(), **taken})

    def _scores(
        self,
        network: torch.nn.Module,
        task: SegmentationTask,
        numbers: Sequence[int],
        curve: TrainingCurve | None,
    ) -> Result:
        settings = self._settings(self._shape, 1, 0)
        scores = []
        for number in numbers:
            if self.cancelled():
                raise Cancelled
            labels = task.predicted(network, number, settings)
            scores.append(task.scored(labels, number, self.configuration.tolerance_mm))
        result: dict[str, Any] = {"scores": _plain(scores)}
        if curve is not None:
            result |= {
                "losses": [round(loss, 5) for loss in curve.losses],
                "seconds": round(curve.seconds, 1),
            }
        return result

    def _train(
        self, network: torch.nn.Module, cases: Sequence[TrainingCase], settings: TrainingSettings
    ) -> TrainingCurve:
        return train_network(network, cases, settings, cancelled=self.cancelled)

    # --- what hangs on the configuration

    @property
    def _shape(self) -> NetworkShape:
        return NetworkShape("dynunet", 3, "dynunet", self.configuration.channels)

    def _settings(
        self, shape: NetworkShape, steps: int, seed: int, learning_rate: float | None = None
    ) -> TrainingSettings:
        return TrainingSettings(
            patch=self._patch(shape),
            steps=steps,
            batch=self.configuration.batch,
            learning_rate=learning_rate or self.configuration.learning_rate,
            schedule="cosine",
            weight_decay=_WEIGHT_DECAY,
            foreground=self.configuration.foreground,
            seed=seed,
            device=self.device,
        )

    def _patch(self, shape: NetworkShape) -> tuple[int, ...]:
        """That of the study's cases for the second task, too: crop and resolution stay."""
        if self.configuration.patch is None:
            return patch_for([case.image.shape for case in self.task.cases], 3, 2, shape.divisor)
        return patch_for([self.configuration.patch], 3, 2, shape.divisor)

    @property
    def _tuning(self) -> tuple[FineTuning, SegmentationTask]:
        tuning = self.configuration.fine_tuning
        assert tuning is not None
        assert self.second is not None
        return tuning, self.second

    def _version(self, name: str) -> LabelVersion:
        return next(version for version in self.configuration.versions if version.name == name)

    def _folds(self, version: PredictedVersion) -> NDArray[np.int64]:
        return folds_of(len(self.task.cases), version.folds, self.configuration.split_seed)


def _plain(scores: Sequence[NDArray[np.float64]]) -> list[list[list[float]]]:
    """[case, structure, metric] as JSON holds it."""
    return [[[round(float(score), 6) for score in row] for row in case] for case in scores]
