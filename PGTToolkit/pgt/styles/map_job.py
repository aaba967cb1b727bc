"""The map of a style model as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``asked``, an `AskedMap`.

``result.json``: ``map``, a `FoundMap`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pgt.job_files import (
    not_this_job,
    read_job_file,
    read_result_file,
    write_job_file,
    write_result_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain
from pgt.progress import Progress
from pgt.styles.model_card import Latent


@dataclass(frozen=True)
class FoundCluster:
    """Cases of one style: see `pgt.styles.latent_map.Cluster`."""

    name: str
    centre: Latent
    cases: tuple[str, ...]
    is_main: bool
    exemplars: tuple[str, ...]


@dataclass(frozen=True)
class FoundSuspect:
    """How suspicious a case is: see `pgt.styles.latent_map.Suspect`."""

    case: str
    latent: Latent
    norm: float
    isolation: float
    score: float
    suggestion: str


@dataclass(frozen=True)
class FoundMap:
    """The map of a model.

    Args:
        folder: of the model.
        clusters: the main style first, then the larger ones first.
        suspects: every case, the most suspicious first.
        looked: whether the suggestions rest on labels and predictions.
        messages: what the user should know, such as that labels are no more where they were.
    """

    folder: Path
    clusters: tuple[FoundCluster, ...]
    suspects: tuple[FoundSuspect, ...]
    looked: bool = False
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskedMap:
    """What to find out.

    Args:
        model: its folder.
        look: whether to compare labels with what the main style predicts, for suggestions; takes a
            prediction a case.
        device: "auto", "cpu" or "cuda".
    """

    model: Path
    look: bool = False
    device: str = "auto"


def write_job(folder: Path, asked: AskedMap) -> None:
    """Write what is asked for into an existing, empty folder."""
    write_job_file(folder, {"asked": to_plain(asked)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Find clusters and suspicious cases."""
    from pgt.styles.model_map import model_map

    try:
        asked = from_plain(AskedMap, read_job_file(folder)["asked"])
    except (KeyError, TypeError) as error:
        raise not_this_job(folder, "map", error) from error
    started = time.monotonic()

    def told(done: int, total: int, message: str) -> None:
        report(Progress(done, total, time.monotonic() - started, message))

    mapped = model_map(
        asked.model,
        look=asked.look,
        device=asked.device,  # type: ignore[arg-type]
        report=told,
        cancelled=cancelled,
    )
    found = mapped.found
    content = FoundMap(
        asked.model,
        tuple(
            FoundCluster(one.name, one.centre, one.cases, one.is_main, one.exemplars)
            for one in found.clusters
        ),
        tuple(
            FoundSuspect(one.case, one.latent, one.norm, one.isolation, one.score, one.suggestion.value)
            for one in found.suspects
        ),
        asked.look,
        mapped.messages,
    )
    write_result_file(folder, {"map": to_plain(content)})


def read_result(folder: Path) -> FoundMap:
    """Read what `run` added."""
    return from_plain(FoundMap, read_result_file(folder)["map"])
