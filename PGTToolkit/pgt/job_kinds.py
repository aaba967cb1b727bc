"""The kinds of job that the worker does, and what each of them has to offer.

A kind is a module. Both sides load it by its name in `KINDS`, and only when a job of that kind is asked for:
the host to write the job and to read its result, the worker to do it. So a module of this table imports what
is heavy inside its functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from pgt.progress import Progress

Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]


@dataclass(frozen=True)
class JobState:
    """What a kind of job leaves in the worker for the next job of its kind.

    Args:
        previous: what the job that this one refines has kept; None where there is no such job, or where the
            worker does not hold it any more.
        keep: keeps a value in place of what the last job of this kind kept. Of a job that fails after that,
            nothing is kept.
    """

    previous: Any
    keep: Callable[[Any], None]


class JobModule(Protocol):
    """What a kind's module offers the worker and its client, besides a ``write_job`` of its own arguments."""

    def run(self, folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
        """Do the job that lies in a folder, and add its result there, ``result.json`` last and whole.

        Args:
            folder: the job folder.
            report: is told how far the work is.
            cancelled: whether the user wants it to stop. Work that does not look is ended with the process.
            state: of this kind of job.

        Raises:
            Cancelled: it was stopped.
            PGTError: anything else that the user can act on.
        """

    def read_result(self, folder: Path) -> Any:
        """What `run` added.

        Raises:
            InputError: the folder lacks a file, or holds something else.
        """


@dataclass(frozen=True)
class JobKind:
    """One kind of job.

    Args:
        noun: what the user calls it, for "There is not enough memory for this ...".
        module: name of its `JobModule`.
    """

    noun: str
    module: str

    def load(self) -> JobModule:
        """Its module, imported now if it is not yet."""
        module: Any = import_module(self.module)
        loaded: JobModule = module
        return loaded


KINDS: Mapping[str, JobKind] = {
    "propagate": JobKind("propagation", "pgt.propagation.job"),
    "agree": JobKind("comparison", "pgt.agreement.job"),
    "consensus": JobKind("consensus", "pgt.agreement.consensus_job"),
    "open-cases": JobKind("case list", "pgt.agreement.case_list_job"),
    "style-map": JobKind("map of styles", "pgt.styles.map_job"),
    "style-segment": JobKind("segmentation", "pgt.styles.segment_job"),
    "style-fit": JobKind("search for the style", "pgt.styles.fit_job"),
    "style-correct": JobKind("proposal", "pgt.styles.correction_job"),
    "style-train": JobKind("training", "pgt.styles.training_job"),
    "export-cases": JobKind("case list", "pgt.export.case_list_job"),
    "export": JobKind("export", "pgt.export.job"),
}
