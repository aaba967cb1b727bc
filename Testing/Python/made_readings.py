"""Readings of ellipsoids by raters with known habits: a size, a shift and a random error for each sitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import Reading, Sitting
from pgt.geometry import Geometry
from pgt.volume import Volume

GRID = Geometry((44, 40, 18), (1.0, 1.2, 2.5))


@dataclass(frozen=True)
class Habit:
    """How a rater draws: radii times ``size``, moved by ``shift_mm`` along i, both off by ``error_mm``."""

    name: str
    size: float = 1.0
    shift_mm: float = 0.0
    error_mm: float = 0.5
    sessions: tuple[str, ...] = ("1",)


@dataclass(frozen=True)
class MadeStudy:
    """Labels and cases to draw, each an ellipsoid of its own."""

    labels: tuple[str, ...]
    cases: tuple[str, ...]
    geometry: Geometry = GRID
    seed: int = 0

    def readings(self, habits: Sequence[Habit]) -> tuple[Reading, ...]:
        """All readings: case by case, rater by rater, session by session."""
        randomness = np.random.default_rng(self.seed)
        found = []
        for case in self.cases:
            shapes = {label: self._shape(place, randomness) for place, label in enumerate(self.labels)}
            for habit in habits:
                own = {label: _changed(shape, habit, randomness, 0.7) for label, shape in shapes.items()}
                for session in habit.sessions:
                    masks = {
                        label: CroppedMask.of(self._ellipsoid(*_noisy(shape, habit, randomness)))
                        for label, shape in own.items()
                    }
                    found.append(Reading(case, Sitting(habit.name, session), self.geometry, masks))
        return tuple(found)

    def image(self, seed: int = 0) -> Volume:
        """A noisy image on the grid of the readings, brighter in the middle."""
        noise = np.random.default_rng(seed).normal(0, 12, self.geometry.shape)
        bright = self._ellipsoid(self._middle(), self._middle() * 0.6)
        return Volume((noise + 90 * bright).astype(np.float32), self.geometry)

    def _middle(self) -> np.ndarray:
        return np.array(self.geometry.shape) * np.array(self.geometry.spacing) / 2

    def _shape(self, place: int, randomness: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        centre = self._middle() + randomness.normal(0, 2, 3)
        radii = self._middle() * (0.22 + 0.4 * ((place * 0.37) % 1)) * randomness.uniform(0.85, 1.15, 3)
        return centre, radii

    def _ellipsoid(self, centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
        steps = [
            (np.arange(size) + 0.5) * mm - middle
            for size, mm, middle in zip(self.geometry.shape, self.geometry.spacing, centre, strict=True)
        ]
        i, j, k = (step / radius for step, radius in zip(steps, np.maximum(radii, 0.1), strict=True))
        return np.asarray(i[:, None, None] ** 2 + j[:, None] ** 2 + k**2 <= 1)


Shape = tuple[np.ndarray, np.ndarray]


def _changed(shape: Shape, habit: Habit, randomness: np.random.Generator, spread_mm: float) -> Shape:
    centre, radii = shape
    moved = centre + np.array([habit.shift_mm, 0, 0]) + randomness.normal(0, spread_mm, 3)
    return moved, radii * habit.size + randomness.normal(0, spread_mm, 3)


def _noisy(shape: Shape, habit: Habit, randomness: np.random.Generator) -> Shape:
    centre, radii = shape
    return centre + randomness.normal(0, habit.error_mm, 3), radii + randomness.normal(0, habit.error_mm, 3)
