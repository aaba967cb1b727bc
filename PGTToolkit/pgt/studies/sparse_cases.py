"""From completely annotated cases to what a rater would have drawn of them, and what propagation makes of it.

The hidden slices' truth is never seen again: what is not drawn, or filled in from what was drawn, is not
annotated.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask
from pgt.agreement.overlap import count_voxels, overlap_values
from pgt.annotation import SparseAnnotation
from pgt.planning import plan_slices
from pgt.propagation.engine import PropagationSettings, propagate
from pgt.studies.slice_budget_configuration import DeviceName, MethodName, StrategyName
from pgt.studies.study_cases import StudyCase
from pgt.studies.supervised import TrainingCase
from pgt.volume import LabelMap


@dataclass(frozen=True, eq=False)
class SparseCase:
    """A case as it is trained on.

    Args:
        training: image, label and what is annotated.
        slices: that were drawn.
        fraction: of the case's slices that were drawn.
        filled_iou: IoU of the filled slices with their truth, mean over labels; None where nothing was
            propagated.
    """

    training: TrainingCase
    slices: tuple[int, ...]
    fraction: float
    filled_iou: float | None = None


@dataclass(eq=False)
class SparseCases:
    """Makes sparse cases; what propagation made of the same slices before is kept in memory.

    Args:
        axis: across the slices, of the working grid.
        method: of propagation.
        device: of propagation.
    """

    axis: int
    method: MethodName = "auto"
    device: DeviceName = "cpu"
    _filled: dict[tuple[str, tuple[int, ...]], NDArray[np.int16] | None] = field(default_factory=dict)

    def drawn(
        self, case: StudyCase, density: float, strategy: StrategyName, propagated: bool, seed: int
    ) -> SparseCase:
        """A case of which some slices were drawn.

        Args:
            case: completely annotated.
            density: part of its slices.
            strategy: how they are chosen.
            propagated: whether the others are filled in; every voxel then counts as annotated. Where the
                drawn slices show no structure nothing can be filled in, and they alone count.
            seed: of a random choice, together with the case's name.
        """
        own_seed = zlib.crc32(f"{seed} {case.case}".encode())
        plan = plan_slices(case.volume, self.axis, density=density, strategy=strategy, seed=own_seed)
        annotated = np.zeros(case.label.shape, bool)
        np.moveaxis(annotated, self.axis, 0)[list(plan.slices)] = True
        # A label that does not show what was not drawn, so that no mistake could leak it.
        label = np.where(annotated, case.label, 0).astype(np.int16)
        filled = self._propagated(case, label, plan.slices) if propagated else None
        training = TrainingCase(case.case, case.image, label, annotated)
        if filled is None:
            return SparseCase(training, plan.slices, plan.density)
        whole = TrainingCase(case.case, case.image, filled)
        return SparseCase(whole, plan.slices, plan.density, _iou(filled, case.label, ~annotated))

    def _propagated(
        self, case: StudyCase, label: NDArray[np.int16], slices: tuple[int, ...]
    ) -> NDArray[np.int16] | None:
        """The drawn slices with all others filled in; None where they show nothing."""
        key = (case.case, slices)
        if key not in self._filled:
            self._filled[key] = self._fill(case, label, slices) if label.any() else None
        return self._filled[key]

    def _fill(self, case: StudyCase, label: NDArray[np.int16], slices: tuple[int, ...]) -> NDArray[np.int16]:
        drawn = SparseAnnotation.from_label_map(LabelMap.from_voxels(label, case.grid), self.axis, slices)
        settings = PropagationSettings(axis=self.axis, method=self.method, device=self.device)
        return propagate(case.volume, drawn, settings).label_map.voxels.astype(np.int16)


def _iou(filled: NDArray[np.int16], truth: NDArray[np.int16], where: NDArray[np.bool_]) -> float:
    """Mean IoU over the labels of the truth, on the slices that nobody drew."""
    values = [value for value in np.unique(truth) if value]
    found = []
    for value in values:
        a, b = (CroppedMask.of((labels == value) & where) for labels in (truth, filled))
        found.append(overlap_values(count_voxels(a, b), 1.0)["iou"])
    return float(np.mean(found)) if found else 1.0
