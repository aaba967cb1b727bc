"""One case in all formats that are asked for, each label with its provenance record beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SliceLedger, SliceState
from pgt.errors import InputError, OutputError
from pgt.export import monai_list, nnunet
from pgt.export.case_state import CaseFile, CaseState, SegmentState
from pgt.export.checksums import sha256_of
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.grids import on_grid, records_on_grid
from pgt.export.label_maps import CaseMasks, read_masks
from pgt.export.labels import ExportLabel, labels_of_case
from pgt.export.planning import ExportPlan
from pgt.export.provenance import RECORD_SUFFIX, LabelFile, machines, provenance_json
from pgt.export.scenes import at_hand
from pgt.export.segment_codes import segment_codes
from pgt.geometry import Geometry
from pgt.output_files import write_text
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import read_volume, write_label_map, write_layers, write_volume

if TYPE_CHECKING:
    from pgt.export.dicom_seg import SourceSeries

Result = TypeVar("Result")

_NAME_LETTERS = "-_"


@dataclass
class _CaseWriter:
    """What the formats of one case share; image and series are read once, and only if they are needed."""

    case: CaseState
    plan: ExportPlan
    masks: CaseMasks
    staged: Path
    scratch: Path

    @property
    def settings(self) -> ExportSettings:
        return self.plan.settings

    @cached_property
    def image(self) -> Volume:
        assert self.case.image is not None
        return _read(self.case.image, self.scratch, read_volume)

    @cached_property
    def source(self) -> SourceSeries:
        from pgt.export.dicom_seg import read_source

        assert self.case.series is not None
        return read_source(self.case.series)

    @cached_property
    def sources(self) -> Mapping[str, str]:
        return next(one.sources for one in self.plan.cases if one.case == self.case.case)

    def place(self, form: ExportFormat, name: str) -> Path:
        """Where to write a file of a format."""
        path = self.staged / form.value / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def record(
        self,
        path: Path,
        form: ExportFormat,
        labels: tuple[ExportLabel, ...],
        ignore: int | None = None,
        geometry: Geometry | None = None,
    ) -> None:
        """Write the provenance record of a label beside it; slices count on the label's grid."""
        file = LabelFile(path.name, sha256_of(path), form, labels, ignore)
        drawn_on = self.masks.geometry
        records = records_on_grid(self.case.records, drawn_on, geometry or drawn_on)
        case = replace(self.case, records=records)
        text = provenance_json(case, file, self.settings, self.sources, self._identifiers())
        stem = path.name
        for suffix in (".nii.gz", ".seg.nrrd", ".dcm"):
            stem = stem.removesuffix(suffix)
        write_text(path.with_name(stem + RECORD_SUFFIX), text)

    def _identifiers(self) -> Mapping[str, str] | None:
        if not self.settings.identifiers:
            return None
        found = {"label_file": str(self.case.label)}
        if self.case.image is not None:
            found["image_file"] = str(self.case.image)
        if self.case.series is not None:
            from pgt.export.dicom_seg import source_identifiers

            found |= source_identifiers(self.source)
        return found


def export_case(case: CaseState, plan: ExportPlan, staged: Path) -> None:
    """Write one case into an empty place.

    Args:
        case: what to write.
        plan: of the export.
        staged: folder to make, and to fill as the export's folder shall be.

    Raises:
        InputError: the case cannot be read, or does not fit what it belongs to.
        OutputError: the disk is full, or refuses.
    """
    shutil.rmtree(staged, ignore_errors=True)
    scratch = staged.with_name(f"{staged.name} unpacked")
    try:
        staged.mkdir(parents=True)
        scratch.mkdir(exist_ok=True)
        masks = _read(case.label, scratch, lambda file: read_masks(case, file, plan.labels, plan.settings))
        writer = _CaseWriter(case, plan, masks, staged, scratch)
        for form in plan.settings.formats:
            _WRITERS[form](writer)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"Case {case.case} cannot be exported: {reason}.") from error
    except InputError as error:
        # The user knows the places that files will have, not the ones where they are written.
        sentence = str(error).replace(f"{staged}/", "")
        raise type(error)(sentence) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_nifti(writer: _CaseWriter) -> None:
    case, settings = writer.case.case, writer.settings
    if not settings.separate_segments:
        path = writer.place(ExportFormat.NIFTI, f"{case}.nii.gz")
        write_label_map(writer.masks.label_map(settings), path)
        writer.record(path, ExportFormat.NIFTI, writer.plan.labels, _ignore_value(writer.plan))
        return
    for label in writer.plan.labels:
        path = writer.place(ExportFormat.NIFTI, f"{case}_{label.value}-{_in_file_name(label.name)}.nii.gz")
        write_label_map(writer.masks.label_map_of(label, settings), path)
        ignore = 2 if settings.ignore_unannotated else None
        writer.record(path, ExportFormat.NIFTI, (replace(label, value=1),), ignore)


