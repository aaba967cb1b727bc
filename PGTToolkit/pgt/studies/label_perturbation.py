"""Labels made worse on purpose: borders moved in or out, smoothed, or the whole shifted; all in mm.

Erosion and dilation move the border of all structures together; where two structures touch, the border
between them stays. Distances are between voxel centres, so that 1 mm takes off one layer of 1 mm voxels and
nothing across slices of 3 mm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pgt.volume import LabelMap

_ROUNDING_MM = 1e-6


Perturbation = Literal["eroded", "dilated", "uneven", "smoothed", "shifted"]
"""What is done to the labels."""


def perturbed(label_map: LabelMap, kind: Perturbation, mm: float, random: np.random.Generator) -> LabelMap:
    """A label map made worse.

    Args:
        label_map: the labels.
        kind: ``uneven`` moves the border of a whole case by as much as ``mm``, outwards in one case and
            inwards in another, as raters do who are not used to each other; ``smoothed`` takes the class
            that is most probable after a Gaussian filter; ``shifted`` moves every structure in one direction
            that is drawn anew for every case, by whole voxels, as labels drawn on an unaligned sequence lie.
        mm: how far; the standard deviation of the filter for ``smoothed``.
        random: source of what is drawn, one for each case.
    """
    if kind == "shifted":
        return _shifted(label_map, mm, random)
    if kind == "smoothed":
        voxels = _smoothed(label_map, mm)
    else:
        voxels = _moved_border(label_map, _outwards(kind, mm, random))
    return replace(label_map, voxels=voxels)


def _outwards(kind: Perturbation, mm: float, random: np.random.Generator) -> float:
    if kind == "uneven":
        return float(random.uniform(-mm, mm))
    return mm if kind == "dilated" else -mm


def _moved_border(label_map: LabelMap, outwards: float) -> NDArray[Any]:
    """The outer border moved by mm; what is added goes to the nearest structure."""
    from scipy.ndimage import distance_transform_edt

    voxels, spacing = label_map.voxels, label_map.geometry.spacing
    labelled = voxels != 0
    if not labelled.any() or labelled.all() or outwards == 0:
        return voxels.copy()
    reach = abs(outwards) + _ROUNDING_MM
    if outwards > 0:
        distance, nearest = distance_transform_edt(~labelled, sampling=spacing, return_indices=True)
        return np.where(distance <= reach, voxels[tuple(nearest)], 0).astype(voxels.dtype)
    # The volume's end is no border of the structure: padding by repetition keeps what goes on beyond.
    padded = np.pad(labelled, 1, mode="edge")
    inner: tuple[slice, ...] = (slice(1, -1),) * 3
    distance = distance_transform_edt(padded, sampling=spacing)[inner]
    return np.where(distance > reach, voxels, 0).astype(voxels.dtype)


def _smoothed(label_map: LabelMap, mm: float) -> NDArray[Any]:
    from scipy.ndimage import gaussian_filter

    values = [0, *label_map.values]
    widths = [mm / along for along in label_map.geometry.spacing]
    shares = [
        gaussian_filter((label_map.voxels == value).astype(np.float32), widths, mode="nearest")
        for value in values
    ]
    return np.array(values, dtype=label_map.voxels.dtype)[np.argmax(shares, axis=0)]


def _shifted(label_map: LabelMap, mm: float, random: np.random.Generator) -> LabelMap:
    from pgt.resampling import resampled

    direction = random.normal(size=3)
    direction *= mm / np.linalg.norm(direction)
    geometry = label_map.geometry
    right, anterior, superior = (float(place) for place in np.array(geometry.origin) + direction)
    moved = replace(label_map, geometry=replace(geometry, origin=(right, anterior, superior)))
    return resampled(moved, geometry)
