"""Proposals for training labels that look wrong: what the main style says, and how far from the label it is.

HyperSORT corrects labels with the styles that one trusts (Joutard et al., section 3, inference). Nothing is
changed; a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgt.agreement.masks import CroppedMask
from pgt.agreement.pair_measurement import MeasureOptions, measure_pair
from pgt.case_table import CaseRow
from pgt.errors import Cancelled, InputError
from pgt.progress import Progress
from pgt.styles.inference import DeviceName, IsCancelled, Report, Segmenter, StyledSegmentation
from pgt.styles.style_model import Latent, StyleModel
from pgt.styles.survey import read_labels
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_volume

_MEASURED = MeasureOptions(metrics=("dice", "hd95_mm", "assd_mm"))


@dataclass(frozen=True)
class StructureDistance:
    """How far a proposal lies from the label, for one structure.

    Args:
        dice: of the two.
        hd95_mm: 95 % Hausdorff distance.
        assd_mm: average symmetric surface distance.
        label_ml: volume of the label.
        proposal_ml: of the proposal.
    """

    dice: float
    hd95_mm: float
    assd_mm: float
    label_ml: float
    proposal_ml: float


@dataclass(frozen=True, eq=False)
class Correction:
    """What is proposed in place of one label.

    Args:
        case: its name.
        proposal: on the image's grid. Structures that the model does not segment are as they were.
        structures: how far it lies from the label, by label value.
        changed_ml: volume of the voxels whose label differs.
        segmentation: where the proposal comes from, with the probabilities.
    """

    case: str
    proposal: LabelMap
    structures: Mapping[int, StructureDistance]
    changed_ml: float
    segmentation: StyledSegmentation

    @property
    def dice(self) -> float:
        """Mean over the structures."""
        return float(np.mean([one.dice for one in self.structures.values()]))


def propose_corrections(
    model: StyleModel,
    rows: Sequence[CaseRow],
    latent: Latent | None = None,
    device: DeviceName = "auto",
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> Iterator[Correction]:
    """A proposal for every case, one after another as they are computed.

    Args:
        model: a trained model.
        rows: of the table of cases; each needs its image and its label map.
        latent: the style to correct with; the main one by default.
        device: where to compute.
        progress: told before every case.
        cancelled: asked before every window.

    Raises:
        InputError: a file is missing or cannot be used; the sentence names it.
        DeviceError: there is no such device, or its memory does not suffice.
        Cancelled: ``cancelled`` said so.
    """
    for number, row in enumerate(rows):
        if cancelled():
            raise Cancelled
        progress(Progress(number, len(rows), 0.0, row.case))
        if row.label is None:
            raise InputError(f"The table names no label map for {row.case}; there is nothing to correct.")
        volume = read_volume(row.image)
        yield propose_correction(
            model, row.case, volume, read_labels(row, volume.geometry), latent, device, cancelled
        )


def propose_correction(
    model: StyleModel,
    case: str,
    volume: Volume,
    label_map: LabelMap,
    latent: Latent | None = None,
    device: DeviceName = "auto",
    cancelled: IsCancelled = lambda: False,
) -> Correction:
    """A proposal for one case; the label map lies on the image's grid."""
    segmenter = Segmenter(model, volume, device)
    found = segmenter.segment(latent, cancelled=cancelled)
    proposal = _put_in_place(label_map, found.label_map)
    voxel = volume.geometry.voxel_volume / 1000
    return Correction(
        case,
        proposal,
        {value: _distance(label_map, proposal, value) for value in model.preparation.values},
        float(np.count_nonzero(proposal.voxels != label_map.voxels)) * voxel,
        found,
    )


def _put_in_place(label_map: LabelMap, found: LabelMap) -> LabelMap:
    """The model's structures as found, every other label where the model has none of its own."""
    learnt = np.isin(label_map.voxels, found.values)
    kept = np.where(learnt, 0, label_map.voxels)
    wide = np.result_type(label_map.voxels.dtype, found.voxels.dtype)
    voxels = np.where(found.voxels > 0, found.voxels, kept).astype(wide)
    present = set(label_map.values)
    segments = (*label_map.segments, *(one for one in found.segments if one.value not in present))
    return replace(label_map, voxels=voxels, segments=segments)


def _distance(label_map: LabelMap, proposal: LabelMap, value: int) -> StructureDistance:
    a, b = CroppedMask.of(label_map.mask(value)), CroppedMask.of(proposal.mask(value))
    measured = measure_pair(a, b, label_map.geometry, _MEASURED)
    return StructureDistance(
        measured.values["dice"],
        measured.values["hd95_mm"],
        measured.values["assd_mm"],
        measured.volume_a_ml,
        measured.volume_b_ml,
    )
