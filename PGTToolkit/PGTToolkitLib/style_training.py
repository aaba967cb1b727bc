"""Training a style model from the host: start, watch the map grow, stop, go on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from pgt.errors import Cancelled, PGTError
from pgt.styles.training_job import AskedTraining, tidied_order, write_job
from pgt.styles.training_watch import Glance, glance
from PGTToolkitLib.worker import Event, Failed, Finished, Stopped, WorkerClient


class StyleTraining:
    """Runs one training at a time in a worker of its own."""

    def __init__(self, worker: WorkerClient) -> None:
        self._worker = worker
        self._asked: AskedTraining | None = None
        self._tidy: AbstractContextManager[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a training is under way, or has yet to stop."""
        return self._worker.busy

    @property
    def folder(self) -> Path | None:
        """Where the model of the training under way will lie."""
        return self._asked.folder if self._asked is not None else None

    def start(self, asked: AskedTraining) -> None:
        """Begin, or go on with, a training.

        Raises:
            InputError: the table cannot be read, or the folder cannot take the model.
            CheckpointError: there is no training that could go on.
            OSError: the worker cannot be started.
        """
        tidy = tidied_order(asked)
        tidy.__enter__()
        self._asked, self._tidy = asked, tidy
        try:
            self._worker.submit("style-train", lambda folder: write_job(folder, asked))
        except BaseException as error:
            self._tidy_up(error)
            raise

    def stop(self) -> None:
        """Stop within a second; what was learnt up to the last checkpoint stays and can go on."""
        self._worker.cancel()

    def look(self) -> Glance | None:
        """Where the training is; None before its first epoch."""
        return glance(self._asked.folder) if self._asked is not None else None

    def poll(self) -> list[Event]:
        """What has happened since the last call."""
        events = self._worker.poll()
        for event in events:
            if isinstance(event, Stopped):
                self._tidy_up(Cancelled())
            elif isinstance(event, Failed):
                self._tidy_up(PGTError(event.message))
            elif isinstance(event, Finished):
                self._tidy_up(None)
        return events

    def close(self) -> None:
        """End the process; a training under way can go on another day."""
        self._worker.close()
        self._tidy_up(Cancelled())

    def _tidy_up(self, error: BaseException | None) -> None:
        # The worker may have been ended amid its work, so its own tidying cannot be relied on.
        tidy, self._tidy, self._asked = self._tidy, None, None
        if tidy is not None:
            tidy.__exit__(type(error) if error else None, error, None)
