"""From segmentations to readings: labels matched, grids made one."""

from __future__ import annotations

from collections.abc import Sequence

from pgt.agreement.grids import on_grid
from pgt.agreement.label_matching import MatchedLabel
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices, Reading
from pgt.agreement.structures import RatedSegmentation, Segmentation
from pgt.errors import InputError


def assemble(
    rated: Sequence[RatedSegmentation],
    labels: Sequence[MatchedLabel],
    reference: str | None = None,
    alone: bool = False,
) -> tuple[Reading, ...]:
    """Readings of the labels that were matched, each case on one grid.

    A label map without the value of a label that others have in the case was searched for it: its mask is
    empty. A segmentation that lists its segments and lacks one was not asked for it: the label is missing.

    Args:
        rated: every segmentation.
        labels: the table that matches them, its columns in the order of ``rated``.
        reference: the rater on whose grid each case is compared, where the case has one; else the grid of
            the case's first segmentation is taken.
        alone: nothing will be compared; labels need not be shared.

    Raises:
        InputError: no structure is in two segmentations of one case, or grids cannot be matched.
    """
    if not alone:
        _check_common(rated, labels)
    readings = []
    for column, one in enumerate(rated):
        owner = _grid_owner(one.case, rated, reference)
        placed = on_grid(one.segmentation, owner.geometry, owner.title)
        structures = {structure.key: structure for structure in placed.structures}
        masks: dict[str, CroppedMask] = {}
        drawn: dict[str, DrawnSlices] = {}
        for label in labels:
            key = label.keys[column]
            if key is not None:
                structure = structures[key]
                masks[label.label] = structure.mask
                if structure.drawn is not None:
                    drawn[label.label] = structure.drawn
            elif placed.complete and _is_in_case(label, one.case, rated):
                masks[label.label] = CroppedMask.empty(placed.geometry.shape)
        readings.append(Reading(one.case, one.sitting, placed.geometry, masks, drawn, placed.note))
    return tuple(readings)


def _is_in_case(label: MatchedLabel, case: str, rated: Sequence[RatedSegmentation]) -> bool:
    return any(key is not None and one.case == case for key, one in zip(label.keys, rated, strict=True))


def _grid_owner(case: str, rated: Sequence[RatedSegmentation], reference: str | None) -> Segmentation:
    mine = [one for one in rated if one.case == case]
    for one in mine:
        if one.sitting.rater == reference:
            return one.segmentation
    return mine[0].segmentation


def _check_common(rated: Sequence[RatedSegmentation], labels: Sequence[MatchedLabel]) -> None:
    """Two segmentations of one case must have a structure in common.

    A label map without any voxel says that nothing was found, and can be compared with any other.
    """
    if not labels:
        raise InputError(f"No structure is labelled in {_listed(rated)}.")
    cases = [one.case for one in rated]
    if len(cases) > 1 and len(set(cases)) == len(cases):
        raise InputError(f"No case has two segmentations to compare ({', '.join(cases[:4])}).")
    for case in dict.fromkeys(one.case for one in rated):
        columns = [column for column, one in enumerate(rated) if one.case == case]
        nothing_found = [
            column
            for column in columns
            if rated[column].segmentation.complete and not rated[column].segmentation.structures
        ]
        for label in labels:
            having = [column for column in columns if label.keys[column] is not None]
            if having and len({*having, *nothing_found}) > 1:
                return
    names = "; ".join(
        f"{one.segmentation.title}: {', '.join(_names(one.segmentation)) or 'none'}" for one in rated[:4]
    )
    raise InputError(f"No two segmentations of a case have a label in common ({names}).")


def _names(segmentation: Segmentation) -> list[str]:
    return [structure.name or str(structure.value) for structure in segmentation.structures]


def _listed(rated: Sequence[RatedSegmentation]) -> str:
    names = list(dict.fromkeys(one.segmentation.title for one in rated))
    return ", ".join(names[:4]) + (" and more" if len(names) > 4 else "")
