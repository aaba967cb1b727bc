"""What a slice budget study tries out: the contents of its configuration file, and the cells that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pgt.errors import InputError
from pgt.plain_data import to_plain
from pgt.studies.evaluation import METRIC_NAMES, MetricName
from pgt.studies.networks import Architecture, NetworkShape

StrategyName = Literal["fixed", "staggered", "random", "representative"]
MethodName = Literal["auto", "network", "shape", "contour"]
DeviceName = Literal["auto", "cpu", "cuda"]
Direction = Literal["R", "A", "S"]

FEWEST_TEST_CASES = 3


@dataclass(frozen=True)
class StudiedNetwork:
    """A network and how it is trained; the same number of steps whatever the budget, as in the paper.

    Args:
        name: in results and on the page; letters, digits, ``-`` and ``_``.
        dimensions: 2 or 3.
        architecture: ``unet`` or ``dynunet`` (MONAI's).
        channels: of every level, the finest first.
        residual_units: of every level of the ``unet``.
        steps: of the optimizer.
        batch: slices or patches a step.
        learning_rate: at the start.
        mirrored: directions along which half of the samples are mirrored, ``R``, ``A`` or ``S``.
    """

    name: str
    dimensions: int
    architecture: Architecture = "unet"
    channels: tuple[int, ...] = (16, 32, 64)
    residual_units: int = 1
    steps: int = 400
    batch: int = 8
    learning_rate: float = 3e-3
    mirrored: tuple[Direction, ...] = ()

    def __post_init__(self) -> None:
        _ = self.shape  # refuses what no network can be
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InputError(f"learning_rate must be above 0, not {self.learning_rate}.")

    @property
    def shape(self) -> NetworkShape:
        """The network without its training."""
        return NetworkShape(self.name, self.dimensions, self.architecture, self.channels, self.residual_units)


@dataclass(frozen=True)
class Grid:
    """Every combination of these is tried; a study is the union of its grids.

    Args:
        densities: annotated part of each annotated volume's slices, above 0 and up to 1.
        volumes: annotated volumes.
        strategies: how the slices are chosen (:mod:`pgt.planning`).
        propagated: whether the slices between are filled in before training, false, true or both.
        networks: names; none for all.
    """

    densities: tuple[float, ...]
    volumes: tuple[int, ...]
    strategies: tuple[StrategyName, ...] = ("fixed",)
    propagated: tuple[bool, ...] = (False,)
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("densities", "volumes", "strategies", "propagated"):
            if not getattr(self, name):
                raise InputError(f"{name} is empty; there is nothing to try.")
        for density in self.densities:
            if not 0 < density <= 1:
                raise InputError(f"A density lies above 0 and is at most 1, not {density:g}.")
        if min(self.volumes) < 1:
            raise InputError(f"At least 1 volume must be annotated, not {min(self.volumes)}.")


@dataclass(frozen=True)
class SliceBudgetConfiguration:
    """A slice budget study.

    Args:
        cases: a table ``case,image,label`` of completely annotated cases; some train, the others test.
        grids: what is tried.
        networks: what is trained.
        spacing: of the grid to work on in mm, towards right, anterior and superior; null for the cases' own
            (the median).
        labels: label values to learn; null for all.
        slices_across: the direction across the slices that are drawn, ``R`` (sagittal slices), ``A``
            (coronal) or ``S`` (axial); null for the way most cases were scanned.
        test_cases: kept out of every training; the same for all.
        seeds: repetitions, each with volumes, random slices and first weights of its own.
        seed: of which cases are kept out.
        propagation_method: of `pgt propagate`.
        tolerance_mm: of NSD.
        metric: what the answers are about, ``dice``, ``iou`` or ``nsd``.
        margin: of the metric; less than this makes no difference (0.01 is one point).
    """

    cases: Path
    grids: tuple[Grid, ...]
    networks: tuple[StudiedNetwork, ...]
    spacing: tuple[float, float, float] | None = None
    labels: tuple[int, ...] | None = None
    slices_across: Direction | None = None
    test_cases: int = 20
    seeds: int = 3
    seed: int = 0
    propagation_method: MethodName = "auto"
    tolerance_mm: float = 1.0
    metric: MetricName = "dice"
    margin: float = 0.01

    def __post_init__(self) -> None:
        names = [network.name for network in self.networks]
        if not names or len(set(names)) != len(names):
            raise InputError("networks needs one network or more, each with a name of its own.")
        if not self.grids:
            raise InputError("grids is empty; there is nothing to try.")
        for grid in self.grids:
            unknown = [name for name in grid.networks if name not in names]
            if unknown:
                raise InputError(f"A grid names the network {unknown[0]!r}; there are {', '.join(names)}.")
        if self.spacing is not None and not all(0 < length < 1000 for length in self.spacing):
            raise InputError(f"spacing takes three lengths above 0 mm, not {list(self.spacing)}.")
        if self.labels is not None and (not self.labels or min(self.labels) < 1):
            raise InputError(f"labels takes label values from 1, not {list(self.labels)}.")
        if self.test_cases < FEWEST_TEST_CASES:
            raise InputError(
                f"test_cases must be at least {FEWEST_TEST_CASES}, not {self.test_cases}; "
                "fewer say nothing about other patients."
            )
        if self.seeds < 1 or self.seed < 0:
            raise InputError("seeds must be at least 1, and seed at least 0.")
        for name in ("tolerance_mm", "margin"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise InputError(f"{name} must be at least 0, not {getattr(self, name)}.")
        if self.metric not in METRIC_NAMES:
            raise InputError(f"metric must be {' or '.join(METRIC_NAMES)}, not {self.metric}.")

    @property
    def most_volumes(self) -> int:
        """The largest number of training cases that is tried."""
        return max(volumes for grid in self.grids for volumes in grid.volumes)

    def network(self, name: str) -> StudiedNetwork:
        """The network of a name."""
        return next(network for network in self.networks if network.name == name)

    def cells(self) -> tuple[SliceBudgetCell, ...]:
        """What there is to do, a whole seed after the other; each cell once, whichever grids name it."""
        return tuple(
            dict.fromkeys(
                SliceBudgetCell(option, seed) for seed in range(self.seeds) for option in self.options()
            )
        )

    def options(self) -> tuple[Option, ...]:
        """Everything that is tried, apart from seeds."""
        return tuple(
            dict.fromkeys(
                Option(name, density, volumes, strategy, propagated)
                for grid in self.grids
                for name in grid.networks or tuple(network.name for network in self.networks)
                for volumes in grid.volumes
                for density in grid.densities
                for strategy in grid.strategies
                for propagated in grid.propagated
            )
        )

    def behind_results(self) -> dict[str, Any]:
        """All that a cell's result depends on beside the cell: grids may grow, seeds may be added."""
        plain: dict[str, Any] = to_plain(self)
        for name in ("cases", "grids", "seeds", "metric", "margin"):
            del plain[name]
        return plain


@dataclass(frozen=True, order=True)
class Option:
    """One way to spend a budget.

    Args:
        network: name of what is trained.
        density: annotated part of each volume's slices.
        volumes: annotated volumes.
        strategy: how the slices are chosen.
        propagated: whether the slices between are filled in before training.
    """

    network: str
    density: float
    volumes: int
    strategy: StrategyName
    propagated: bool

    @property
    def budget(self) -> float:
        """What is annotated, in whole volumes."""
        return round(self.density * self.volumes, 6)

    @property
    def name(self) -> str:
        """Fit for a file name."""
        filled = "propagated" if self.propagated else "drawn"
        return f"{self.network}-d{self.density:g}-v{self.volumes}-{self.strategy}-{filled}"


@dataclass(frozen=True)
class SliceBudgetCell:
    """An option with one seed."""

    option: Option
    seed: int

    @property
    def name(self) -> str:
        """Of the cell's file."""
        return f"{self.option.name}-s{self.seed}"


EXAMPLE = SliceBudgetConfiguration(
    cases=Path("CASES.csv"),
    spacing=(2.0, 2.0, 2.0),
    slices_across="S",
    test_cases=20,
    seeds=3,
    networks=(
        StudiedNetwork("2D", 2, channels=(16, 32, 64), steps=400, batch=16, mirrored=("R",)),
        StudiedNetwork("3D", 3, channels=(8, 16, 32), steps=300, batch=2, mirrored=("R",)),
    ),
    grids=(
        Grid((0.1, 0.2, 0.4, 0.8), (5, 10, 20, 40)),
        Grid((0.1, 0.2), (10, 40), strategies=("random", "representative")),
        Grid((0.1, 0.2, 0.4), (10, 40), propagated=(True,)),
    ),
)
"""A configuration to begin with."""
