"""What an export will hold, settled and checked before anything is written.

The plan is the export's identity: it is kept in the folder, and only a run with the same plan goes on there.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pgt import __version__
from pgt.errors import Cancelled, InputError
from pgt.export.case_state import CaseFile, CaseState
from pgt.export.checksums import sha256_of, sha256_of_folder
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.labels import ExportLabel, common_labels, different_codes, overlap_sentence
from pgt.export.segment_codes import segment_codes
from pgt.export.selection import LeftOut, selected
from pgt.plain_data import to_plain

_ANY_CHANNEL = "image"
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class PlannedCase:
    """One case of the plan.

    Args:
        case: its name.
        sources: SHA-256 of label, image and series, for those that it has.
        state: SHA-256 of all else that the case list says of it.
    """

    case: str
    sources: Mapping[str, str]
    state: str


@dataclass(frozen=True)
class ExportPlan:
    """What an export holds; two runs with equal plans write the same.

    Args:
        software: version that writes.
        settings: of the export.
        labels: of all cases.
        channel: what the images are.
        cases: in their order.
        left_out: cases that the filter kept out; no part of the identity.
        messages: for the user; no part of the identity.
    """

    software: str
    settings: ExportSettings
    labels: tuple[ExportLabel, ...]
    channel: str
    cases: tuple[PlannedCase, ...]
    left_out: tuple[LeftOut, ...] = field(default=(), compare=False)
    messages: tuple[str, ...] = field(default=(), compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on in a folder, as JSON can hold it."""
        plain: dict[str, Any] = to_plain(replace(self, settings=replace(self.settings, overwrite=False)))
        return {name: value for name, value in plain.items() if name not in ("left_out", "messages")}


def plan_export(
    cases: Sequence[CaseState],
    settings: ExportSettings,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[ExportPlan, tuple[CaseState, ...]]:
    """The plan of an export, and the cases that it is about.

    Args:
        cases: the whole list.
        settings: of the export.
        progress: is told cases checked, cases in all, and what is being done.
        cancelled: asked between cases.

    Raises:
        InputError: a case cannot be exported as asked, or no case passes the filter.
        PGTError: a package is missing.
        Cancelled: the user stopped it.
    """
    chosen, left_out = selected(cases, settings.filter)
    if not chosen:
        reason = f" {left_out[0].case}: {left_out[0].reason}" if left_out else ""
        raise InputError(f"None of {len(cases)} cases passes the filter.{reason}")
    labels = common_labels(chosen, settings)
    _check_overlaps(chosen, settings)
    channels: dict[str, str] = {}
    planned = []
    for number, case in enumerate(chosen):
        if cancelled and cancelled():
            raise Cancelled
        if progress:
            progress(number, len(chosen), f"Checking {case.case}")
        _check_case(case, settings, channels)
        planned.append(PlannedCase(case.case, _sources(case), _state(case)))
    plan = ExportPlan(
        __version__,
        settings,
        labels,
        settings.channel or _common_channel(channels),
        tuple(planned),
        left_out,
        _messages(chosen, labels, settings),
    )
    return plan, chosen


def _check_overlaps(cases: Sequence[CaseState], settings: ExportSettings) -> None:
    """Refuse overlaps early; where only some labels are exported, the voxels tell later."""
    if settings.separate_segments or settings.labels or not any(one.is_label_map for one in settings.formats):
        return
    for case in cases:
        if case.overlapping:
            first, second = _overlapping_names(case)
            raise InputError(overlap_sentence(case.case, first, second))


def _overlapping_names(case: CaseState) -> tuple[str, str]:
    """Two names to tell the user; which voxels overlap is not looked up for a refusal."""
    layers = {segment.layer: segment.name for segment in reversed(case.segments)}
    first, second = [layers[layer] for layer in sorted(layers)][:2]
    return first, second


def _check_case(case: CaseState, settings: ExportSettings, channels: dict[str, str]) -> None:
    from pgt.dicom_series import series_geometry
    from pgt.export.dicom_seg import check_highdicom

    wanting = [one.value for one in settings.formats if one.needs_image]
    if wanting and case.image is None:
        raise InputError(f"Case {case.case} names no image, which {' and '.join(wanting)} needs.")
    if ExportFormat.DICOM_SEG in settings.formats:
        check_highdicom()
        if case.series is None:
            raise InputError(
                f"Case {case.case} names no DICOM series, which dicom-seg refers to: add the column series, "
                "or name the folder that holds each case's series."
            )
        if not case.segments:
            raise InputError(f"Case {case.case} has no segment, and a DICOM SEG needs one.")
    if case.series is not None and (wanting or ExportFormat.DICOM_SEG in settings.formats):
        series_geometry(case.series)
        channels[case.case] = _modality(case)


def _modality(case: CaseState) -> str:
    import pydicom

    from pgt.dicom_series import series_frames

    assert case.series is not None
    _, places = series_frames(case.series)
    header = pydicom.dcmread(places[0][0], stop_before_pixels=True, specific_tags=["Modality"])
    return str(header.get("Modality", "")) or _ANY_CHANNEL


def _common_channel(channels: Mapping[str, str]) -> str:
    kinds = sorted(set(channels.values()))
    if len(kinds) > 1:
        raise InputError(
            f"The cases' images are of different kinds ({', '.join(kinds)}), and a data set has one: "
            "name the channel, or make a list of each."
        )
    return kinds[0] if kinds else _ANY_CHANNEL


def _sources(case: CaseState) -> Mapping[str, str]:
    sources = {"label": _sha256(case.label)}
    if case.image is not None:
        sources["image"] = _sha256(case.image)
    if case.series is not None:
        same = case.image is not None and not case.image.member and case.image.path == case.series
        sources["series"] = sources["image"] if same else sha256_of_folder(case.series)
    return sources


def _sha256(file: CaseFile) -> str:
    if not file.member:
        return sha256_of_folder(file.path) if file.path.is_dir() else sha256_of(file.path)
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(file.path) as archive, archive.open(file.member) as member:
            while chunk := member.read(_CHUNK_BYTES):
                digest.update(chunk)
    except (OSError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        raise InputError(f"{file} cannot be read: the packed scene is damaged or was replaced.") from error
    return digest.hexdigest()


def _state(case: CaseState) -> str:
    """Where files lie is no part of what a case is; what they hold is in the sources."""
    nowhere = CaseFile(path=case.label.path.__class__())
    plain = to_plain(replace(case, label=nowhere, image=None, series=None))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _messages(
    cases: Sequence[CaseState], labels: Sequence[ExportLabel], settings: ExportSettings
) -> tuple[str, ...]:
    sentences = list(different_codes(cases, labels, settings))
    if ExportFormat.DICOM_SEG in settings.formats:
        default = [label.name for label in labels if not segment_codes(label.terminology).given]
        if default:
            sentences.append(
                f"{', '.join(default)}: no terminology that DICOM can take, so the code is Tissue; choose "
                "one in 3D Slicer (Segment Editor, double-click on the colour)."
            )
    return tuple(sentences)
