"""One table of labels for all cases of an export: the same name and value mean the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pgt.agreement.label_matching import folded, terminology_key
from pgt.errors import InputError
from pgt.export.case_state import CaseState, SegmentState
from pgt.export.export_settings import ExportSettings
from pgt.volume import Color

_MOST_NAMED = 3
IGNORE = "ignore"
"""What voxels are called that no rater drew or accepted, where they are marked."""

_RESERVED = ("background", IGNORE)


@dataclass(frozen=True)
class ExportLabel:
    """One structure of the export.

    Args:
        name: what it is called in every case.
        value: in every label map, from 1 without gaps.
        terminology: Slicer's serialised entry, empty if no case has one.
        color: red, green and blue from 0 to 1.
    """

    name: str
    value: int
    terminology: str
    color: Color


def common_labels(cases: Sequence[CaseState], settings: ExportSettings) -> tuple[ExportLabel, ...]:
    """The labels of an export, in the order asked for, else of their first appearance.

    Names are compared as in agreement: capitals, underscores and repeated blanks do not count. A label of a
    file that names none goes by "Segment_<value>".

    Raises:
        InputError: cases name their segments differently, or a name that was asked for or renamed is unknown.
    """
    _check_renamed(cases, settings)
    found: dict[str, ExportLabel] = {}
    for case in cases:
        for key, segment in _by_name(case, settings).items():
            known = found.get(key)
            if known is None:
                name = new_name(segment, settings)
                found[key] = ExportLabel(name, len(found) + 1, segment.terminology, segment.color)
            elif not known.terminology and segment.terminology:
                found[key] = replace(known, terminology=segment.terminology)
    if not any(case.named for case in cases):
        found = dict(sorted(found.items(), key=lambda item: _number(item[0])))
    chosen = _chosen(found, settings)
    for reserved in _RESERVED:
        if any(folded(label.name) == reserved for label in chosen):
            raise InputError(f"A segment cannot be called {reserved} in a data set; give it another name.")
    _check_missing(cases, chosen, settings)
    return tuple(replace(label, value=number) for number, label in enumerate(chosen, start=1))


def labels_of_case(
    case: CaseState, labels: Sequence[ExportLabel], settings: ExportSettings
) -> tuple[tuple[ExportLabel, SegmentState | None], ...]:
    """The segment of a case for every label; None where the case does not have it."""
    segments = _by_name(case, settings)
    return tuple((label, segments.get(folded(label.name))) for label in labels)


def different_codes(
    cases: Sequence[CaseState], labels: Sequence[ExportLabel], settings: ExportSettings
) -> tuple[str, ...]:
    """Sentences about labels of one name whose terminology says different things."""
    sentences = []
    for label in labels:
        wanted = terminology_key(label.terminology)
        for case in cases:
            segment = _by_name(case, settings).get(folded(label.name))
            own = terminology_key(segment.terminology) if segment else ""
            if own and wanted and own != wanted:
                sentences.append(
                    f"Case {case.case} gives {label.name} other codes than the cases before it; "
                    "its DICOM SEG keeps its own."
                )
                break
    return tuple(sentences)


def new_name(segment: SegmentState, settings: ExportSettings) -> str:
    """What a segment is called in the export."""
    renamed = {folded(old): new for old, new in settings.renamed.items()}
    return renamed.get(folded(segment.name), segment.name)


def overlap_sentence(case: str, first: str, second: str) -> str:
    """Why a case cannot be a label map, and what can be done."""
    return (
        f"The segments {first} and {second} of case {case} overlap, which a label map cannot hold: export it "
        "as dicom-seg or seg-nrrd, one file a segment, or only the labels that do not overlap."
    )


def _by_name(case: CaseState, settings: ExportSettings) -> Mapping[str, SegmentState]:
    segments: dict[str, SegmentState] = {}
    for segment in case.segments:
        name = new_name(segment, settings)
        if folded(name) in segments:
            raise InputError(f"Case {case.case} has two segments that are called {name}; rename one of them.")
        segments[folded(name)] = segment
    return segments


def _check_renamed(cases: Sequence[CaseState], settings: ExportSettings) -> None:
    names = {folded(segment.name) for case in cases for segment in case.segments}
    unknown = [old for old in settings.renamed if folded(old) not in names]
    if unknown:
        raise InputError(f"No case has a segment called {unknown[0]}, which was to be renamed.")


def _chosen(found: Mapping[str, ExportLabel], settings: ExportSettings) -> list[ExportLabel]:
    if not settings.labels:
        return list(found.values())
    keys = [folded(name) for name in settings.labels]
    if len(set(keys)) < len(keys):
        raise InputError("A label is asked for twice.")
    for name, key in zip(settings.labels, keys, strict=True):
        if key not in found:
            has = ", ".join(label.name for label in found.values()) or "none"
            raise InputError(f"No case has a segment called {name}; the cases have {has}.")
    return [found[key] for key in keys]


def _check_missing(
    cases: Sequence[CaseState], labels: Sequence[ExportLabel], settings: ExportSettings
) -> None:
    """Every case whose file names its segments has all of them; elsewhere no voxel means no structure."""
    if settings.missing_is_absent:
        return
    lacking = []
    for case in cases:
        names = _by_name(case, settings)
        missing = [label.name for label in labels if folded(label.name) not in names]
        if case.named and missing:
            lacking.append(f"{case.case} lacks {', '.join(missing)}")
    if lacking:
        more = f", and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
        raise InputError(
            f"The cases name their segments differently ({'; '.join(lacking[:_MOST_NAMED])}{more}): rename "
            "them, choose the labels to export, or say that a missing segment is an absent structure."
        )


def _number(name: str) -> int:
    """Label value in the name of a segment that nobody named."""
    digits = name.rpartition(" ")[2]
    return int(digits) if digits.isdigit() else 0
