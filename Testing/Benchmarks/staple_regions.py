"""Which voxels STAPLE should be shown: the dispute, with more or less around it, up to the whole volume.

On real readers nobody knows the truth, so their agreement with the result is told; on made ones it is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pgt.agreement.consensus import consensus
from pgt.agreement.masks import CroppedMask

MARGINS = (0, 1, 2, 3, 5, 10)
BACKGROUNDS = (0, 20)
GROWN = {
    "five alike": (0.0, 0.0, 0.0, 0.0, 0.0),
    "one of five draws 5 voxels too large": (0.0, 0.0, 0.0, 0.0, 5.0),
    "two of five draw 3 voxels too large": (0.0, 0.0, 0.0, 3.0, 3.0),
    "one of three draws 3 voxels too large": (0.0, 0.0, 3.0),
}
_SIDE = 48


@dataclass(frozen=True)
class RegionWorth:
    """STAPLE on one region, over the cases.

    Args:
        raters: whose masks.
        region: what STAPLE was shown.
        dice: mean with the truth, or with the readers where there is none.
        least_dice: of all cases.
        volume: mean of the volume against the truth's, or against the readers' mean.
    """

    raters: str
    region: str
    dice: float
    least_dice: float
    volume: float


def compare(raters: str, cases: Sequence[Sequence[CroppedMask]]) -> list[RegionWorth]:
    """On real readers: the result against each of them."""
    made = _all_regions(cases)
    return [_worth(raters, region, [one[region] for one in made], cases) for region in _region_names()]


def compare_made(seeds: int = 6) -> list[RegionWorth]:
    """On made readers of a ball, some of whom draw it too large: the result against the ball."""
    rows = []
    for name, grown in GROWN.items():
        drawn = [_ball_readers(grown, seed) for seed in range(seeds)]
        made = _all_regions([masks for _, masks in drawn])
        for region in _region_names():
            rows.append(_worth(name, region, [one[region] for one in made], [[truth] for truth, _ in drawn]))
    return rows


def print_table(rows: Sequence[RegionWorth]) -> None:
    """Markdown, as in docs/agreement.md."""
    print("\n| raters | STAPLE of | Dice: mean | least | volume |")
    print("| --- | --- | ---: | ---: | ---: |")
    for row in rows:
        print(f"| {row.raters} | {row.region} | {row.dice:.3f} | {row.least_dice:.2f} | {row.volume:.2f} |")


def _region_names() -> list[str]:
    around = [f"dispute and {margin} voxels around" for margin in MARGINS]
    return ["majority", *around, *(f"whole volume and {more} voxels around" for more in BACKGROUNDS)]


def _all_regions(cases: Sequence[Sequence[CroppedMask]]) -> list[dict[str, CroppedMask]]:
    return [dict(zip(_region_names(), _regions(masks), strict=True)) for masks in cases]


def _regions(masks: Sequence[CroppedMask]) -> list[CroppedMask]:
    around = [consensus(masks, "staple", margin=margin).mask for margin in MARGINS]
    return [consensus(masks, "majority").mask, *around, *(_whole(masks, more) for more in BACKGROUNDS)]


def _whole(masks: Sequence[CroppedMask], background: int) -> CroppedMask:
    """SimpleITK's STAPLE of the volume as it is, with so many voxels of background added on every side."""

    def image(mask: CroppedMask) -> sitk.Image:
        return sitk.GetImageFromArray(np.pad(mask.full(), background).astype(np.uint8))

    probability = sitk.GetArrayFromImage(sitk.STAPLE([image(mask) for mask in masks], 1))
    inner = tuple(slice(background, background + size) for size in masks[0].shape)
    return CroppedMask.of(probability[inner] > 0.5)


def _worth(
    raters: str, region: str, made: Sequence[CroppedMask], held_against: Sequence[Sequence[CroppedMask]]
) -> RegionWorth:
    dice = [
        np.mean([_dice(one, other) for other in others])
        for one, others in zip(made, held_against, strict=True)
    ]
    volume = [
        one.count / np.mean([other.count for other in others])
        for one, others in zip(made, held_against, strict=True)
    ]
    return RegionWorth(raters, region, float(np.mean(dice)), float(np.min(dice)), float(np.mean(volume)))


def _dice(a: CroppedMask, b: CroppedMask) -> float:
    return float(2 * np.count_nonzero(a.full() & b.full()) / (a.count + b.count))


def _ball_readers(grown: Sequence[float], seed: int) -> tuple[CroppedMask, list[CroppedMask]]:
    """A ball of 12 voxels' radius, and readers whose outlines wander by 1.2 voxels."""
    random = np.random.default_rng(seed)
    grid = np.moveaxis(np.indices((_SIDE,) * 3), 0, -1) - (_SIDE - 1) / 2
    inward: NDArray[np.float64] = 12 - np.linalg.norm(grid, axis=-1)
    masks = []
    for larger in grown:
        wander = gaussian_filter(random.normal(size=inward.shape), 3)
        masks.append(CroppedMask.of(inward + larger + 1.2 * wander / wander.std() > 0))
    return CroppedMask.of(inward > 0), masks
