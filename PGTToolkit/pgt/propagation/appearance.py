"""How much each voxel's intensity looks like a segment, learnt from the annotated slices of this very volume.

The intensities inside the segment and just around it on annotated slices give two histograms; the logarithm
of their ratio at a voxel's own intensity says which it resembles. Histogram bins hold equal numbers
of voxels, so the answer is the same for any increasing mapping of the intensities: scanner, window and offset
do not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, gaussian_filter1d

BINS = 48
_RING = 7
"""Width in pixels of the ring around a segment that counts as its surroundings."""
_LARGEST_RATIO = 4.0
"""Natural logarithm of the ratio at which the evidence saturates."""

Array = NDArray[np.float32]


class AppearanceModel:
    """Intensity bins of annotated slices at two smoothing scales, and what each bin says of a segment."""

    def __init__(self, memory: Array) -> None:
        """``memory`` is (M, H, W), the intensities of the annotated slices."""
        self._memory_bins = []
        self._edges = []
        for image in _scales(memory):
            sample = image.reshape(-1)[:: max(image.size // 20000, 1)]
            edges = np.unique(np.quantile(sample, np.linspace(0, 1, BINS + 1)[1:-1])).astype(np.float32)
            self._edges.append(edges)
            self._memory_bins.append(np.searchsorted(edges, image))

    def bins(self, images: Array) -> list[NDArray[np.intp]]:
        """The bin of every voxel of (D, H, W) intensities, one array a scale."""
        return [
            np.searchsorted(edges, image) for edges, image in zip(self._edges, _scales(images), strict=True)
        ]

    def ratios(self, inside: NDArray[np.bool_], around: NDArray[np.bool_]) -> list[Array]:
        """Evidence of each bin, -1 to 1, for being ``inside`` rather than ``around`` (M, H, W); by scale."""
        return [
            _bin_evidence(bins, inside, around, len(edges) + 1)
            for bins, edges in zip(self._memory_bins, self._edges, strict=True)
        ]

    def of_memory(self, ratios: list[Array]) -> Array:
        """(M, 2, H, W) evidence on the annotated slices themselves."""
        return np.stack([r[b] for r, b in zip(ratios, self._memory_bins, strict=True)], axis=1)


def evidence(bins: list[NDArray[np.intp]], ratios: list[Array]) -> Array:
    """(D, 2, H, W) evidence for a segment at every voxel, from -1 (outside) to 1 (inside)."""
    return np.stack([r[b] for r, b in zip(ratios, bins, strict=True)], axis=1)


def surroundings(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The ring around a segment on every slice of (M, H, W): what it has to be told from."""
    disc = np.hypot(*np.mgrid[-_RING : _RING + 1, -_RING : _RING + 1]) <= _RING
    return np.asarray(binary_dilation(inside, disc[None]) & ~inside)


def separation(evidence_on_memory: Array, inside: NDArray[np.bool_], around: NDArray[np.bool_]) -> float:
    """How well intensity alone tells a segment on its annotated slices: 0 not at all, towards 2 perfectly."""
    if not inside.any() or not around.any():
        return 0.0
    smoothed = evidence_on_memory[:, 1]
    return float(smoothed[inside].mean() - smoothed[around].mean())


def _scales(images: Array) -> tuple[Array, Array]:
    """The images as they are, and smoothed in the plane by one pixel."""
    return images, gaussian_filter(images, (0, 1, 1), truncate=2.0)


def _bin_evidence(
    bins: NDArray[np.intp], inside: NDArray[np.bool_], around: NDArray[np.bool_], count: int
) -> Array:
    """Logarithm of the inside to around ratio of every bin, scaled to -1 to 1."""
    frequencies = []
    for part in (inside, around):
        counts = np.bincount(bins[part], minlength=count).astype(np.float64)
        smooth = gaussian_filter1d(counts, 1.0, mode="nearest")
        frequencies.append((smooth + 2.0 / count) / (smooth.sum() + 2.0))
    ratio = np.log(frequencies[0] / frequencies[1]) / _LARGEST_RATIO
    return np.clip(ratio, -1, 1).astype(np.float32)
