"""Give a corrected shape the size that the annotated slices promise, as far as that promise holds.

A network may find where a structure went and yet draw it too wide or too tight all along the way, because
what it takes for the edge is not what the rater does. The annotated slices tell: their areas say how large
the structure should be between them (:class:`.interpolation.ShapeInterpolator`, profile "area"), and leaving
one of them out says whether that or the network's own size comes closer. A cord of even width is held to its
width; an organ that swells between two small slices is left as the network found it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.propagation.interpolation import with_area

AREAS_ALIKE = 0.1
"""Difference of logarithms between two predicted areas below which a left-out slice tells little.

A tenth, chosen rather than fitted: so little is within the unsteadiness of a hand-drawn outline.
"""


@dataclass(frozen=True)
class Areas:
    """Voxels of labels (O,) on a left-out annotated slice: as drawn, by the profile, and after correction."""

    drawn: NDArray[np.int64]
    profile: NDArray[np.int64]
    corrected: NDArray[np.int64]


def profile_share(rehearsed: list[Areas], labels: int) -> NDArray[np.float64]:
    """(O,) how far the logarithm of the area should go from the corrected shape's to the profile's, 0 to 1.

    Least squares over the left-out slices, held towards 0 (the corrected shape as it is) as if one slice
    had been seen on which the two differed by AREAS_ALIKE and the corrected shape was right.
    """
    along, square = np.zeros(labels), np.full(labels, AREAS_ALIKE**2)
    for areas in rehearsed:
        seen = (areas.drawn > 0) & (areas.profile > 0) & (areas.corrected > 0)
        drawn, profile, corrected = (
            np.log(np.where(seen, voxels, 1)) for voxels in (areas.drawn, areas.profile, areas.corrected)
        )
        along += (profile - corrected) * (drawn - corrected)
        square += (profile - corrected) ** 2
    return np.clip(along / square, 0, 1)


def keep_areas(
    logits: NDArray[np.float32], distance: NDArray[np.float32], share: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Corrected logits with their zero level moved so that areas lie between their own and the profile's.

    Args:
        logits: (O, D, rows, columns), above zero inside.
        distance: the same shape, the interpolated signed distance whose areas follow the profile.
        share: (O,) see ``profile_share``.

    A slice on which either is empty stays as it is.
    """
    result = logits.copy()
    for number, index in np.ndindex(logits.shape[:2]):
        if share[number] > 0:
            own, profile = (int(np.count_nonzero(x[number, index] > 0)) for x in (logits, distance))
            wanted = round(own * (profile / own) ** share[number]) if own and profile else own
            if wanted != own:
                result[number, index] = with_area(logits[number, index], wanted)
    return result
