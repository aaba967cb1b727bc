"""Volumes made from formulas and random numbers, on which the default network learns to propagate.

No patient data is involved. A volume holds smooth random tissue regions, then organ-like bodies, tubes that
run across or along the slices, branching vessels, thin sheets and small scattered lesions, each appearing and
ending within the volume. Intensities, contrast between neighbours, texture, bias field, blur, partial volume,
noise and slice-to-slice motion are random, so that the network cannot rely on any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from pgt.propagation.interpolation import signed_distance

Field = NDArray[np.float32]

_DRAWN_OFF_THE_EDGE = 0.2
"""Share of the structures that raters draw beside their visible edge, as with many clinical contours."""


@dataclass(frozen=True)
class SyntheticVolume:
    """A made image and the structures painted into it.

    ``image`` and ``labels`` are (D, H, W): slices, rows, columns. Label 0 is background tissue. A slice is
    ``thickness`` pixels thick.
    """

    image: Field
    labels: NDArray[np.uint8]
    thickness: float


def make_volume(
    generator: np.random.Generator, shape: tuple[int, int, int], bodies: tuple[int, int] = (5, 14)
) -> SyntheticVolume:
    """Make one volume of ``shape`` (D, H, W) with a random number of structures within ``bodies``."""
    thickness = float(np.exp(generator.uniform(np.log(0.5), np.log(5.0))))
    coordinates = _warped_coordinates(generator, shape, thickness)
    labels = np.zeros(shape, np.uint8)
    for value in range(1, int(generator.integers(bodies[0], bodies[1] + 1)) + 1):
        labels[_structure(generator, coordinates, thickness)] = value
    image = _paint(generator, labels, thickness)
    for value in np.unique(labels[labels > 0]):
        if generator.random() < _DRAWN_OFF_THE_EDGE:
            _redraw(labels, int(value), generator.uniform(-1.5, 2.0))
    return SyntheticVolume(image=image, labels=labels, thickness=thickness)


def _redraw(labels: NDArray[np.uint8], value: int, pixels: float) -> None:
    """Draw a structure wider (or, if negative, tighter) than the image shows it, on every slice alike."""
    for plane in labels:
        rows, columns = (np.flatnonzero((plane == value).any(axis=axis)) for axis in (1, 0))
        if rows.size:
            box = plane[max(rows[0] - 4, 0) : rows[-1] + 5, max(columns[0] - 4, 0) : columns[-1] + 5]
            mask = box == value
            wanted = signed_distance(mask, (1.0, 1.0)) + pixels > 0
            if wanted.any():
                box[mask & ~wanted] = 0
                box[wanted] = value


def smooth_field(generator: np.random.Generator, shape: tuple[int, ...], scales: tuple[float, ...]) -> Field:
    """Random field of zero mean and unit deviation, smooth over ``scales`` voxels along each axis."""
    coarse = tuple(int(np.ceil(size / scale)) + 3 for size, scale in zip(shape, scales, strict=True))
    noise = torch.from_numpy(generator.standard_normal((1, 1, *coarse), dtype=np.float32))
    mode = "trilinear" if len(shape) == 3 else "bilinear"
    field = functional.interpolate(
        noise, size=[int(n * s) for n, s in zip(coarse, scales, strict=True)], mode=mode
    )
    crop = tuple(
        slice(start, start + size) for size, start in zip(shape, (int(s / 2) for s in scales), strict=True)
    )
    values: Field = field[0, 0].numpy()[crop]
    return (values - values.mean()) / max(float(values.std()), 1e-6)


def _warped_coordinates(
    generator: np.random.Generator, shape: tuple[int, int, int], thickness: float
) -> tuple[Field, Field, Field]:
    """Pixel coordinates (across slices, rows, columns) after a smooth random deformation."""
    axes = [np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in shape]
    axes[0] = axes[0] * np.float32(thickness)
    grid = np.meshgrid(*axes, indexing="ij")
    reach = generator.uniform(0, 8)
    period = generator.uniform(16, 48)
    scales = (max(period / thickness, 2.0), period, period)
    warped = [axis + np.float32(reach / 2) * smooth_field(generator, shape, scales) for axis in grid]
    drift = np.cumsum(generator.normal(0, 0.25 * generator.random(), (2, shape[0])), axis=1) * (
        generator.random() < 0.3
    )
    for axis in (1, 2):
        warped[axis] = warped[axis] + drift[axis - 1].astype(np.float32)[:, None, None]
    return warped[0], warped[1], warped[2]


def _structure(
    generator: np.random.Generator, coordinates: tuple[Field, Field, Field], thickness: float
) -> NDArray[np.bool_]:
    """Where one random structure lies."""
    kinds = [_body, _body, _body, _region, _tube, _branches, _sheet, _lesions]
    kind = kinds[int(generator.integers(len(kinds)))]
    return kind(generator, coordinates, thickness)


def _centre(generator: np.random.Generator, coordinates: tuple[Field, Field, Field]) -> NDArray[np.float64]:
    return np.array([generator.uniform(0.8 * axis.min(), 0.8 * axis.max()) for axis in coordinates])


def _body(
    generator: np.random.Generator, coordinates: tuple[Field, Field, Field], thickness: float
) -> NDArray[np.bool_]:
    """An organ-like body: a rotated superellipsoid with lobes and dents."""
    centre = _centre(generator, coordinates)
    radii = np.exp(generator.uniform(np.log(3), np.log(34), 3))
    radii[0] = max(radii[0], 3 * thickness)
    rotation = _rotation(generator)
    offsets = np.stack([axis - np.float32(c) for axis, c in zip(coordinates, centre, strict=True)])
    local = np.tensordot(rotation.astype(np.float32), offsets, axes=1)
    power = generator.uniform(1.6, 3.5)
    distance = sum(np.abs(local[axis] / np.float32(radii[axis])) ** power for axis in range(3)) ** (1 / power)
    lobes = generator.uniform(0, 0.45)
    period = float(np.clip(generator.uniform(0.4, 1.5) * radii.mean(), 5, 60))
    field = smooth_field(generator, coordinates[0].shape, (max(period / thickness, 2.0), period, period))
    return distance + np.float32(lobes) * field * 0.7 < 1


def _region(
    generator: np.random.Generator, coordinates: tuple[Field, Field, Field], thickness: float
) -> NDArray[np.bool_]:
    """A smooth random region, cut to a part of the slices so that it appears and ends."""
    period = generator.uniform(14, 50)
    shape = coordinates[0].shape
    field = smooth_field(generator, shape, (max(period / thickness, 2.0), period, period))
    centre = _centre(generator, coordinates)
    away = np.sqrt(sum((axis - np.float32(c)) ** 2 for axis, c in zip(coordinates, centre, strict=True)))
    return field - (away / np.float32(generator.uniform(15, 50))) ** 2 > generator.uniform(-0.6, 0.6)


def _tube(
    generator: np.random.Generator, coordinates: tuple[Field, Field, Field], thickness: float
) -> NDArray[np.bool_]:
    """A vessel, bowel or cord: a tube of varying radius around a curved line."""
    start, end = _centre(generator, coordinates), _centre(generator, coordinates)
    if generator.random() < 0.6:
        start[0], end[0] = (
            coordinates[0].min() * generator.random(),
            coordinates[0].max() * generator.random(),
        )
    radius = np.exp(generator.uniform(np.log(1.2), np.log(12)))
    return _around_curve(generator, coordinates, start, end, radius)


def _branches(
    generator: np.random.Generator, coordinates: tuple[Field, Field, Field], thickness: float
) -> NDArray[np.bool_]:
    """A vessel that divides: tubes from a common fork."""
    fork = _centre(generator, coordinates)
    radius = np.exp(generator.uniform(np.log(1.2), np.log(6)))
    inside = np.zeros(coordinates[0].shape, bool)
    for _ in range(int(generator.integers(2, 5))):
        inside |= _around_curve(generator, coordinates, fork, _centre(generator, coordinates), radius)
        radius *= generator.uniform(0.6, 1.0)
    return inside


def _around_curve(
    generator: np.random.Generator,
    coordinates: tuple[Field, Field, Field],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radius: float,
) -> NDArray[np.bool_]:
    """Within a varying radius of a line from start to end bent sideways."""
    bend = generator.normal(0, 8, (2, 3))
    direction = end - start
    length = max(float(np.linalg.norm(direction)), 1.0)
    along = sum(
        (axis - np.float32(s)) * np.float32(d / length**2)
        for axis, s, d in zip(coordinates, start, direction, strict=True)
    )
    along = np.clip(along, 0, 1)
    wave = np.sin(np.float32(np.pi) * along), np.sin(np.float32(2 * np.pi) * along)
    squared = np.zeros_like(along)
    for number, axis in enumerate(coordinates):
        line = np.float32(start[number]) + along * np.float32(direction[number])
        line = line + np.float32(bend[0, number]) * wave[0] + np.float32(bend[1, number] / 2) * wave[1]
        squared += (axis - line) ** 2
    change = generator.uniform(-0.5, 0.5)
    return squared < (np.float32(radius) * (1 + np.float32(change) * (2 * along - 1))) ** 2


def _sheet(
    generator: np.random.Generator, coordinates: tuple[Field, Field, Field], thickness: float
) -> NDArray[np.bool_]:
    """A thin curved sheet (muscle, wall, cortex) of limited extent."""
    body = np.sqrt(
        sum(
            ((axis - np.float32(c)) / np.float32(radius)) ** 2
            for axis, c, radius in zip(
                coordinates, _centre(generator, coordinates), generator.uniform(12, 40, 3), strict=True
            )
        )
    )
    half = generator.uniform(0.04, 0.16)
    centre = _centre(generator, coordinates)
    away = sum((axis - np.float32(c)) ** 2 for axis, c in zip(coordinates, centre, strict=True))
    return (np.abs(body - 1) < half) & (away < generator.uniform(15, 45) ** 2)


def _lesions(
    generator: np.random.Generator, coordinates: tuple[Field, Field, Field], thickness: float
) -> NDArray[np.bool_]:
    """Several small bodies, scattered."""
    inside = np.zeros(coordinates[0].shape, bool)
    middle = _centre(generator, coordinates)
    for _ in range(int(generator.integers(2, 7))):
        centre = middle + generator.normal(0, 12, 3)
        radii = np.exp(generator.uniform(np.log(1.8), np.log(9), 3))
        radii[0] = max(radii[0], 1.5 * thickness)
        inside |= (
            sum(
                ((axis - np.float32(c)) / np.float32(r)) ** 2
                for axis, c, r in zip(coordinates, centre, radii, strict=True)
            )
            < 1
        )
    return inside


def _rotation(generator: np.random.Generator) -> NDArray[np.float64]:
    """A uniformly random rotation matrix."""
    matrix, triangle = np.linalg.qr(generator.normal(size=(3, 3)))
    return np.asarray(matrix * np.sign(np.diag(triangle)))


def _paint(generator: np.random.Generator, labels: NDArray[np.uint8], thickness: float) -> Field:
    """Intensities for the structures and the tissue around them, as an imperfect scanner would show them."""
    shape = labels.shape
    period = generator.uniform(8, 40)
    scales = (max(period / thickness, 2.0), period, period)
    classes = int(generator.integers(2, 7))
    if generator.random() < 0.5:
        tissue = smooth_field(generator, shape, scales)
        levels = np.quantile(tissue[::2, ::4, ::4], np.linspace(0, 1, classes + 1)[1:-1])
        background = np.digitize(tissue, levels)
    else:
        background = np.argmax([smooth_field(generator, shape, scales) for _ in range(classes)], axis=0)
    image = generator.random(classes).astype(np.float32)[background]
    spread = generator.uniform(0.03, 0.5)
    for value in np.unique(labels[labels > 0]):
        inside = labels == value
        image[inside] = _structure_intensity(generator, image, inside, spread, thickness)
    image = image + _texture(generator, shape, thickness)
    image = _blur(generator, image)
    bias = smooth_field(generator, shape, (max(60 / thickness, 2.0), 60.0, 60.0))
    image = image * np.exp(np.float32(generator.uniform(0, 0.2)) * bias)
    noise = generator.choice([0.01, 0.03, 0.06, 0.1]) * generator.uniform(0.5, 1.5)
    image = image + np.float32(noise) * generator.standard_normal(shape, dtype=np.float32)
    if generator.random() < 0.3:
        image = np.clip(
            image, np.quantile(image[::2, ::4, ::4], 0.02), np.quantile(image[::2, ::4, ::4], 0.98)
        )
    return image.astype(np.float32)


def _structure_intensity(
    generator: np.random.Generator, image: Field, inside: NDArray[np.bool_], spread: float, thickness: float
) -> Field:
    """Intensities of one structure: a mean near its surroundings' or not, sometimes with parts of its own."""
    around = float(image[inside].mean())
    choice = generator.random()
    if choice < 0.22:
        mean = around + generator.normal(0, 0.03)
    elif choice < 0.55:
        mean = around + generator.normal(0, spread)
    else:
        mean = generator.random()
    values = np.full(int(inside.sum()), mean, np.float32)
    if generator.random() < 0.4:
        period = generator.uniform(5, 24)
        parts = smooth_field(generator, image.shape, (max(period / thickness, 2.0), period, period))[inside]
        contrast = np.float32(generator.normal(0, 0.5 * spread))
        if generator.random() < 0.5:
            values += contrast * (parts > generator.uniform(-1, 1))
        else:
            values += contrast * parts
    if generator.random() < 0.1:
        values = values * 0.3 + image[inside] * 0.7
    return values


def _texture(generator: np.random.Generator, shape: tuple[int, ...], thickness: float) -> Field:
    """Texture of two random grain sizes."""
    total = np.zeros(shape, np.float32)
    for _ in range(2):
        grain = generator.uniform(1.5, 8)
        amount = np.float32(generator.uniform(0, 0.08))
        total += amount * smooth_field(generator, shape, (max(grain / thickness, 1.0), grain, grain))
    return total


def _blur(generator: np.random.Generator, image: Field) -> Field:
    """The scanner's point spread: partial volume within the slice and between slices."""
    in_plane = generator.uniform(0.2, 1.1)
    return np.asarray(gaussian_filter(image, (generator.uniform(0, 0.6), in_plane, in_plane), truncate=2.5))
