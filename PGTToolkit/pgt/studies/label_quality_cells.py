"""The experiments of a study of label quality, one cell each, each after those that it needs."""

from __future__ import annotations

from dataclasses import dataclass

from pgt.studies.label_quality_configuration import LabelQualityConfiguration
from pgt.studies.label_versions import NONE, PredictedVersion, slug


@dataclass(frozen=True)
class GeneratorCell:
    """Train the network that will predict one fold for a version of the labels."""

    version: str
    fold: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"generator-{slug(self.version)}-{self.fold}"


@dataclass(frozen=True)
class VersionCell:
    """Make a version of the labels, and measure it against the base."""

    version: str

    @property
    def name(self) -> str:
        """Of its files."""
        return f"labels-{slug(self.version)}"


@dataclass(frozen=True)
class TrainingCell:
    """Train on a version; ``pretraining`` where the structures are those to pre-train on."""

    version: str
    seed: int
    pretraining: bool = False

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{'pretrained' if self.pretraining else 'trained'}-{slug(self.version)}-{self.seed}"


@dataclass(frozen=True)
class FineTuningCell:
    """Fine-tune the network that was pre-trained on a version, or one that was not pre-trained."""

    version: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"finetuned-{slug(self.version)}-{self.seed}"


QualityCell = GeneratorCell | VersionCell | TrainingCell | FineTuningCell


def cells_of(configuration: LabelQualityConfiguration) -> tuple[QualityCell, ...]:
    """Every experiment of a study; seed by seed, so that one that is stopped has whole seeds."""
    cells: list[QualityCell] = []
    for version in configuration.versions:
        if isinstance(version, PredictedVersion):
            cells += [GeneratorCell(version.name, fold) for fold in range(version.folds)]
        cells.append(VersionCell(version.name))
    tuning = configuration.fine_tuning
    for seed in configuration.seeds:
        cells += [TrainingCell(name, seed) for name in configuration.version_names]
        if tuning is None:
            continue
        if tuning.pretrained_on is not None:
            cells += [TrainingCell(name, seed, pretraining=True) for name in configuration.version_names]
        cells += [FineTuningCell(name, seed) for name in (NONE, *configuration.version_names)]
    return tuple(cells)
