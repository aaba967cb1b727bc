"""The metrics: what each is called, how it is defined, and what it says of empty masks.

A report prints these texts beside the numbers, so they are the contract of the functions that compute them:
:mod:`pgt.agreement.overlap`, :mod:`pgt.agreement.surface`, :mod:`pgt.agreement.centrelines` and
:mod:`pgt.agreement.lesions`. A missed structure always has a number, so it never drops out of a mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pgt.errors import InputError


class Better(str, Enum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"
    ZERO = "nearer to zero"


@dataclass(frozen=True)
class Metric:
    """One number about two masks.

    Args:
        key: name in files: ``dice``, ``hd95_mm``.
        title: what a reader sees.
        unit: "mm", "ml", "%" or empty.
        better: which way is better.
        definition: formula in words, with the source.
        both_empty: the number where neither mask has a voxel, and why.
        one_empty: the number where one has none, and why.
        symmetric: whether exchanging the masks leaves it as it is.
    """

    key: str
    title: str
    unit: str
    better: Better
    definition: str
    both_empty: str
    one_empty: str
    symmetric: bool = True


AGREED = "1: both found it absent, which is full agreement."
AGREED_DISTANCE = "0: both found it absent, so no boundary is out of place."
MISSED = "0: the structure was missed by one, so nothing is shared."
MISSED_DISTANCE = (
    "The length of the volume's diagonal in mm, which no distance between two structures in it exceeds: a "
    "missed structure counts as the worst that could be found there."
)
SURFACE = (
    "A surface has a point in every 2×2×2 neighbourhood of voxels that holds some inside and some outside, "
    "weighted with its marching-cubes area in mm²; beyond the volume all is outside, so that the border "
    "closes a structure that it cuts; distances go from point to nearest point (DeepMind surface-distance). "
    "Where only drawn slices are compared: the points of 2×2 neighbourhoods in these slices, weighted with "
    "their length in mm, all slices together; nearest within the slice, and in another where it has none."
)

METRICS: tuple[Metric, ...] = (
    Metric(
        "dice",
        "Dice",
        "",
        Better.HIGHER,
        "2·|A∩B| / (|A| + |B|), in voxels (Dice 1945).",
        AGREED,
        MISSED,
    ),
    Metric(
        "iou",
        "IoU",
        "",
        Better.HIGHER,
        "|A∩B| / |A∪B|, in voxels (Jaccard 1912); Dice / (2 - Dice).",
        AGREED,
        MISSED,
    ),
    Metric(
        "nsd",
        "NSD",
        "",
        Better.HIGHER,
        "Normalized surface Dice: share of both surfaces' area that lies within the tolerance of the "
        f"other surface (Nikolov et al. 2021). {SURFACE}",
        AGREED,
        MISSED,
    ),
    Metric(
        "hd_mm",
        "HD",
        "mm",
        Better.LOWER,
        "Hausdorff distance: the largest distance from any point of either surface to the nearest of the "
        f"other. {SURFACE}",
        AGREED_DISTANCE,
        MISSED_DISTANCE,
    ),
    Metric(
        "hd95_mm",
        "HD95",
        "mm",
        Better.LOWER,
        "The larger of two directed distances, from A's surface to B's and from B's to A's, each the "
        f"distance within which 95 % of the first surface's area lies. {SURFACE}",
        AGREED_DISTANCE,
        MISSED_DISTANCE,
    ),
    Metric(
        "assd_mm",
        "ASSD",
        "mm",
        Better.LOWER,
        "Average symmetric surface distance: mean distance to the nearest point of the other surface, "
        f"over the area of both surfaces together. {SURFACE}",
        AGREED_DISTANCE,
        MISSED_DISTANCE,
    ),
    Metric(
        "volume_difference_ml",
        "Volume difference",
        "ml",
        Better.ZERO,
        "Volume of B minus volume of A: voxel count times voxel volume.",
        "0: both volumes are 0 ml.",
        "By the formula: the volume of the one that was found, negative where B missed it.",
        symmetric=False,
    ),
    Metric(
        "volume_difference_percent",
        "Volume difference",
        "%",
        Better.ZERO,
        "100·(V_B - V_A) / ((V_A + V_B) / 2), so that neither rater is the measure of the other.",
        "0: both volumes are 0 ml.",
        "By the formula: +200 where A missed it, -200 where B did, the ends of the scale.",
        symmetric=False,
    ),
    Metric(
        "sensitivity",
        "Sensitivity",
        "",
        Better.HIGHER,
        "|A∩B| / |A|, in voxels: how much of A is found in B, A being the reference.",
        AGREED,
        MISSED,
        symmetric=False,
    ),
    Metric(
        "precision",
        "Precision",
        "",
        Better.HIGHER,
        "|A∩B| / |B|, in voxels: how much of B is confirmed by A, A being the reference.",
        AGREED,
        MISSED,
        symmetric=False,
    ),
    Metric(
        "kappa",
        "Cohen's kappa",
        "",
        Better.HIGHER,
        "(p_o - p_e) / (1 - p_e) over all voxels compared, background too: p_o is the share on which A "
        "and B agree, p_e the share expected by chance from their sizes (Cohen 1960). For a structure "
        "small against the volume it comes close to Dice. Where both fill the whole volume the formula is "
        "0/0, and kappa is 1.",
        AGREED,
        "0, by the formula: no better than chance.",
    ),
    Metric(
        "cldice",
        "clDice",
        "",
        Better.HIGHER,
        "Centreline Dice (Shit et al. 2021): harmonic mean of topology precision, the share of B's skeleton "
        "inside A, and topology sensitivity, the share of A's skeleton inside B, in voxels. Skeletons are "
        "thinned on the voxel grid in eight subfields (after Bertrand and Aktouf 1994), where only drawn "
        "slices are compared each slice in its plane. Thinning keeps every piece, so that only an empty mask "
        "has an empty skeleton.",
        AGREED,
        MISSED,
    ),
    Metric(
        "lesion_f1",
        "Lesion F1",
        "",
        Better.HIGHER,
        "TP / (TP + FP/2 + FN/2), counted in lesions: voxels that touch by face, edge or corner are one "
        "lesion, in drawn slices only within the slice. A lesion of A is found (TP) where one of B is "
        "paired with it at IoU > 0.1: enough to say that both mean the same spot, as is usual for small "
        "lesions in 3D (Baumgartner et al. 2021). Each lesion is in one pair at most, and there are as "
        "many pairs as possible. FP are the lesions of B left alone, FN those of A.",
        "1: both found no lesion, which is full agreement.",
        "0: every lesion was missed by one.",
    ),
    Metric(
        "panoptic_quality",
        "Panoptic quality",
        "",
        Better.HIGHER,
        "Sum of IoU over the paired lesions / (TP + FP/2 + FN/2), pairs being those at IoU > 0.5, which "
        "no lesion can reach twice (Kirillov et al. 2019); segmentation quality, the mean IoU of the "
        "pairs, times recognition quality, the F1 of that pairing. Lesions are as in Lesion F1.",
        "1: both found no lesion, which is full agreement.",
        "0: every lesion was missed by one.",
    ),
)

ON_REQUEST = ("cldice", "lesion_f1", "panoptic_quality")
"""Keys of the metrics that only say something about tubular or scattered structures."""

DEFAULT_METRICS: tuple[str, ...] = tuple(metric.key for metric in METRICS if metric.key not in ON_REQUEST)


def metric(key: str) -> Metric:
    """The metric of this key.

    Raises:
        InputError: there is none.
    """
    for known in METRICS:
        if known.key == key:
            return known
    raise InputError(
        f"There is no metric {key!r}; the metrics are {', '.join(known.key for known in METRICS)}."
    )
