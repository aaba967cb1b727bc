"""Raters who outline the same ten organs with hands of their own, in a volume of 512×512×300 voxels."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import Box, CroppedMask
from pgt.agreement.readings import Reading, Sitting
from pgt.geometry import Geometry

GRID = Geometry((512, 512, 300), (0.8, 0.8, 1.0))
_WANDER_MM = 12.0
"""Over this distance a hand strays to the same side."""
_MARGIN_MM = 12.0


@dataclass(frozen=True)
class Organ:
    """An ellipsoid that is bent by random dents.

    Args:
        name: of the label.
        centre: in mm from the volume's corner.
        radii: in mm.
        dents: standard deviation of the surface about the ellipsoid in mm.
    """

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    dents: float


ORGANS = (
    Organ("right lung", (125, 210, 175), (58, 82, 105), 6),
    Organ("left lung", (285, 210, 175), (52, 80, 105), 6),
    Organ("liver", (150, 205, 75), (85, 72, 60), 6),
    Organ("spleen", (300, 265, 75), (32, 40, 38), 3),
    Organ("stomach", (265, 170, 80), (42, 36, 48), 4),
    Organ("right kidney", (140, 290, 65), (28, 26, 55), 2),
    Organ("left kidney", (270, 290, 65), (28, 26, 55), 2),
    Organ("pancreas", (215, 205, 60), (65, 14, 18), 3),
    Organ("aorta", (212, 275, 150), (12, 12, 140), 1),
    Organ("adrenal gland", (175, 255, 85), (12, 5, 16), 1),
)


def made_readings(raters: int, labels: int = len(ORGANS), stray_mm: float = 1.5) -> tuple[Reading, ...]:
    """One case as several raters read it.

    Args:
        raters: how many.
        labels: how many of the organs.
        stray_mm: standard deviation of a rater's boundary about the organ's.
    """
    masks: list[dict[str, CroppedMask]] = [{} for _ in range(raters)]
    for organ in ORGANS[:labels]:
        for mine, mask in zip(masks, _outlines(organ, raters, stray_mm), strict=True):
            mine[organ.name] = mask
    return tuple(
        Reading("made", Sitting(f"rater {number}"), GRID, mine) for number, mine in enumerate(masks, start=1)
    )


def _outlines(organ: Organ, raters: int, stray_mm: float) -> Iterator[CroppedMask]:
    generator = np.random.default_rng(zlib.crc32(organ.name.encode()))
    box = _box(organ)
    dents = np.float32(organ.dents) * _smooth(box, 4 * _WANDER_MM, generator)
    organ_mm = _signed_distance(organ, box) + dents
    for _ in range(raters):
        inside = organ_mm + np.float32(stray_mm) * _smooth(box, _WANDER_MM, generator) < 0
        cropped = CroppedMask.of(inside)
        start = tuple(int(first + part.start) for first, part in zip(cropped.start, box, strict=True))
        yield CroppedMask(cropped.voxels, (start[0], start[1], start[2]), GRID.shape)


def _box(organ: Organ) -> Box:
    parts = []
    for axis in range(3):
        reach = organ.radii[axis] + 3 * organ.dents + _MARGIN_MM
        first = int((organ.centre[axis] - reach) / GRID.spacing[axis])
        last = int((organ.centre[axis] + reach) / GRID.spacing[axis])
        parts.append(slice(max(first, 0), min(last, GRID.shape[axis])))
    return parts[0], parts[1], parts[2]


def _signed_distance(organ: Organ, box: Box) -> NDArray[np.float32]:
    """About the distance to an ellipsoid in mm, negative inside; exact on its surface."""
    scaled, sloped = np.float32(0), np.float32(0)
    for axis, along in enumerate(np.ogrid[box]):
        position = along.astype(np.float32) * GRID.spacing[axis] - organ.centre[axis]
        scaled = scaled + np.square(position / organ.radii[axis], dtype=np.float32)
        sloped = sloped + np.square(position / organ.radii[axis] ** 2, dtype=np.float32)
    scaled, sloped = np.sqrt(scaled), np.sqrt(sloped)
    distance: NDArray[np.float32] = scaled * (scaled - 1) / np.maximum(sloped, np.float32(1e-6))
    return distance


def _smooth(box: Box, scale_mm: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """A random field of standard deviation 1 that wanders over ``scale_mm``, on a box of voxels."""
    sizes = [part.stop - part.start for part in box]
    knots = [int(n * along / scale_mm) + 2 for n, along in zip(sizes, GRID.spacing, strict=True)]
    field = generator.standard_normal(knots, dtype=np.float32)
    for axis, size in enumerate(sizes):
        places = np.arange(size) * GRID.spacing[axis] / scale_mm
        below = places.astype(int)
        along = [-1 if other == axis else 1 for other in range(3)]
        between = (places - below).astype(np.float32).reshape(along)
        field = field.take(below, axis) * (1 - between) + field.take(below + 1, axis) * between
    normed: NDArray[np.float32] = field / field.std()
    return normed
