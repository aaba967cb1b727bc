"""What a study of label quality measured, put together from its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.studies.cells import Result
from pgt.studies.label_quality import METRICS, Quality, aggregated
from pgt.studies.label_quality_cells import FineTuningCell, TrainingCell, VersionCell
from pgt.studies.label_quality_configuration import LabelQualityConfiguration
from pgt.studies.label_versions import BASE, NONE

Numbers = NDArray[np.float64]

UNLEARNT = 0.05
"""A structure below this mean Dice was not learnt at all."""


@dataclass(frozen=True, eq=False)
class TaskResults:
    """How networks fared on the kept-out cases of one task, against the base labels.

    Args:
        structures: of the task.
        versions: what the networks had learnt from.
        scores: [version, seed, kept-out case, structure, metric].
        unlearnt: seeds that are left out of the scores, because not even the networks that had learnt from
            the base labels learnt every structure: their trainings did not converge, and say nothing of
            labels. Where this is so with every seed, all stay.
    """

    structures: tuple[str, ...]
    versions: tuple[str, ...]
    scores: Numbers
    unlearnt: tuple[int, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the networks that had learnt from the base labels learnt every structure with some seed."""
        return bool(_learnt(self.scores[self.row(BASE)]).any())

    def by_case(self, metric: str) -> Numbers:
        """Mean over the structures, [version, seed, kept-out case]."""
        return self.scores[..., METRICS.index(metric)].mean(axis=3)

    def row(self, version: str) -> int:
        """Place of a version."""
        return self.versions.index(version)

    def quality(self, version: str, metric: str) -> Quality:
        """Mean over the seeds first, then equations 2 and 4 over the kept-out cases."""
        scores = self.scores[self.row(version), ..., METRICS.index(metric)].mean(axis=0)
        return aggregated(scores, self.structures)

    def without_unlearnt(self, seeds: Sequence[int]) -> TaskResults:
        """Only the seeds with which the task was learnt from the base labels.

        Args:
            seeds: of the scores, in order.
        """
        learnt = _learnt(self.scores[self.row(BASE)])
        if learnt.all() or not learnt.any():
            return self
        unlearnt = tuple(seed for seed, kept in zip(seeds, learnt, strict=True) if not kept)
        return replace(self, scores=self.scores[:, learnt], unlearnt=unlearnt)

    def seed_means(self, version: str, metric: str) -> Numbers:
        """Mean over cases and structures, [seed]."""
        return self.by_case(metric)[self.row(version)].mean(axis=1)


@dataclass(frozen=True, eq=False)
class LabelQualityResults:
    """Everything that was measured.

    Args:
        structures: that all versions can hold.
        left_out: structures of the base that some version cannot hold (equation 3).
        versions: the base and the others.
        described: how each version came about, in words.
        labels: quality of the labels, [version, case, structure, metric].
        in_domain: of networks trained on each version.
        fine_tuned: of networks fine-tuned on the second task; None without one.
        training_cases: of the study.
    """

    structures: tuple[str, ...]
    left_out: tuple[str, ...]
    versions: tuple[str, ...]
    described: Mapping[str, str]
    labels: Numbers
    in_domain: TaskResults
    fine_tuned: TaskResults | None
    training_cases: int

    def label_quality(self, version: str, metric: str) -> Quality:
        """Equations 2 to 4 for a version of the labels."""
        scores = self.labels[self.versions.index(version), ..., METRICS.index(metric)]
        return aggregated(scores, self.structures)

    def labels_by_case(self, metric: str) -> Numbers:
        """Mean over the structures, [version, case]."""
        return self.labels[..., METRICS.index(metric)].mean(axis=2)


def gathered(
    configuration: LabelQualityConfiguration,
    found: Mapping[str, Result],
    structures: tuple[str, ...],
    left_out: tuple[str, ...],
    second_structures: tuple[str, ...] | None,
    training_cases: int,
) -> LabelQualityResults:
    """Put the cells of a study together.

    Args:
        configuration: of the study.
        found: every cell's result by its name.
        structures: that all versions can hold, in the order of the scores.
        left_out: the others of the base.
        second_structures: of the task to fine-tune on; None without one.
        training_cases: how many.
    """
    names, seeds = configuration.version_names, configuration.seeds
    judged = [_scores(found[VersionCell(name).name]) for name in names if name != BASE]
    in_domain = [[_scores(found[TrainingCell(name, seed).name]) for seed in seeds] for name in names]
    tuned = None
    if second_structures is not None:
        learnt = (NONE, *names)
        scores = [[_scores(found[FineTuningCell(name, seed).name]) for seed in seeds] for name in learnt]
        tuned = TaskResults(second_structures, learnt, np.array(scores)).without_unlearnt(seeds)
    described = {version.name: version.words for version in configuration.versions}
    return LabelQualityResults(
        structures=structures,
        left_out=left_out,
        versions=names,
        described={BASE: "the rater's own", **described},
        labels=np.stack([np.ones_like(judged[0]), *judged]),
        in_domain=TaskResults(structures, names, np.array(in_domain)).without_unlearnt(seeds),
        fine_tuned=tuned,
        training_cases=training_cases,
    )


def _learnt(scores: Numbers) -> NDArray[np.bool_]:
    """With which seeds every structure was learnt, [seed], from [seed, case, structure, metric]."""
    learnt: NDArray[np.bool_] = (scores[..., METRICS.index("dice")].mean(axis=1) >= UNLEARNT).all(axis=1)
    return learnt


def _scores(result: Result) -> NDArray[Any]:
    return np.array(result["scores"], dtype=np.float64)
