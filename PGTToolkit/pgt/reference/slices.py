"""A volume as the reference networks see it: windowed slices in one order and sense, at their native size.

The FLARE22 paper cuts the axial plane and rotates it "to a predefined angle" (section 2.1). Here the order
and sense of the axes follow from how the volume lies in the patient, so that two files of the same volume,
stored flipped, with other axes first or oblique, give the networks the same slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.propagation.turning import Turn
from pgt.propagation.windowing import Modality, choose_windowing
from pgt.volume import Volume

Plane = Literal["sagittal", "coronal", "axial"]
"""Which way slices are cut, in the patient."""

PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")
"""In the order of the anatomical axes R, A and S that they are stacked along."""


@dataclass(frozen=True, eq=False)
class WindowedSlices:
    """The slices of one volume.

    Args:
        images: float32 (slices, 3, rows, columns), each channel from -1 to 1; slices run towards R, A or S,
            rows and columns towards the first and second of the other two.
        positions: float32 (slices,), where each lies along the axis, from 0 to 1.
        turn: from the volume's [i, j, k] to (slices, rows, columns), and back with `Turn.undo`.
    """

    images: NDArray[np.float32]
    positions: NDArray[np.float32]
    turn: Turn


def windowed_slices(volume: Volume, plane: Plane, modality: Modality = "auto") -> WindowedSlices:
    """Cut a volume into the slices that networks see.

    Args:
        volume: of any orientation and size; oblique ones count by their nearest anatomical axes.
        plane: which way to cut.
        modality: which windows the three channels show; "auto" tells CT from anything else.

    Raises:
        InputError: an intensity is not finite.
    """
    turn = anatomical_turn(volume.geometry, plane)
    intensities = np.ascontiguousarray(turn.apply(volume.voxels), dtype=np.float32)
    if not np.isfinite(intensities).all():
        raise InputError("The image has intensities that are not finite; no network can look at it.")
    # The sample that windows are chosen from follows the order of axes: it is taken after turning.
    windowing = choose_windowing(intensities, modality)
    return WindowedSlices(windowing.channels(intensities), relative_positions(len(intensities)), turn)


def anatomical_turn(geometry: Geometry, plane: Plane) -> Turn:
    """How a volume is turned into (slices, rows, columns) that run towards R, A and S."""
    order, flips = geometry.turn_to("RAS")
    across = PLANES.index(plane)
    first, second = (axis for axis in range(3) if axis != across)
    wanted = (across, first, second)
    return Turn(
        (order[across], order[first], order[second]),
        (wanted[0] in flips, wanted[1] in flips, wanted[2] in flips),
    )


def relative_positions(count: int) -> NDArray[np.float32]:
    """Where the middles of ``count`` slices lie along their axis, float32 (count,) within 0 to 1."""
    return ((np.arange(count) + 0.5) / count).astype(np.float32)


def plane_of_thickest_slices(geometry: Geometry) -> Plane:
    """The plane that a volume was scanned in: across its largest spacing; axial where two are as large."""
    order, _ = geometry.turn_to("RAS")
    spacing = [round(geometry.spacing[axis], 3) for axis in order]
    return PLANES[max((2, 1, 0), key=lambda axis: spacing[axis])]
