"""What can be seen of a list of cases before the first of them is begun."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.volume import Segment

_NAMED = 3


def check_files(table: Path, rows: Sequence[CaseRow]) -> None:
    """Refuse a list that names files which are not there, naming the first few.

    Raises:
        InputError: as said.
    """
    missing = [
        f"{path} of case {row.case}"
        for row in rows
        for path in (row.image, row.label)
        if path is not None and not path.exists()
    ]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise InputError(f"{table} lists files that are not there: {', '.join(missing[:_NAMED])}{more}.")


def check_label_names(paths: Sequence[Path]) -> None:
    """Refuse label maps that call one label by different names, or one name by different labels.

    Only ``.seg.nrrd`` files name their labels; values without a name are taken as they are.

    Raises:
        InputError: as said, or a header cannot be read.
    """
    names: dict[int, tuple[str, Path]] = {}
    values: dict[str, tuple[int, Path]] = {}
    for path in paths:
        for segment in _named_segments(path):
            name, other = names.setdefault(segment.value, (segment.name, path))
            if name != segment.name:
                raise InputError(
                    f"{path} calls label {segment.value} {segment.name!r}, but {other} calls it {name!r}; "
                    "the cases of a list name their labels alike."
                )
            value, other = values.setdefault(segment.name.casefold(), (segment.value, path))
            if value != segment.value:
                raise InputError(
                    f"{path} gives {segment.name!r} the label {segment.value}, but {other} gives it {value}; "
                    "the cases of a list number their labels alike."
                )


def _named_segments(path: Path) -> list[Segment]:
    """The segments that a file's header names; of one with several layers none, as these share values."""
    if not path.name.lower().endswith(".nrrd"):
        return []
    import SimpleITK as sitk

    from pgt.itk_images import quiet_libraries
    from pgt.segmentation_nrrd import stored_segments

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_libraries():
            reader.ReadImageInformation()
        metadata = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
        stored = stored_segments(metadata)
    except (RuntimeError, InputError):
        return []  # its case will fail, and say why
    if len({one.layer for one in stored}) > 1:
        return []
    segments = [one.segment for one in stored]
    return [one for one in segments if one.name and one.name != Segment.numbered(one.value).name]
