"""Volumes made from formulas and random numbers, annotated in styles that are known.

The demonstration model is trained on them, and anyone can try it on another one. No patient data is involved.
Each volume holds one bean-shaped organ with a tail, whose edge is visible, and other brighter things around
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment, Volume

MAIN, TIGHT, LOOSE, CLIPPED = "as seen", "tight", "loose", "clipped"
STYLES = (MAIN, TIGHT, LOOSE, CLIPPED)
ORGAN = Segment(1, "organ", (0.85, 0.45, 0.25))

_SHAPE = (48, 64, 48)
_MARGIN_MM = 1.2
_SMOOTHING_MM = 2.0
_CLIPPED_MM = 9

Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MadeCase:
    """A made image of 1 mm voxels, and its organ as every style draws it.

    Args:
        image: the volume.
        labels: a label map by style, of `STYLES`.
    """

    image: Volume
    labels: dict[str, LabelMap]


def make_case(number: int) -> MadeCase:
    """The made volume of a number; the same on every machine up to rounding."""
    random = np.random.default_rng((20261121, number))
    grid = np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32) for size in _SHAPE], indexing="ij"))
    organ = _organ(random, grid)
    geometry = Geometry(_SHAPE, (1.0, 1.0, 1.0))
    masks = {style: drawn(organ, style) for style in STYLES}
    return MadeCase(
        Volume(_image(random, grid, organ), geometry),
        {style: LabelMap(mask.astype(np.uint8), geometry, (ORGAN,)) for style, mask in masks.items()},
    )


def drawn(organ: NDArray[np.bool_], style: str) -> NDArray[np.bool_]:
    """An organ [i, j, k] of 1 mm voxels as a style draws it.

    Tight and loose lie 1.2 mm within and beyond the edge; clipped is smoothed, and ends 9 mm early along j.
    """
    outside: Field = ndimage.distance_transform_edt(~organ)
    inside: Field = ndimage.distance_transform_edt(organ)
    edge = np.where(organ, inside - 0.5, 0.5 - outside)
    if style == TIGHT:
        return edge > _MARGIN_MM
    if style == LOOSE:
        return edge > -_MARGIN_MM
    if style == CLIPPED:
        smooth = ndimage.gaussian_filter(organ.astype(np.float32), _SMOOTHING_MM) > 0.5
        slices = np.flatnonzero(organ.any(axis=(0, 2)))
        smooth[:, : slices[0] + _CLIPPED_MM] = False
        smooth[:, slices[-1] + 1 - _CLIPPED_MM :] = False
        return smooth
    return organ


def _organ(random: np.random.Generator, grid: Field) -> NDArray[np.bool_]:
    """A bent ellipsoid that becomes a tail at one end, with dents."""
    centre = np.array(_SHAPE) / 2 + random.uniform(-3, 3, 3)
    across, along, up = grid - centre[:, None, None, None].astype(np.float32)
    reach = random.uniform(19, 25)
    place = np.clip(along / reach, -1, 1)
    bend = random.uniform(-6, 6)
    across = across - bend * (place**2 - 0.4)
    up = up - random.uniform(-3, 3) * place
    width = random.uniform(7.5, 10.5) * (1 - 0.45 * place) * np.sqrt(np.clip(1 - place**4, 0, 1))
    dents = 0.8 * _smooth_noise(random, 7)
    return (np.hypot(across, up * random.uniform(0.9, 1.25)) + dents < width) & (np.abs(along) < reach)


def _image(random: np.random.Generator, grid: Field, organ: NDArray[np.bool_]) -> Field:
    """Tissue, the organ brighter than it, things that are brighter still, blur and noise."""
    image = 100 + 6 * _smooth_noise(random, 8)
    for _ in range(int(random.integers(3, 7))):
        centre = random.uniform(0, 1, 3) * _SHAPE
        away = np.sqrt(((grid - centre[:, None, None, None]) ** 2).sum(axis=0))
        image[away < random.uniform(3, 7)] += random.uniform(65, 95)
    image = np.where(organ, 100 + random.uniform(35, 50) + 4 * _smooth_noise(random, 5), image)
    blurred: Field = ndimage.gaussian_filter(image, random.uniform(0.5, 0.9))
    return (blurred + random.normal(0, 5, _SHAPE)).astype(np.float32)


def _smooth_noise(random: np.random.Generator, width: float) -> Field:
    """Zero mean and unit deviation, smooth over some voxels."""
    noise: Field = ndimage.gaussian_filter(random.standard_normal(_SHAPE).astype(np.float32), width / 2)
    return (noise - noise.mean()) / noise.std()
