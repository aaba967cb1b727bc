"""A made abdominal CT with its true label map: for the demo, the tests and the benchmarks.

No patient has been near it. Organs, vessels and bones are analytic shapes (:mod:`pgt.sample_anatomy`),
warped at random and imaged with partial volume, organ texture, a shading, and noise as a scanner's:
correlated within the slice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pgt import sample_anatomy as anatomy
from pgt.geometry import Geometry, Shape
from pgt.sample_anatomy import Field, Space
from pgt.volume import LabelMap, Segment, Volume

FIELD_OF_VIEW_MM = (360.0, 288.0, 240.0)
OBLIQUE_DEGREES = (9.0, -6.0, 11.0)
NOISE_HU = 14.0

SEGMENTS = (
    Segment(1, "Liver", (0.87, 0.51, 0.40)),
    Segment(2, "Spleen", (0.62, 0.42, 0.64)),
    Segment(3, "Right kidney", (0.85, 0.68, 0.35)),
    Segment(4, "Left kidney", (0.93, 0.83, 0.38)),
    Segment(5, "Vertebral column", (0.35, 0.80, 0.82)),
    Segment(6, "Aorta", (0.88, 0.24, 0.22)),
    Segment(7, "Portal vein", (0.20, 0.55, 0.87)),
    Segment(8, "Gallbladder", (0.33, 0.66, 0.40)),
)


def make_sample(
    shape: Shape = (160, 128, 80), seed: int = 0, oblique: bool = True
) -> tuple[Volume, LabelMap]:
    """Make a CT volume and its true label map.

    Args:
        shape: voxels along i, j, k; the field of view is always the whole upper abdomen, 360×288×240 mm.
        seed: the patient and the noise; the same seed and shape give the same voxels.
        oblique: turn the grid in the patient; otherwise i, j, k run exactly left, posterior, superior.

    Returns:
        The volume (int16 Hounsfield units) and the label map (uint8, eight segments) on the same grid.
    """
    random = np.random.default_rng(seed)
    geometry = _geometry(shape, oblique)
    canvas = _Canvas(_voxel_centres(geometry), min(geometry.spacing), random)
    _paint_patient(canvas, random)
    hounsfield = _scanned(canvas.hounsfield, geometry, random)
    return Volume(hounsfield, geometry), LabelMap(canvas.labels, geometry, SEGMENTS)


class _Canvas:
    """The patient while being painted: later shapes cover earlier ones."""

    def __init__(self, space: Space, voxel_mm: float, random: np.random.Generator) -> None:
        self.space = space.warped(random, amplitude=4, wavelength=140).warped(
            random, amplitude=1.5, wavelength=45
        )
        self.hounsfield: Field = np.full(space.x.shape, -1000, np.float32)
        self.labels: NDArray[np.uint8] = np.zeros(space.x.shape, np.uint8)
        self._voxel_mm = np.float32(voxel_mm)

    def paint(self, shape: Field, hounsfield: float, label: int | None = None) -> None:
        """Fill a shape; its edge voxels get their share of both sides. Label None leaves the labels alone."""
        share = np.clip(np.float32(0.5) - shape / self._voxel_mm, 0, 1)
        self.hounsfield += share * (np.float32(hounsfield) - self.hounsfield)
        if label is not None:
            self.labels[shape < 0] = label


def _paint_patient(canvas: _Canvas, random: np.random.Generator) -> None:
    space = canvas.space
    skin = anatomy.body(space)
    fat_mm = np.float32(14) + np.float32(6) * np.cos(np.arctan2(space.x, space.y) * 2)
    wall = skin + fat_mm
    inside = wall + 13

    canvas.paint(skin, 40)
    canvas.paint(skin + 2, -105)
    canvas.paint(wall, 55)
    canvas.paint(anatomy.ribs(space, -wall - 3), 420)
    canvas.paint(inside, -95)
    for side in (1.0, -1.0):
        canvas.paint(space.column((side * 42, -52), (19, 22)), 58)
        canvas.paint(np.maximum(space.column((side * 34, -92), (28, 17)), wall), 52)
    diaphragm = anatomy.diaphragm(space)
    canvas.paint(np.maximum(inside, -diaphragm), -860)
    cavity = np.maximum(inside, diaphragm + 3)
    for loop, content in zip(
        anatomy.bowel(space, random), random.uniform(10, 60, size=anatomy.BOWEL_LOOPS), strict=True
    ):
        canvas.paint(loop, 65)
        canvas.paint(loop + 3, float(content))
    stomach = np.maximum(anatomy.stomach(space), cavity)
    canvas.paint(stomach, 70)
    canvas.paint(stomach + 4, 22)
    canvas.paint(np.maximum(stomach + 4, 46 - space.y), -950)
    canvas.paint(anatomy.vena_cava(space), 125)

    spleen = anatomy.without(anatomy.spleen(space, cavity), stomach, gap=2)
    canvas.paint(spleen, 122, label=2)
    kidneys = {3: anatomy.kidney(space, +1), 4: anatomy.kidney(space, -1)}
    liver = anatomy.without(anatomy.liver(space, cavity), stomach, gap=2)
    liver = anatomy.without(liver, anatomy.vena_cava(space))
    canvas.paint(anatomy.without(liver, kidneys[3][0], gap=3), 108, label=1)
    for label, (kidney, sinus) in kidneys.items():
        canvas.paint(kidney, 185, label=label)
        canvas.paint(kidney + 9, 150)
        canvas.paint(sinus, -60, label=0)
    column, disc, marrow = anatomy.spine(space)
    canvas.paint(anatomy.spinal_canal(space), 28)
    canvas.paint(column, 520, label=5)
    canvas.paint(marrow, 210)
    canvas.paint(disc, 85)
    canvas.paint(anatomy.aorta(space), 190, label=6)
    canvas.paint(anatomy.portal_vein(space, random), 165, label=7)
    canvas.paint(anatomy.gallbladder(space), 12, label=8)


def _scanned(hounsfield: Field, geometry: Geometry, random: np.random.Generator) -> NDArray[np.int16]:
    """What a scanner makes of the patient: blur, organ texture, shading and correlated noise."""
    in_slice = (0.6, 0.6, 0.35)
    image = ndimage.gaussian_filter(hounsfield, in_slice)
    tissue = image > -300
    texture = ndimage.gaussian_filter(random.standard_normal(geometry.shape, np.float32), (1.6, 1.6, 1.0))
    image += tissue * texture * np.float32(7.0 / texture.std())
    coarse = random.standard_normal((4, 4, 3)).astype(np.float32)
    zoom = [size / coarse_size for size, coarse_size in zip(geometry.shape, coarse.shape, strict=True)]
    image += np.float32(5) * ndimage.zoom(coarse, zoom, order=3, mode="nearest", grid_mode=True)
    noise = ndimage.gaussian_filter(random.standard_normal(geometry.shape, np.float32), (0.7, 0.7, 0.0))
    image += noise * np.float32(NOISE_HU / noise.std())
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)


def _geometry(shape: Shape, oblique: bool) -> Geometry:
    """A grid around the patient's origin that runs, at least nearly, to the left, back and up."""
    spacing = np.array(FIELD_OF_VIEW_MM) / shape
    matrix = np.eye(4)
    matrix[:3, :3] = (_turned() if oblique else np.eye(3)) @ np.diag([-1.0, -1.0, 1.0]) @ np.diag(spacing)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Geometry.from_ijk_to_ras(matrix, shape)


def _turned() -> NDArray[np.float64]:
    turned = np.eye(3)
    for axis, degrees in enumerate(OBLIQUE_DEGREES):
        first, second = (other for other in range(3) if other != axis)
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        rotation = np.eye(3)
        rotation[[first, first, second, second], [first, second, first, second]] = cosine, -sine, sine, cosine
        turned = turned @ rotation
    return turned


def _voxel_centres(geometry: Geometry) -> Space:
    i, j, k = np.meshgrid(
        *(np.arange(size, dtype=np.float32) for size in geometry.shape), indexing="ij", sparse=True
    )
    matrix = geometry.ijk_to_ras.astype(np.float32)
    return Space(*(row[0] * i + row[1] * j + row[2] * k + row[3] for row in matrix[:3]))
