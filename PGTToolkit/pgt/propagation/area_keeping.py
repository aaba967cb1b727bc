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
SHARE_VARIANCE = 0.5
"""How widely the share may lie before any left-out slice is seen. A quarter and an eighth do the same."""


@dataclass(frozen=True)
class Areas:
    """Voxels of labels (O,) on a left-out annotated slice: as drawn, by the profile, and after correction."""

    drawn: NDArray[np.int64]
    profile: NDArray[np.int64]
    corrected: NDArray[np.int64]


def profile_share(rehearsed: list[Areas], labels: int) -> NDArray[np.float64]:
    """(O,) how far the logarithm of the area should go from the corrected shape's to the profile's, 0 to 1.

    Ridge regression over the left-out slices, towards 0: the corrected shape as it is. It is held there as if
    one more slice had been seen on which the two differed by AREAS_ALIKE and the corrected shape was right,
    and the more the less the regression explains: the mean of a share whose prior is normal about 0 with the
    variance SHARE_VARIANCE, what remains unexplained, beyond either
    end too, being noise. Sizes that no profile predicts, such as
    those of a thin structure that comes and goes, are left to the network.
    """
    steps = [_steps(areas) for areas in rehearsed]
    along = sum((possible * wanted for possible, wanted in steps), np.zeros(labels))
    square = sum((possible**2 for possible, _ in steps), np.zeros(labels))
    best = np.clip(along / np.maximum(square, np.finfo(np.float64).tiny), 0, 1)
    noise = sum(((wanted - best * possible) ** 2 for possible, wanted in steps), np.zeros(labels))
    return np.asarray(np.clip(along / (square + AREAS_ALIKE**2 + noise / SHARE_VARIANCE), 0, 1))


def _steps(areas: Areas) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(O,) each: logarithm of the profile's area, and of the drawn one, less that of the corrected shape."""
    seen = (areas.drawn > 0) & (areas.profile > 0) & (areas.corrected > 0)
    drawn, profile, corrected = (
        np.log(np.where(seen, voxels, 1)) for voxels in (areas.drawn, areas.profile, areas.corrected)
    )
    return profile - corrected, drawn - corrected


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
