"""Training a style model as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``asked``, an `AskedTraining`. ``result.json``: ``folder``, where the model lies.

The model and what is needed to go on are written into the model's own folder, not into the job folder, so
that a stopped training, or one whose process was ended, can go on (`pgt.styles.training_folder`). A host
calls `tidied_order` around the job: it leaves nothing half-made where nothing was learnt yet.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pgt.case_table import read_case_table
from pgt.job_files import (
    not_this_job,
    read_job_file,
    read_result_file,
    write_job_file,
    write_result_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain
from pgt.styles.training_order import SizeName, TrainingOrder, check_order, tidied
from pgt.styles.training_settings import StyleTrainingSettings

_SIZES: dict[str, SizeName] = {"small": "small", "factored": "factored", "published": "published"}


@dataclass(frozen=True)
class AskedTraining:
    """What to train.

    Args:
        table: of the cases; of a training that goes on, the one in its folder is right.
        folder: for the model.
        size: "small", "factored" or "published".
        device: "auto", "cpu" or "cuda".
        epochs: at most; None for as many as the number of cases asks for.
        resume: go on with the training in the folder.
        force: begin anew in a folder that holds a model or a training.
        checkpoint_seconds: at most this much work, or one epoch, is lost when it is stopped.
    """

    table: Path
    folder: Path
    size: str = "small"
    device: str = "auto"
    epochs: int | None = None
    resume: bool = False
    force: bool = False
    checkpoint_seconds: float = 15.0

    def order(self) -> TrainingOrder:
        """What `pgt.styles.training_folder.train_folder` takes; cheap.

        Raises:
            InputError: the table cannot be read, or the folder cannot take the model.
            CheckpointError: there is no training that could go on.
        """
        settings = StyleTrainingSettings(device=self.device, checkpoint_seconds=self.checkpoint_seconds)
        order = TrainingOrder(
            rows=read_case_table(self.table, ("case", "image", "label")),
            folder=self.folder,
            size=_SIZES[self.size],
            settings=settings,
            epochs=self.epochs,
            resume=self.resume,
            force=self.force,
        )
        check_order(order)
        return order


def tidied_order(asked: AskedTraining) -> AbstractContextManager[None]:
    """A context for whoever has another process train: an error in it leaves no half-made folder."""
    return tidied(asked.order())


def write_job(folder: Path, asked: AskedTraining) -> None:
    """Write what is asked for into an existing, empty folder."""
    write_job_file(folder, {"asked": to_plain(asked)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Train."""
    from pgt.styles.training_folder import train_folder

    try:
        asked = from_plain(AskedTraining, read_job_file(folder)["asked"])
    except (KeyError, TypeError) as error:
        raise not_this_job(folder, "training", error) from error
    train_folder(asked.order(), report, cancelled)
    write_result_file(folder, {"folder": str(asked.folder)})


def read_result(folder: Path) -> Path:
    """Where the model lies."""
    return Path(read_result_file(folder)["folder"])
