"""Finding the style of annotated slices as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``asked``, an `AskedFit`; ``geometry``, ``segments`` and annotated ``slices``; the image lies in
``image.npy`` and the annotation in ``annotation.npy``, [i, j, k].

``result.json``: ``fit``, the style and how well it explains the slices; and the volume segmented in it
(`pgt.styles.segment_job`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pgt.annotation import SparseAnnotation
from pgt.job_files import (
    geometry_from,
    load_array,
    not_this_job,
    read_job_file,
    read_result_file,
    save_array,
    write_job_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain
from pgt.progress import Progress
from pgt.styles.model_card import Latent, read_card
from pgt.styles.segment_job import (
    NamedStyle,
    StyledVolumes,
    read_styled,
    read_volume_from,
    write_styled,
    write_volume_into,
)
from pgt.volume import LabelMap, Segment, Volume

_ANNOTATION = "annotation.npy"
FITTED = "from my slices"
"""What a style is called that was found in slices, until somebody names it."""


@dataclass(frozen=True)
class AskedFit:
    """With which model to find the style, and where to compute."""

    model: Path
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Fitted:
    """The style that explains annotated slices best.

    Args:
        latent: where it lies on the map.
        dice: with the annotated slices, mean over the structures.
        main_dice: that of the main style.
        slices: annotated slices that were looked at.
        styled: the volume segmented in this style.
    """

    latent: Latent
    dice: float
    main_dice: float
    slices: int
    styled: StyledVolumes


def write_job(folder: Path, volume: Volume, annotation: SparseAnnotation, asked: AskedFit) -> None:
    """Write what is asked for into an existing, empty folder.

    Args:
        folder: the job folder.
        volume: the image.
        annotation: annotated slices on its grid, with the model's label values.
        asked: with which model.
    """
    write_volume_into(folder, volume)
    save_array(folder / _ANNOTATION, annotation.label_map.voxels)
    job = {
        "asked": to_plain(asked),
        "geometry": asdict(volume.geometry),
        "segments": [asdict(segment) for segment in annotation.label_map.segments],
        "slices": annotation.slices,
    }
    write_job_file(folder, job)


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Find the style, then segment the volume in it."""
    from pgt.styles.inference import Segmenter
    from pgt.styles.style_from_slices import fit_prepared
    from pgt.styles.warm_model import warm_model

    job = read_job_file(folder)
    try:
        asked = from_plain(AskedFit, job["asked"])
        volume = read_volume_from(folder, job["geometry"])
        annotation = _annotation(folder, job)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_this_job(folder, "style from slices", error) from error
    report(Progress(0, 0, 0.0, "Preparing the volume"))
    segmenter = Segmenter(warm_model(asked.model), volume, asked.device)  # type: ignore[arg-type]
    named = read_card(asked.model).styles
    fitted = fit_prepared(segmenter, annotation, tuple(named.values()), progress=report, cancelled=cancelled)
    found = segmenter.segment(fitted.latent, cancelled=cancelled)
    write_styled(
        folder,
        asked.model,
        [(NamedStyle(FITTED, fitted.latent), found)],
        fit={
            "latent": list(fitted.latent),
            "dice": fitted.dice,
            "main_dice": fitted.main_dice,
            "slices": fitted.slices,
        },
    )


def read_result(folder: Path) -> Fitted:
    """Read what `run` added."""
    result = read_result_file(folder)
    fit = result["fit"]
    return Fitted(
        tuple(fit["latent"]), fit["dice"], fit["main_dice"], fit["slices"], read_styled(folder, result)
    )


def _annotation(folder: Path, job: Mapping[str, Any]) -> SparseAnnotation:
    segments = tuple(Segment(**{**one, "color": tuple(one["color"])}) for one in job["segments"])
    voxels = load_array(folder / _ANNOTATION)
    slices = {
        int(value): {int(axis): tuple(indices) for axis, indices in axes.items()}
        for value, axes in job["slices"].items()
    }
    return SparseAnnotation(LabelMap(voxels, geometry_from(job["geometry"]), segments), slices)
