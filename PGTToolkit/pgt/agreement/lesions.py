"""Agreement on scattered structures, lesion by lesion: were the same ones found, and how alike are they.

Metrics Reloaded (Maier-Hein, Reinke et al., Nature Methods 2024) treats many components as object detection
or instance segmentation (subprocess S1), which needs a localization criterion (S8: here the IoU of the masks)
and an assignment (S9: here the best over all pairs, as raters give no scores to rank by). Panoptic quality:
Kirillov et al., "Panoptic segmentation", CVPR 2019, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import Mask

DETECTED_IOU = 0.1
"""Overlap above which two lesions are the same one. Low, because an outline one voxel wider halves the IoU of
a small lesion; the usual choice for 3D lesions (Baumgartner et al., nnDetection, MICCAI 2021)."""

MATCHED_IOU = 0.5
"""Overlap above which a lesion can have only one partner (Kirillov et al. 2019, section 4.1)."""


@dataclass(frozen=True)
class LesionScores:
    """Two readings of scattered lesions, compared lesion by lesion.

    Args:
        lesions_a: lesions in a, the reference.
        lesions_b: lesions in b.
        detected: pairs at IoU > 0.1.
        matched: pairs at IoU > 0.5.
        matched_iou: sum of IoU over these.
    """

    lesions_a: int
    lesions_b: int
    detected: int
    matched: int
    matched_iou: float

    @property
    def f1(self) -> float:
        """Detection F1: pairs over the mean number of lesions; 1 where neither has any."""
        return _of_all(self.detected, self.lesions_a, self.lesions_b)

    @property
    def recognition_quality(self) -> float:
        """F1 of the pairs at IoU > 0.5; 1 where neither has any lesion."""
        return _of_all(self.matched, self.lesions_a, self.lesions_b)

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the pairs at IoU > 0.5; 0 without pairs, 1 where neither has any lesion."""
        if self.matched:
            return self.matched_iou / self.matched
        return 0.0 if self.lesions_a or self.lesions_b else 1.0

    @property
    def panoptic_quality(self) -> float:
        """Segmentation times recognition quality."""
        return self.segmentation_quality * self.recognition_quality


@dataclass(frozen=True, eq=False)
class _Overlaps:
    """Lesions that meet: numbers in a and in b, and IoU; three arrays of one length."""

    of_a: NDArray[np.int64]
    of_b: NDArray[np.int64]
    iou: NDArray[np.float64]


def lesion_scores(a: Mask, b: Mask) -> LesionScores:
    """Pair the lesions of two masks and count.

    Args:
        a: boolean array [i, j, k], the reference.
        b: boolean array of the same shape.
    """
    labels_a, count_a = components(a)
    labels_b, count_b = components(b)
    if not count_a or not count_b:
        return LesionScores(count_a, count_b, detected=0, matched=0, matched_iou=0.0)
    overlaps = _overlaps(labels_a, labels_b)
    matched = overlaps.iou[overlaps.iou > MATCHED_IOU]
    return LesionScores(count_a, count_b, _most_pairs(overlaps), matched.size, float(matched.sum()))


def components(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Number the lesions from 1: voxels that touch by face, edge or corner are one.

    Args:
        mask: boolean array [i, j, k].

    Returns:
        array of the same shape, 0 outside, and how many there are.
    """
    from scipy import ndimage

    labels = np.zeros(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, np.ones((3, 3, 3)), output=labels) if mask.size else 0
    return labels, int(count)


def _overlaps(labels_a: NDArray[np.int32], labels_b: NDArray[np.int32]) -> _Overlaps:
    """Every two lesions that share a voxel."""
    sizes_a, sizes_b = np.bincount(labels_a.reshape(-1)), np.bincount(labels_b.reshape(-1))
    both = (labels_a > 0) & (labels_b > 0)
    keys = labels_a[both].astype(np.int64) * sizes_b.size + labels_b[both]
    met, shared = np.unique(keys, return_counts=True)
    of_a, of_b = np.divmod(met, sizes_b.size)
    return _Overlaps(of_a, of_b, shared / (sizes_a[of_a] + sizes_b[of_b] - shared))


def _most_pairs(overlaps: _Overlaps) -> int:
    """The most pairs at IoU > 0.1 in which no lesion appears twice (Hopcroft and Karp 1973)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    alike = overlaps.iou > DETECTED_IOU
    if not alike.any():
        return 0
    graph = coo_matrix((np.ones(int(alike.sum())), (overlaps.of_a[alike], overlaps.of_b[alike]))).tocsr()
    return int(np.count_nonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0))


def _of_all(pairs: int, lesions_a: int, lesions_b: int) -> float:
    return 2 * pairs / (lesions_a + lesions_b) if lesions_a + lesions_b else 1.0
