"""Raters whose errors are known: what the statistics of agreement are held against.

Each case is an ellipsoid or a bent tube. A rater moves its boundary, along the normal, by a smooth random
field that is new for every rater and case (between raters) and by another that is new for every session
(within a rater); the standard deviations in mm are the rater's. A rater may also err systematically: draw
everything larger (``grow_mm``) or shifted (``shift_mm``). Cases differ in how hard they are, which multiplies
all random errors.

``Study.pairs`` scores the pairs straight from the arrays (Dice, and the mean distance of the two boundaries
along the normal as ``assd_mm``), fast enough for thousands of studies; ``Study.readings`` gives the same
drawings as readings, for everything that takes those. To see a rater who errs systematically named as the
outlier::

    study = Study((SimulatedRater("a"), SimulatedRater("b"), SimulatedRater("c", grow_mm=1.5)))
    outliers(study.readings(cases=10, seed=1))      # c, larger
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import Reading, Sitting
from pgt.agreement.results import Occupancy, PairKind, PairScores
from pgt.geometry import Geometry

LABEL = "structure"
KNOTS = 5
"""Of the random fields, along each axis."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class SimulatedRater:
    """Standard deviations of the boundary in mm, between raters and within; systematic errors in mm."""

    name: str
    between_mm: float = 0.6
    within_mm: float = 0.3
    grow_mm: float = 0.0
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


RATERS = (SimulatedRater("a", 0.5, 0.25), SimulatedRater("b", 0.6, 0.3), SimulatedRater("c", 0.7, 0.35))


@dataclass(frozen=True, eq=False)
class Drawings:
    """One case: signed distances in mm to each boundary (raters, sessions, i, j, k), and to the true one."""

    distances: Array
    truth: Array

    @property
    def masks(self) -> NDArray[np.bool_]:
        return self.distances < 0


