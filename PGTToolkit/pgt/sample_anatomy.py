"""Shapes of a made abdomen, as signed distances in mm (negative inside), in RAS of the patient.

The organs are put together from ellipsoids, cylinders and tubes; sizes and places are an adult's, roughly.
A random warp gives every patient other shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float, float]

BOWEL_LOOPS = 9

_FAR = np.float32(1e3)


@dataclass(frozen=True)
class Space:
    """Where the voxels lie: RAS mm as three arrays [i, j, k]."""

    x: Field
    y: Field
    z: Field

    def warped(self, random: np.random.Generator, amplitude: float, wavelength: float) -> Space:
        """Displace every point smoothly, by about ``amplitude`` mm over distances of ``wavelength`` mm."""
        return Space(
            *(axis + self._waves(random, amplitude, wavelength) for axis in (self.x, self.y, self.z))
        )

    def _waves(self, random: np.random.Generator, amplitude: float, wavelength: float) -> Field:
        total = np.zeros_like(self.x)
        for _ in range(3):
            direction = random.normal(size=3)
            direction *= 2 * np.pi / (wavelength * random.uniform(0.7, 1.4) * np.linalg.norm(direction))
            a, b, c = direction.astype(np.float32)
            phase = np.float32(random.uniform(0, 2 * np.pi))
            total += np.sin(a * self.x + b * self.y + c * self.z + phase)
        return total * np.float32(amplitude / 1.7)

    def ellipsoid(self, centre: Point, radii: Point, tilt_degrees: float = 0.0) -> Field:
        """An ellipsoid, turned by ``tilt_degrees`` about the anterior axis."""
        x, y, z = (axis - np.float32(c) for axis, c in zip((self.x, self.y, self.z), centre, strict=True))
        if tilt_degrees:
            cosine, sine = (
                np.float32(np.cos(np.radians(tilt_degrees))),
                np.float32(np.sin(np.radians(tilt_degrees))),
            )
            x, z = cosine * x + sine * z, cosine * z - sine * x
        a, b, c = (np.float32(radius) for radius in radii)
        scaled = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
        gradient = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2)
        distance: Field = scaled * (scaled - 1) / np.maximum(gradient, np.float32(1e-6))
        return np.where(scaled < 1e-3, -min(radii), distance).astype(np.float32)

    def column(self, centre: tuple[float, float], radii: tuple[float, float]) -> Field:
        """An endless elliptic cylinder along the body."""
        a, b = (np.float32(radius) for radius in radii)
        x, y = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        scaled = np.sqrt((x / a) ** 2 + (y / b) ** 2)
        gradient = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2)
        distance: Field = scaled * (scaled - 1) / np.maximum(gradient, np.float32(1e-6))
        return distance

    def tube(self, points: Sequence[Point], radii: Sequence[float]) -> Field:
        """A tube through ``points``, whose radius runs through ``radii``; right to 8 mm outside of it."""
        distance = np.full(self.x.shape, _FAR, np.float32)
        stretches = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
        for start, end, first, last in stretches:
            self._add_stretch(distance, np.array(start), np.array(end), first, last)
        return distance

    def _add_stretch(
        self, distance: Field, start: NDArray[np.float64], end: NDArray[np.float64], first: float, last: float
    ) -> None:
        margin = max(first, last) + 8
        near = np.ones(distance.shape, dtype=bool)
        for axis, low, high in zip(
            (self.x, self.y, self.z), np.minimum(start, end), np.maximum(start, end), strict=True
        ):
            near &= (axis > low - margin) & (axis < high + margin)
        points = np.stack([axis[near] for axis in (self.x, self.y, self.z)], axis=-1) - start.astype(
            np.float32
        )
        way = (end - start).astype(np.float32)
        along = np.clip(points @ way / np.float32(way @ way), 0, 1)
        gap = np.linalg.norm(points - along[:, None] * way, axis=1)
        distance[near] = np.minimum(distance[near], gap - (first + (last - first) * along))


def blended(first: Field, second: Field, width: float) -> Field:
    """The union of two shapes with a fillet of about ``width`` mm."""
    mix = np.clip(np.float32(0.5) + (second - first) / np.float32(2 * width), 0, 1)
    blend: Field = second * (1 - mix) + first * mix - np.float32(width) * mix * (1 - mix)
    return blend


def without(shape: Field, taken: Field, gap: float = 0.0) -> Field:
    """A shape less another one, ``gap`` mm away from it."""
    return np.maximum(shape, np.float32(gap) - taken)


def body(space: Space) -> Field:
    """Skin of the trunk."""
    return space.column((0, 0), (165, 112))


def liver(space: Space, wall: Field) -> Field:
    """Right lobe with a tongue to the left; it leans on the abdominal wall ``wall``."""
    right = space.ellipsoid((78, 8, 42), (72, 82, 74), tilt_degrees=-14)
    left = space.ellipsoid((-2, 46, 66), (74, 36, 34), tilt_degrees=8)
    return np.maximum(blended(right, left, 22), wall)


def spleen(space: Space, wall: Field) -> Field:
    """A crescent behind the stomach."""
    whole = space.ellipsoid((-112, -34, 50), (40, 54, 52), tilt_degrees=20)
    return np.maximum(without(whole, space.ellipsoid((-72, 2, 56), (40, 52, 60))), wall)


def kidney(space: Space, side: float) -> tuple[Field, Field]:
    """A kidney and its sinus; ``side`` is +1 for the right, -1 for the left, which sits higher."""
    height = -42.0 if side > 0 else -24.0
    whole = space.ellipsoid((side * 66, -48, height), (29, 27, 54), tilt_degrees=-side * 12)
    hilum = space.ellipsoid((side * 44, -40, height), (17, 11, 24), tilt_degrees=-side * 12)
    return without(whole, hilum), np.maximum(hilum, whole - 6)


def spine(space: Space) -> tuple[Field, Field, Field]:
    """The vertebral column without its canal, the discs in it, and the marrow (bone less its shell)."""
    pitch = np.float32(36)
    from_disc = np.abs(np.mod(space.z, pitch) - pitch / 2)
    bodies = space.column((0, -54), (25, 20)) + np.float32(0.35) * np.minimum(from_disc, 10)
    canal = spinal_canal(space)
    arch = without(space.column((0, -81), (17, 15)), canal)
    level = np.abs(np.mod(space.z + 8, pitch) - pitch / 2)
    spinous = np.maximum(space.column((0, -90), (4.5, 13)), level - 12)
    transverse = np.maximum(space.column((0, -76), (42, 5)), level - 6)
    column = without(np.minimum(blended(bodies, arch, 4), np.minimum(spinous, transverse)), canal)
    disc = np.maximum(bodies, np.abs(np.mod(space.z + pitch / 2, pitch) - pitch / 2) - 4)
    return column, disc, column + 3


def spinal_canal(space: Space) -> Field:
    """The canal behind the vertebral bodies."""
    return space.column((0, -80), (11, 9))


def diaphragm(space: Space) -> Field:
    """What lies under the dome of the diaphragm."""
    return np.where(space.z < 20, space.z - 110, space.ellipsoid((0, 6, 20), (152, 104, 100)))


def aorta(space: Space) -> Field:
    """The aorta and, below its fork, both common iliac arteries."""
    trunk = [(-12.0, -30.0, 170.0), (-12.0, -26.0, 60.0), (-8.0, -22.0, 0.0), (-5.0, -20.0, -62.0)]
    right = [(-5.0, -20.0, -62.0), (16.0, -18.0, -96.0), (40.0, -26.0, -150.0)]
    left = [(-5.0, -20.0, -62.0), (-24.0, -18.0, -96.0), (-46.0, -26.0, -150.0)]
    vessel = space.tube(trunk, [13, 12, 11, 10])
    for branch in (right, left):
        vessel = np.minimum(vessel, space.tube(branch, [8, 6.5, 6]))
    return vessel


def vena_cava(space: Space) -> Field:
    """The inferior vena cava, to the right of the aorta."""
    return space.tube([(18, -26, -150), (18, -26, -20), (26, -18, 60), (24, -4, 170)], [11, 11, 12, 13])


def portal_vein(space: Space, random: np.random.Generator) -> Field:
    """The portal vein, forking within the liver down to twigs of 3 mm."""
    gate = (38.0, 12.0, 28.0)
    vessel = space.tube([(-6, 4, -22), (14, 8, 6), gate], [8, 7.5, 7])
    shoots = [(gate, np.array([0.85, 0.1, 0.5]), 6.0), (gate, np.array([-0.75, 0.5, 0.45]), 5.0)]
    while shoots:
        start, heading, radius = shoots.pop()
        heading = heading / np.linalg.norm(heading)
        x, y, z = np.array(start) + heading * 5.2 * radius
        end = (float(x), float(y), float(z))
        vessel = np.minimum(vessel, space.tube([start, end], [radius, radius * 0.8]))
        if radius > 2.6:
            side = np.cross(heading, random.normal(size=3))
            side *= 0.62 / np.linalg.norm(side)
            shoots += [(end, heading + side, radius * 0.74), (end, heading - side, radius * 0.74)]
    return vessel


def gallbladder(space: Space) -> Field:
    """A pear under the liver."""
    return blended(space.ellipsoid((52, 62, -14), (15, 15, 20)), space.ellipsoid((46, 46, 10), (8, 9, 16)), 8)


def stomach(space: Space) -> Field:
    """Between spleen and left lobe."""
    return blended(
        space.ellipsoid((-66, 24, 54), (36, 44, 46), 15), space.ellipsoid((-18, 54, 6), (44, 22, 20), 25), 14
    )


def bowel(space: Space, random: np.random.Generator) -> list[Field]:
    """Loops that wander through the lower abdomen."""
    loops = []
    for _ in range(BOWEL_LOOPS):
        path = np.cumsum(random.normal(size=(6, 3)) * (34, 18, 24), axis=0)
        path = np.clip(path + np.array([0, 40, -70]), (-115, -5, -140), (115, 80, -24))
        points = [(float(x), float(y), float(z)) for x, y, z in path]
        loops.append(space.tube(points, [float(radius) for radius in random.uniform(9, 14, size=6)]))
    return loops


def ribs(space: Space, wall: Field) -> Field:
    """Slanting ribs in the wall, from the spine round to the front, above the kidneys."""
    around = np.arctan2(space.x, -space.y)
    slant = space.z + np.float32(26) * np.abs(around)
    from_rib = np.abs(np.mod(slant, 34) - 17)
    sheet = np.maximum(np.abs(wall - 4) - 4, from_rib - 6)
    return np.maximum(sheet, np.float32(20) - slant)
