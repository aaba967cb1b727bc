"""STAPLE: who is right is estimated together with how reliable each rater is.

SimpleITK's filters do it; they treat voxels one by one, so what they are given here are the voxels in
question in a row, without the volume around them.

Binary: Warfield, Zou and Wells, IEEE Trans. Med. Imaging 23 (2004) 903. Several labels: Rohlfing, Russakoff
and Maurer, ibid. 983.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

MOST_ITERATIONS = 500


@dataclass(frozen=True, eq=False)
class Estimate:
    """What STAPLE made of marks.

    Args:
        probability: (N) that the voxel belongs to the structure.
        sensitivity: (R) of each rater against it.
        specificity: (R).
    """

    probability: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelEstimate:
    """What STAPLE made of labels.

    Args:
        labels: (N) the most probable label; L where no label is more probable than all others.
        probability: (N, L) of every label.
    """

    labels: NDArray[np.int64]
    probability: NDArray[np.float64]


def staple(marks: NDArray[np.bool_]) -> Estimate | None:
    """Binary STAPLE of marks (R, N); its prior is the share of marks among all votes on these voxels.

    Returns:
        None where the estimation breaks down: one side of the truth comes out empty, so that sensitivity or
        specificity would be 0/0.
    """
    marking = sitk.STAPLEImageFilter()
    marking.SetForegroundValue(1)
    marking.SetMaximumIterations(MOST_ITERATIONS)
    probability = _row(marking.Execute([_image(row, np.uint8) for row in marks]))
    found = Estimate(
        np.asarray(probability, np.float64),
        np.array(marking.GetSensitivity()),
        np.array(marking.GetSpecificity()),
    )
    numbers = (found.probability, found.sensitivity, found.specificity)
    return found if all(np.isfinite(part).all() for part in numbers) else None


def multi_label_staple(votes: NDArray[np.integer[Any]], count: int) -> LabelEstimate | None:
    """STAPLE of label numbers (R, N), each from 0 to ``count`` - 1 and each used by some rater.

    The prior of a label is its share among all votes on these voxels.

    Returns:
        None where the estimation breaks down (it meets 0/0).
    """
    priors = np.bincount(votes.ravel(), minlength=count) / votes.size
    labelling = sitk.MultiLabelSTAPLEImageFilter()
    labelling.SetPriorProbabilities(priors.tolist())
    labelling.SetLabelForUndecidedPixels(count)
    labelling.SetMaximumNumberOfIterations(MOST_ITERATIONS)
    labels = _row(labelling.Execute([_image(row, np.uint16) for row in votes])).astype(np.int64)
    # One more row than labels: votes for none of them, which there are not.
    matrices = [labelling.GetConfusionMatrix(rater) for rater in range(len(votes))]
    confusion = np.array(matrices).reshape(len(votes), count + 1, count)[:, :count]
    if not np.isfinite(confusion).all():
        return None
    return LabelEstimate(labels, _posteriors(votes, confusion, priors))


def _posteriors(
    votes: NDArray[np.integer[Any]], confusion: NDArray[np.float64], priors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N, L): prior times what each rater's vote says (Rohlfing's equation 2); the filter keeps it back.

    Votes that no label explains leave every label with the share of the votes that it has.
    """
    with np.errstate(divide="ignore"):
        logarithms = np.log(confusion)
        evidence = np.broadcast_to(np.log(priors), (votes.shape[1], len(priors))).copy()
    for rater, row in enumerate(votes):
        evidence += logarithms[rater][row]
    most = evidence.max(axis=1, keepdims=True)
    unexplained = np.isneginf(most[:, 0])
    likelihood = np.exp(evidence - np.where(np.isneginf(most), 0, most))
    likelihood[unexplained] = (votes[:, unexplained, None] == np.arange(len(priors))).mean(axis=0)
    return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True))


def _image(row: NDArray[Any], kind: type[np.generic]) -> Any:
    return sitk.GetImageFromArray(np.ascontiguousarray(row[None], dtype=kind))


def _row(image: Any) -> NDArray[Any]:
    row: NDArray[Any] = sitk.GetArrayFromImage(image)[0]
    return row