@dataclass(frozen=True)
class Study:
    """Who draws, how often, on which grid."""

    raters: Sequence[SimulatedRater] = RATERS
    sessions: int = 2
    geometry: Geometry = Geometry((24, 24, 18), (1.0, 1.0, 1.3))  # noqa: RUF009 - it is frozen

    def drawings(self, cases: int, seed: int) -> Iterator[Drawings]:
        """Case after case."""
        random = np.random.default_rng(seed)
        basis = [_basis(size) for size in self.geometry.shape]
        centres = self._points((0, 0, 0))
        for _ in range(cases):
            shape = _ellipsoid(random) if random.random() < 0.5 else _tube(random)
            hardness = random.lognormal(0, 0.3)
            count = len(self.raters)
            between = _fields(random, (count, 1), basis)
            within = _fields(random, (count, self.sessions), basis)
            sizes = np.array([[rater.between_mm, rater.within_mm] for rater in self.raters])
            sizes = (hardness * sizes[:, :, None, None, None, None]).astype(np.float32)
            moved = sizes[:, 0] * between + sizes[:, 1] * within
            truth = shape(centres)
            own = [
                (shape(self._points(rater.shift_mm)) if any(rater.shift_mm) else truth) - rater.grow_mm
                for rater in self.raters
            ]
            yield Drawings(np.stack(own)[:, None] - moved, truth)

    def readings(self, cases: int, seed: int) -> tuple[Reading, ...]:
        """Every rater's every session of every case."""
        return tuple(
            Reading(_case(number), sitting, self.geometry, {LABEL: CroppedMask.of(mask)})
            for number, drawn in enumerate(self.drawings(cases, seed))
            for sitting, mask in zip(
                self.sittings, drawn.masks.reshape(-1, *self.geometry.shape), strict=True
            )
        )

    def pairs(self, cases: int, seed: int) -> tuple[PairScores, ...]:
        """Scores of every two sittings in every case."""
        voxel_ml = self.geometry.voxel_volume / 1000
        found = []
        for number, drawn in enumerate(self.drawings(cases, seed)):
            masks = drawn.masks.reshape(len(self.sittings), -1).astype(np.float32)
            shared = masks @ masks.T
            boundary = np.abs(drawn.truth.ravel()) < 1
            distances = drawn.distances.reshape(len(self.sittings), -1)[:, boundary]
            for a, b in combinations(range(len(self.sittings)), 2):
                first, second = self.sittings[a], self.sittings[b]
                values = {
                    "dice": float(2 * shared[a, b] / (shared[a, a] + shared[b, b])),
                    "assd_mm": float(np.abs(distances[a] - distances[b]).mean()),
                }
                kind = PairKind.INTRA if first.rater == second.rater else PairKind.INTER
                volumes = float(shared[a, a] * voxel_ml), float(shared[b, b] * voxel_ml)
                found.append(
                    PairScores(_case(number), LABEL, first, second, kind, values, Occupancy.BOTH, *volumes)
                )
        return tuple(found)

    @property
    def sittings(self) -> list[Sitting]:
        return [
            Sitting(rater.name, str(session + 1)) for rater in self.raters for session in range(self.sessions)
        ]

    def _points(self, shift_mm: Sequence[float]) -> Array:
        """Voxel centres (3, i, j, k) in mm from the middle, as seen by a rater who draws shifted."""
        axes = [
            (np.arange(size) - (size - 1) / 2) * along - shift
            for size, along, shift in zip(self.geometry.shape, self.geometry.spacing, shift_mm, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


class _ellipsoid:  # noqa: N801 - called like a function
    """Signed distance in mm to a random ellipsoid, to first order (exact on the boundary)."""

    def __init__(self, random: np.random.Generator) -> None:
        self.radii = random.uniform(4.5, 8, 3).astype(np.float32)[:, None, None, None]
        self.centre = random.uniform(-0.5, 0.5, 3).astype(np.float32)[:, None, None, None]

    def __call__(self, points: Array) -> Array:
        there = (points - self.centre) / self.radii
        norm = np.sqrt((there**2).sum(axis=0))
        slope = np.sqrt(((there / self.radii) ** 2).sum(axis=0))
        return norm * (norm - 1) / np.maximum(slope, 1e-9)


class _tube:  # noqa: N801 - called like a function
    """Signed distance in mm to a random bent tube."""

    def __init__(self, random: np.random.Generator) -> None:
        along = np.linspace(-7, 7, 15)
        bend, side = random.uniform(-0.06, 0.06), random.uniform(-0.3, 0.3)
        self.line = np.stack([along, bend * along**2, side * along], axis=1).astype(np.float32)
        self.radius = random.uniform(3, 4.5)

    def __call__(self, points: Array) -> Array:
        there = points.reshape(3, -1)
        squares = (self.line**2).sum(axis=1)[:, None] - 2 * self.line @ there + (there**2).sum(axis=0)
        return np.sqrt(np.maximum(squares.min(axis=0), 0)).reshape(points.shape[1:]) - self.radius


def _basis(size: int) -> Array:
    """Weights (size, KNOTS) of smooth bumps, so that a sum over standard normal knots has variance 1."""
    places, knots = np.linspace(0, KNOTS - 1, size), np.arange(KNOTS)
    bumps = np.exp(-((places[:, None] - knots) ** 2))
    return (bumps / np.sqrt((bumps**2).sum(axis=1, keepdims=True))).astype(np.float32)


def _fields(random: np.random.Generator, count: tuple[int, int], basis: Sequence[Array]) -> Array:
    """Smooth Gaussian fields (*count, i, j, k) of mean 0 and variance 1."""
    field = random.standard_normal((*count, KNOTS, KNOTS, KNOTS), np.float32) @ basis[2].T
    field = basis[1] @ field
    return np.moveaxis(np.tensordot(basis[0], field, (1, 2)), 0, 2)


def _case(number: int) -> str:
    return f"case {number + 1}"
