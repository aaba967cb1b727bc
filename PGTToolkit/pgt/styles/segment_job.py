"""Segmenting a volume in one style or several as a job of the worker; the folder's rules: `pgt.job_files`.

``job.json``: ``asked``, an `AskedStyles`; ``geometry``; the image lies in ``image.npy``, [i, j, k].

``result.json``: ``styles``, each with its ``name``, ``latent``, ``volumes_ml`` by label value and the file of
its ``labels``; ``segments`` of the label maps; ``geometry``; ``device``, ``seconds``, ``messages``; and the
files of ``uncertainty`` (one style) or ``spread`` (several), float32 [i, j, k], or null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.job_files import (
    geometry_from,
    load_array,
    not_this_job,
    read_job_file,
    read_result_file,
    save_array,
    write_job_file,
    write_result_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain
from pgt.progress import Progress
from pgt.styles.model_card import Latent
from pgt.volume import LabelMap, Segment, Volume

if TYPE_CHECKING:
    from pgt.styles.inference import Segmenter, StyledSegmentation

_IMAGE = "image.npy"
_UNCERTAINTY = "uncertainty.npy"
_SPREAD = "spread.npy"


@dataclass(frozen=True)
class NamedStyle:
    """A point of the map, and what to call it."""

    name: str
    latent: Latent


@dataclass(frozen=True)
class AskedStyles:
    """What to segment.

    Args:
        model: its folder.
        styles: one, or several to compare.
        device: "auto", "cpu" or "cuda".
    """

    model: Path
    styles: tuple[NamedStyle, ...]
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class StyledVolume:
    """A volume segmented in one style.

    Args:
        style: which.
        label_map: on the volume's grid.
        volumes_ml: of every structure, by label value.
    """

    style: NamedStyle
    label_map: LabelMap
    volumes_ml: Mapping[int, float]


@dataclass(frozen=True, eq=False)
class StyledVolumes:
    """What came of it.

    Args:
        model: folder of the model.
        volumes: one for each style.
        uncertainty: of a single style: the probability that a voxel's label is wrong, float32 [i, j, k].
        spread: of several styles: how far they disagree on a voxel, float32 [i, j, k], from 0 to 1.
        device: where it was computed.
        seconds: it took.
        messages: what the user should know.
    """

    model: Path
    volumes: tuple[StyledVolume, ...]
    uncertainty: NDArray[np.float32] | None
    spread: NDArray[np.float32] | None
    device: str
    seconds: float
    messages: tuple[str, ...]


def write_job(folder: Path, volume: Volume, asked: AskedStyles) -> None:
    """Write what is asked for into an existing, empty folder."""
    write_volume_into(folder, volume)
    write_job_file(folder, {"asked": to_plain(asked), "geometry": asdict(volume.geometry)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Segment; where the job refines an earlier one, the volume has been prepared already.

    A host names a job to refine only where model, image and device are the same.
    """
    from pgt.styles.inference import Segmenter
    from pgt.styles.several_styles import compare_prepared
    from pgt.styles.warm_model import warm_model

    job = read_job_file(folder)
    try:
        asked = from_plain(AskedStyles, job["asked"])
        geometry = geometry_from(job["geometry"])
    except (KeyError, TypeError, AttributeError) as error:
        raise not_this_job(folder, "style", error) from error
    if not asked.styles:
        raise InputError("No style was named to segment in.")
    segmenter: Segmenter | None = state.previous
    if segmenter is None:
        report(Progress(0, 0, 0.0, "Preparing the volume"))
        volume = Volume(load_array(folder / _IMAGE), geometry)
        segmenter = Segmenter(warm_model(asked.model), volume, asked.device)  # type: ignore[arg-type]
    if len(asked.styles) == 1:
        style = asked.styles[0]
        found, spread = [(style, segmenter.segment(style.latent, report, cancelled))], None
    else:
        latents = {style.name: style.latent for style in asked.styles}
        compared = compare_prepared(segmenter, latents, report, cancelled)
        found = [(NamedStyle(name, one.latent), one) for name, one in compared.styles.items()]
        spread = compared.spread
    write_styled(folder, asked.model, found, spread)
    state.keep(segmenter)


def read_result(folder: Path) -> StyledVolumes:
    """Read what `run` added."""
    return read_styled(folder, read_result_file(folder))


def write_volume_into(folder: Path, volume: Volume) -> None:
    """Put the image of a job into its folder."""
    save_array(folder / _IMAGE, volume.voxels)


def read_volume_from(folder: Path, geometry: Mapping[str, Any]) -> Volume:
    """The image of a job."""
    return Volume(load_array(folder / _IMAGE), geometry_from(geometry))


def write_styled(
    folder: Path,
    model: Path,
    found: Sequence[tuple[NamedStyle, StyledSegmentation]],
    spread: NDArray[np.float32] | None = None,
    **more: Any,
) -> None:
    """Add segmentations of one volume, at least one, to a job folder."""
    first = found[0][1].label_map
    styles = []
    for number, (style, one) in enumerate(found):
        name = f"labels{number}.npy"
        save_array(folder / name, one.label_map.voxels)
        volumes = [[value, ml] for value, ml in one.volumes_ml.items()]
        styles.append({"style": to_plain(style), "labels": name, "volumes_ml": volumes})
    if spread is not None:
        save_array(folder / _SPREAD, np.clip(spread, 0, 1))
    else:
        save_array(folder / _UNCERTAINTY, uncertainty_of(found[0][1]))
    content = {
        "model": str(model),
        "styles": styles,
        "segments": [asdict(segment) for segment in first.segments],
        "geometry": asdict(first.geometry),
        "uncertainty": _UNCERTAINTY if spread is None else None,
        "spread": None if spread is None else _SPREAD,
        "device": found[0][1].device,
        "seconds": sum(one.seconds for _style, one in found),
        "messages": list(dict.fromkeys(text for _style, one in found for text in one.messages)),
    }
    write_result_file(folder, {**content, **more})


def read_styled(folder: Path, result: Mapping[str, Any]) -> StyledVolumes:
    """Read what `write_styled` wrote."""
    geometry = geometry_from(result["geometry"])
    segments = tuple(Segment(**{**one, "color": tuple(one["color"])}) for one in result["segments"])
    volumes = tuple(
        StyledVolume(
            from_plain(NamedStyle, one["style"]),
            LabelMap(load_array(folder / one["labels"]), geometry, segments),
            {int(value): float(ml) for value, ml in one["volumes_ml"]},
        )
        for one in result["styles"]
    )
    arrays = [result[name] and load_array(folder / result[name]) for name in ("uncertainty", "spread")]
    return StyledVolumes(
        Path(result["model"]),
        volumes,
        arrays[0],
        arrays[1],
        result["device"],
        result["seconds"],
        tuple(result["messages"]),
    )


def uncertainty_of(found: StyledSegmentation) -> NDArray[np.float32]:
    """Probability that a voxel's label is wrong, [i, j, k]: 1 - the probability of the label it got."""
    right = found.probability(0)
    for value in found.label_map.values:
        mask = found.label_map.mask(value)
        right[mask] = found.probability(value)[mask]
    return np.clip(1 - right, 0, 1, out=right, dtype=np.float32)
