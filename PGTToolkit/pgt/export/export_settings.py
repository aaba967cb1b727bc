"""What to export of a case list, and as what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pgt.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LARGEST_NUMBER = 999


class ExportFormat(str, Enum):
    """What a case can be written as. Each has a folder of its own, named like the format."""

    NIFTI = "nifti"
    SEG_NRRD = "seg-nrrd"
    DICOM_SEG = "dicom-seg"
    NNUNET = "nnunet"
    MONAI = "monai"

    @property
    def is_label_map(self) -> bool:
        """Whether it holds one value a voxel, so that overlapping segments do not fit in."""
        return self in (ExportFormat.NIFTI, ExportFormat.NNUNET, ExportFormat.MONAI)

    @property
    def needs_image(self) -> bool:
        """Whether the image is written beside the label."""
        return self in (ExportFormat.NNUNET, ExportFormat.MONAI)


@dataclass(frozen=True)
class CaseFilter:
    """Which cases of the list are exported; a case must pass all that is asked for.

    Args:
        reviewed_only: a rater drew or accepted every slice that shows a segment.
        agreement_above: its agreement is known and at least this, from 0 to 1.
        not_suspicious: the style model looked at it and found nothing unusual.
    """

    reviewed_only: bool = False
    agreement_above: float | None = None
    not_suspicious: bool = False

    def __post_init__(self) -> None:
        if self.agreement_above is not None and not 0 <= self.agreement_above <= 1:
            raise InputError(f"Agreement lies between 0 and 1, not at {self.agreement_above:g}.")


@dataclass(frozen=True)
class ExportSettings:
    """How to export. Everything in here decides what the files hold: other settings are another export.

    Args:
        formats: at least one, each once.
        filter: which cases.
        labels: names of the segments to export, in the order of their values from 1; empty for all.
        renamed: new name by old name, for lists whose cases call one structure differently.
        missing_is_absent: a case that lacks one of the segments is exported as not having the structure;
            otherwise it is refused, since the structure may just not have been drawn.
        separate_segments: label map formats get one file a segment where segments overlap; nnU-Net and MONAI
            data sets cannot have this.
        ignore_unannotated: voxels that no rater drew or accepted get a label of their own, the highest value
            (nnU-Net's "ignore").
        identifiers: patient, study and file identifiers of the sources are written as well.
        dataset_number: of the nnU-Net data set, 1 to 999.
        dataset_name: of the nnU-Net data set and the MONAI list: letters, digits, "-" and "_".
        channel: what the images are ("CT" makes nnU-Net normalise them as CT); empty to ask the DICOM series,
            and where there is none "image".
        folds: parts that the MONAI list's training cases are dealt to; 1 for none.
        seed: of the dealing.
        overwrite: whether an earlier export in the folder, finished or not, may be replaced.
    """

    formats: tuple[ExportFormat, ...]
    filter: CaseFilter = CaseFilter()
    labels: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    missing_is_absent: bool = False
    separate_segments: bool = False
    ignore_unannotated: bool = False
    identifiers: bool = False
    dataset_number: int = 1
    dataset_name: str = "PGT"
    channel: str = ""
    folds: int = 5
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "formats", tuple(ExportFormat(one) for one in self.formats))
        if not self.formats:
            raise InputError(
                f"Name at least one format to export as: {', '.join(one.value for one in ExportFormat)}."
            )
        if len(set(self.formats)) < len(self.formats):
            raise InputError("A format is named twice.")
        if not 1 <= self.dataset_number <= _LARGEST_NUMBER:
            raise InputError(
                f"A data set's number lies between 1 and {_LARGEST_NUMBER}, not at {self.dataset_number}."
            )
        if not _NAME.fullmatch(self.dataset_name):
            raise InputError(
                f"A data set's name has letters, digits, - and _ and starts with a letter or digit; "
                f"{self.dataset_name!r} does not."
            )
        if self.folds < 1:
            raise InputError(f"There cannot be {self.folds} folds.")
        datasets = [one.value for one in self.formats if one in (ExportFormat.NNUNET, ExportFormat.MONAI)]
        if self.separate_segments and datasets:
            raise InputError(
                f"A data set for {' and '.join(datasets)} has one label file a case; "
                "one file a segment goes with nifti alone."
            )
        if self.ignore_unannotated and not any(one.is_label_map for one in self.formats):
            raise InputError(
                "Unannotated voxels can be marked in label maps alone: nifti, nnunet or monai; "
                "seg-nrrd keeps the slice states themselves."
            )
