"""What a study of label quality is to do: the entries of its JSON file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pgt.errors import InputError
from pgt.studies.label_versions import (
    BASE,
    ColumnVersion,
    LabelVersion,
    PerturbedVersion,
    PredictedVersion,
    PropagatedVersion,
    slug,
)


@dataclass(frozen=True)
class Structure:
    """A structure, and the label values that count as it."""

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class FineTuning:
    """A second task with few original labels, for networks that were pre-trained on every version.

    Args:
        cases: its case list; no image of it may be in the study's own.
        training_cases: that are learnt from; the others are kept out.
        structures: of the second task; those of the study by default.
        pretrained_on: structures as the networks to be fine-tuned shall have learnt them; those of the study
            by default, whose networks are then taken. Another list costs a training for each version and
            seed.
        steps: of each fine-tuning.
        learning_rate: at the start; the study's by default, as in the paper.
    """

    cases: Path
    training_cases: int = 8
    structures: tuple[Structure, ...] | None = None
    pretrained_on: tuple[Structure, ...] | None = None
    steps: int = 100
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        if self.training_cases < 1 or self.steps < 1:
            raise InputError("Fine-tuning needs at least one training case and one step.")


@dataclass(frozen=True)
class LabelQualityConfiguration:
    """A study of label quality.

    Args:
        cases: a table with the columns case, image and label (the base labels).
        structures: to segment; every label value by default.
        propagated, predicted, perturbed, columns: the versions of the labels beside the base.
        spacing_mm: of the networks' voxels towards right, anterior and superior; else the cases' median.
        tolerance_mm: of NSD.
        kept_out: share of the cases that no training sees.
        seeds: of the trainings, each of which is repeated for every version.
        channels: of the DynUNet's levels.
        steps: of each training.
        batch: cases a step.
        learning_rate: at the start; it falls to 0 along a cosine.
        patch: voxels of a patch; whole cases by default, up to 128 along an axis.
        foreground: share of patches around a labelled voxel. Above 0, patches smaller than the cases differ
            between versions, since what is labelled does.
        fine_tuning: the second task; without one, only in-domain results.
        agreement: report.json of ``pgt agree`` on the same structures, to compare with what raters reach.
        split_seed: of the division into training and kept-out cases, of folds, and of perturbations.
    """

    cases: Path
    structures: tuple[Structure, ...] | None = None
    propagated: tuple[PropagatedVersion, ...] = ()
    predicted: tuple[PredictedVersion, ...] = ()
    perturbed: tuple[PerturbedVersion, ...] = ()
    columns: tuple[ColumnVersion, ...] = ()
    spacing_mm: tuple[float, float, float] | None = None
    tolerance_mm: float = 1.0
    kept_out: float = 0.2
    seeds: tuple[int, ...] = (0, 1, 2)
    channels: tuple[int, ...] = (8, 16, 32)
    steps: int = 300
    batch: int = 2
    learning_rate: float = 1e-3
    patch: tuple[int, int, int] | None = None
    foreground: float = 0.0
    fine_tuning: FineTuning | None = None
    agreement: Path | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        names = [slug(version.name) for version in self.versions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"Two label versions are called {twice[0]}; each needs a name of its own.")
        if not names:
            raise InputError(
                "There is no label version beside the base; give some under propagated, predicted, perturbed "
                "or columns."
            )
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise InputError(f"seeds are different whole numbers from 0, not {list(self.seeds)}.")
        if not 0 < self.kept_out < 1:
            raise InputError(f"kept_out is a share between 0 and 1, not {self.kept_out}.")
        if not (0 <= self.tolerance_mm < math.inf):
            raise InputError(f"A tolerance_mm of {self.tolerance_mm} is no distance.")
        if self.spacing_mm is not None and not all(0 < length < 1000 for length in self.spacing_mm):
            raise InputError(f"spacing_mm has three lengths above 0 mm, not {list(self.spacing_mm)}.")
        if self.steps < 1 or self.batch < 1 or self.split_seed < 0:
            raise InputError("steps and batch are whole numbers from 1, and split_seed one from 0.")

    @property
    def versions(self) -> tuple[LabelVersion, ...]:
        """Every version beside the base, in the order of the file."""
        return (*self.propagated, *self.predicted, *self.perturbed, *self.columns)

    @property
    def version_names(self) -> tuple[str, ...]:
        """The base, and every other version."""
        return (BASE, *(version.name for version in self.versions))


EXAMPLE = LabelQualityConfiguration(
    cases=Path("CASES.csv"),
    structures=(Structure("liver", (1,)), Structure("kidneys", (2, 3))),
    propagated=(PropagatedVersion("5 slices", 5, method="auto"),),
    predicted=(
        PredictedVersion("strong network", steps=300),
        PredictedVersion("weak network", channels=(4, 8, 16), steps=60, cases=8),
    ),
    perturbed=(PerturbedVersion("uneven", "uneven", 2.0),),
    columns=(ColumnVersion("second rater", "label_b"),),
    fine_tuning=FineTuning(Path("OTHERS.csv"), training_cases=8, steps=300),
)
"""A configuration to begin with."""
