"""A comparison of raters as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``source`` (`pgt.agreement.reading_source`) and ``options``, an `AskedFor`.

``result.json``: ``agreement``, a whole `Agreement`; ``notes``, what was done to readings; ``files``, names of
the report's files, which lie in the folder; and where one case was compared ``geometry``, its grid, and
``disputed``: for each label an array of ``disagreement.npz``, float32 [i, j, k], the entropy in bits, and the
index of its first voxel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.expert_ratings import ExpertRating
from pgt.agreement.metric_choice import Answers
from pgt.agreement.metrics import DEFAULT_METRICS
from pgt.agreement.reading_source import ReadingSource, load_source, save_source
from pgt.agreement.results import Agreement
from pgt.errors import Cancelled
from pgt.geometry import Geometry, Shape
from pgt.job_files import (
    as_tuples,
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
from pgt.progress import Progress

if TYPE_CHECKING:
    from pgt.agreement.readings import Reading
    from pgt.volume import Volume

_DISAGREEMENT_FILE = "disagreement.npz"


@dataclass(frozen=True)
class AskedFor:
    """What to find out.

    Args:
        tolerance_mm: of NSD.
        metrics: keys of :data:`pgt.agreement.metrics.METRICS`.
        ratings: what experts think of the segmentations.
        remarks: what the reader of the report has to know and no file says, such as that a rater saw the
            first session when drawing the second.
        anonymous: a rater's name means another person from case to case.
        answers: what a person says of a structure, by label; under the empty name, of all others.
        page: whether to write ``report.html``, which needs Jinja2 and matplotlib.
    """

    tolerance_mm: float = 2.0
    metrics: tuple[str, ...] = DEFAULT_METRICS
    ratings: tuple[ExpertRating, ...] = ()
    remarks: tuple[str, ...] = ()
    anonymous: bool = False
    answers: Mapping[str, Answers] = field(default_factory=dict)
    page: bool = True


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of it.

    Args:
        agreement: the numbers.
        notes: what was done to readings, such as resampling; one sentence each.
        files: content of the report's files by name.
        geometry: the grid that was compared on, where it was one case; else None.
        disputed: entropy in bits by label: index of its first voxel, and float32 [i, j, k].
    """

    agreement: Agreement
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    geometry: Geometry | None = None
    disputed: Mapping[str, tuple[Shape, NDArray[np.float32]]] = field(default_factory=dict)


def write_job(folder: Path, source: ReadingSource, asked: AskedFor | None = None) -> None:
    """Write a comparison into an existing, empty folder.

    Args:
        folder: the job folder; the caller removes it after reading the result.
        source: what is compared.
        asked: what to find out.
    """
    write_job_file(folder, {"source": save_source(folder, source), "options": to_plain(asked or AskedFor())})


def read_job(folder: Path) -> tuple[ReadingSource, AskedFor]:
    """Read what `write_job` wrote.

    Raises:
        InputError: the folder lacks a file, or holds something else.
    """
    job = read_job_file(folder)
    try:
        return load_source(folder, job["source"]), from_plain(AskedFor, job["options"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_this_job(folder, "comparison", error) from error


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Read, compare, and write the report's files into the folder."""
    from pgt.agreement.study import StudyOptions, study

    steps = Steps(report, cancelled)
    source, asked = read_job(folder)
    opened = source.opened(steps.counted("Reading"))
    readings = opened.readings()
    options = StudyOptions(
        tolerance_mm=asked.tolerance_mm,
        metrics=asked.metrics,
        reference=opened.reference,
        candidates=opened.candidates,
        ratings=asked.ratings,
        anonymous=asked.anonymous,
        answers=asked.answers,
    )
    found = study(readings, options, steps.tell, cancelled)
    found = replace(found, messages=(*found.messages, *asked.remarks))
    steps.tell(0, 0, "Writing the report")
    names = _write_report(folder, found, readings, opened, asked.page)
    steps.check()
    notes = tuple(dict.fromkeys(reading.note for reading in readings if reading.note))
    result: dict[str, Any] = {"agreement": to_plain(found), "notes": notes, "files": names}
    write_result_file(folder, {**result, **_disputed(folder, readings, found.labels)})


def read_result(folder: Path) -> Comparison:
    """Read what `run` added."""
    result = read_result_file(folder)
    geometry = result["geometry"]
    arrays = load_arrays(folder / _DISAGREEMENT_FILE)
    return Comparison(
        agreement=from_plain(Agreement, result["agreement"]),
        notes=tuple(result["notes"]),
        files={name: (folder / name).read_text(encoding="utf-8") for name in result["files"]},
        geometry=None if geometry is None else geometry_from(geometry),
        disputed={
            label: (as_tuples(place["start"]), arrays[place["array"]])
            for label, place in result["disputed"].items()
        },
    )


class Steps:
    """Tells the host how far the work is, and stops it where the host wants that."""

    def __init__(self, report: Report, cancelled: IsCancelled) -> None:
        self._report = report
        self._cancelled = cancelled
        self._started = time.monotonic()

    def check(self) -> None:
        """Raise Cancelled where that was asked for."""
        if self._cancelled():
            raise Cancelled

    def tell(self, done: int, total: int, message: str) -> None:
        """So many steps of so many are done."""
        self.check()
        self._report(Progress(done, total, time.monotonic() - self._started, message))

    def counted(self, message: str) -> Callable[[int, int], None]:
        """What takes the numbers of one kind of step."""
        return lambda done, total: self.tell(done, total, message)


def _write_report(
    folder: Path, found: Agreement, readings: Sequence[Reading], source: ReadingSource, page: bool
) -> list[str]:
    from pgt.agreement.agreement_files import PAIRS_CSV, REPORT_HTML, REPORT_JSON, pairs_csv, report_json

    texts = {REPORT_JSON: report_json(found), PAIRS_CSV: pairs_csv(found)}
    if page:
        from pgt.agreement.report_page import report_html
        from pgt.agreement.slice_pictures import slice_pictures

        pictures = slice_pictures(readings, found.worst_slices, _images(source.images, readings, found))
        texts[REPORT_HTML] = report_html(found, pictures)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return list(texts)


def _images(paths: Mapping[str, Path], readings: Sequence[Reading], found: Agreement) -> dict[str, Volume]:
    """The images of the cases that are shown, on the grids that were compared."""
    from pgt.resampling import resampled
    from pgt.volume_io import read_volume

    grids = {reading.case: reading.geometry for reading in readings}
    images = {}
    for case in dict.fromkeys(one.case for one in found.worst_slices):
        if case in paths:
            image = read_volume(paths[case])
            same = image.geometry.difference(grids[case]) is None
            images[case] = image if same else resampled(image, grids[case])
    return images


def _disputed(folder: Path, readings: Sequence[Reading], labels: Sequence[str]) -> dict[str, Any]:
    """The entropy of every label, where one case was compared; many volumes at once serve nobody."""
    from pgt.agreement.disagreement import entropy, share_slices

    arrays: dict[str, NDArray[np.float32]] = {}
    places = {}
    one_case = len({reading.case for reading in readings}) == 1
    for label in labels if one_case else ():
        having = [reading for reading in readings if label in reading.masks]
        if len(having) > 1 and share_slices(having, label):
            box, bits = entropy(having, label)
            name = f"entropy{len(arrays)}"
            arrays[name] = bits
            places[label] = {"array": name, "start": [part.start for part in box]}
    save_arrays(folder / _DISAGREEMENT_FILE, arrays)
    geometry = asdict(readings[0].geometry) if one_case else None
    return {"geometry": geometry, "disputed": places}
