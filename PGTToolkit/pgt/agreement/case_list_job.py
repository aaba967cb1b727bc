"""Opening a case list as a job of the worker: what its files hold, or the readings of one case to look at.

``job.json``: ``source`` (`pgt.agreement.reading_source`).

``result.json``: ``found``, the names of structures; ``cases``; ``sittings``; and where the source names one
case ``opened``: ``geometry``, each sitting with where its masks lie in ``masks.npz``, and ``image``, the
file of the case's image, or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.job import Steps
from pgt.agreement.label_renaming import FoundLabel, found_labels
from pgt.agreement.masks import CroppedMask
from pgt.agreement.reading_source import ReadingSource, load_masks, load_source, save_masks, save_source
from pgt.agreement.readings import Sitting
from pgt.geometry import Geometry
from pgt.job_files import (
    geometry_from,
    load_arrays,
    not_this_job,
    read_job_file,
    read_result_file,
    save_arrays,
    write_job_file,
    write_result_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain

_ARRAYS_FILE = "masks.npz"


@dataclass(frozen=True, eq=False)
class OpenedCase:
    """One case to look at.

    Args:
        case: its name.
        geometry: the grid of all masks.
        masks: for each sitting the structures by label.
        image: the file of its image; None without one.
    """

    case: str
    geometry: Geometry
    masks: Mapping[Sitting, Mapping[str, CroppedMask]]
    image: Path | None


@dataclass(frozen=True, eq=False)
class OpenedList:
    """What a case list holds.

    Args:
        found: the names of structures and what they are compared as, without the user's corrections.
        cases: names of the cases, in order.
        sittings: raters and sessions, in order.
        opened: the case that was asked for; None where none was.
    """

    found: tuple[FoundLabel, ...]
    cases: tuple[str, ...]
    sittings: tuple[Sitting, ...]
    opened: OpenedCase | None = None


def write_job(folder: Path, source: ReadingSource) -> None:
    """Write what is asked for into an existing, empty folder."""
    write_job_file(folder, {"source": save_source(folder, source)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Read the files; of a single case also hand over the masks."""
    steps = Steps(report, cancelled)
    try:
        source = load_source(folder, read_job_file(folder)["source"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_this_job(folder, "case list", error) from error
    opened = source.opened(steps.counted("Reading"))
    found = found_labels([one.segmentation for one in opened.rated], {})
    content: dict[str, Any] = {
        "found": to_plain(found),
        "cases": list(dict.fromkeys(one.case for one in opened.rated)),
        "sittings": to_plain(tuple(dict.fromkeys(one.sitting for one in opened.rated))),
        "opened": None,
    }
    if source.case:
        content["opened"] = _opened(folder, opened)
    write_result_file(folder, content)


def read_result(folder: Path) -> OpenedList:
    """Read what `run` added."""
    result = read_result_file(folder)
    return OpenedList(
        from_plain(tuple[FoundLabel, ...], result["found"]),
        tuple(result["cases"]),
        from_plain(tuple[Sitting, ...], result["sittings"]),
        None if result["opened"] is None else _case(folder, result["opened"]),
    )


def _opened(folder: Path, source: ReadingSource) -> dict[str, Any]:
    readings = source.readings(alone=True)
    arrays: dict[str, NDArray[np.uint8]] = {}
    described = [
        {"sitting": asdict(one.sitting), "masks": save_masks(one.masks, arrays, f"mask{number}_")}
        for number, one in enumerate(readings)
    ]
    save_arrays(folder / _ARRAYS_FILE, arrays)
    image = source.images.get(source.case)
    return {
        "case": source.case,
        "geometry": asdict(readings[0].geometry),
        "readings": described,
        "image": None if image is None else str(image),
    }


def _case(folder: Path, content: Mapping[str, Any]) -> OpenedCase:
    geometry = geometry_from(content["geometry"])
    arrays = load_arrays(folder / _ARRAYS_FILE)
    masks = {
        Sitting(**one["sitting"]): load_masks(one["masks"], arrays, geometry) for one in content["readings"]
    }
    image = content["image"]
    return OpenedCase(content["case"], geometry, masks, None if image is None else Path(image))