def _write_seg_nrrd(writer: _CaseWriter) -> None:
    case = writer.case
    states = {
        label.name: SliceLedger(record for record in case.records if record.segment == segment.identifier)
        for label, segment in _own(writer)
    }
    layers = []
    labels = []
    for number, layer in enumerate(writer.masks.stored.layers):
        own = [(label, segment) for label, segment in _own(writer) if segment.layer == number]
        voxels = layer.voxels.copy()
        voxels[~_any_of(layer, [segment.value for _, segment in own])] = 0
        segments = tuple(
            Segment(
                segment.value,
                label.name,
                segment.color,
                segment.terminology or label.terminology,
                segment.identifier if case.named else f"Segment_{segment.value}",
            )
            for label, segment in own
        )
        if own:
            layers.append(LabelMap(voxels, layer.geometry, segments))
            labels += [replace(label, value=segment.value) for label, segment in own]
    if not layers:
        layers = [replace(writer.masks.stored.layers[0], segments=())]
    path = writer.place(ExportFormat.SEG_NRRD, f"{case.case}.seg.nrrd")
    by_identifier = {
        one.identifier: states[one.name]
        for layer in layers
        for one in layer.segments
        if len(states[one.name])
    }
    write_layers(layers, path, by_identifier)
    writer.record(path, ExportFormat.SEG_NRRD, tuple(labels))


def _write_dicom_seg(writer: _CaseWriter) -> None:
    from pgt.export.dicom_seg import DicomSegment, write_dicom_seg

    case, source = writer.case, writer.source
    segments, labels = [], []
    for label, segment in _own(writer):
        mask = LabelMap(writer.masks.masks[label.value].astype("uint8"), writer.masks.geometry, ())
        placed = on_grid(mask, source.geometry, f"The label of case {case.case}", "its DICOM series")
        own = [record for record in case.records if record.segment == segment.identifier]
        filled = any(record.state is not SliceState.ANNOTATED for record in own)
        segments.append(
            DicomSegment(
                name=label.name,
                mask=placed.voxels > 0,
                codes=segment_codes(segment.terminology or label.terminology),
                color=segment.color,
                drawn_by_hand=bool(own or case.rater) and not filled,
                algorithm=", ".join(machines(own)),
            )
        )
        labels.append(replace(label, value=len(segments)))
    path = writer.place(ExportFormat.DICOM_SEG, f"{case.case}.dcm")
    write_dicom_seg(path, segments, source, case.case, case.rater, writer.settings.identifiers)
    writer.record(path, ExportFormat.DICOM_SEG, tuple(labels), geometry=source.geometry)


def _write_nnunet(writer: _CaseWriter) -> None:
    case, settings = writer.case, writer.settings
    _write_pair(
        writer,
        ExportFormat.NNUNET,
        nnunet.image_place(case.case, case.testing, settings),
        nnunet.label_place(case.case, case.testing, settings),
    )


def _write_monai(writer: _CaseWriter) -> None:
    case = writer.case.case
    _write_pair(writer, ExportFormat.MONAI, monai_list.image_place(case), monai_list.label_place(case))


def _write_pair(writer: _CaseWriter, form: ExportFormat, image: str, label: str) -> None:
    """An image and its label on one grid. The image is written anew: no remark in its header stays."""
    label_map = on_grid(
        writer.masks.label_map(writer.settings),
        writer.image.geometry,
        f"The label of case {writer.case.case}",
        "its image",
    )
    write_volume(writer.image, writer.place(form, image))
    path = writer.place(form, label)
    write_label_map(label_map, path)
    writer.record(path, form, writer.plan.labels, _ignore_value(writer.plan), label_map.geometry)


_WRITERS: Mapping[ExportFormat, Callable[[_CaseWriter], None]] = {
    ExportFormat.NIFTI: _write_nifti,
    ExportFormat.SEG_NRRD: _write_seg_nrrd,
    ExportFormat.DICOM_SEG: _write_dicom_seg,
    ExportFormat.NNUNET: _write_nnunet,
    ExportFormat.MONAI: _write_monai,
}


def _own(writer: _CaseWriter) -> list[tuple[ExportLabel, SegmentState]]:
    """The labels that the case has, with its segment for each."""
    pairs = labels_of_case(writer.case, writer.plan.labels, writer.settings)
    return [(label, segment) for label, segment in pairs if segment]


def _ignore_value(plan: ExportPlan) -> int | None:
    return len(plan.labels) + 1 if plan.settings.ignore_unannotated else None


def _any_of(layer: LabelMap, values: list[int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.isin(layer.voxels, values)
    return found


def _in_file_name(name: str) -> str:
    """A label's name without letters that file systems do not take."""
    return "".join(letter if letter.isalnum() or letter in _NAME_LETTERS else "_" for letter in name)


def _read(file: CaseFile, scratch: Path, reader: Callable[[Path], Result]) -> Result:
    """What a reader makes of a file, unpacked if need be; errors name the file as the user knows it."""
    with at_hand(file, scratch) as path:
        try:
            return reader(path)
        except InputError as error:
            raise type(error)(str(error).replace(str(path), str(file))) from error
