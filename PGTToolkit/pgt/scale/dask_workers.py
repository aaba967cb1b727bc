"""The workers of an existing Dask cluster, reached through its scheduler (``distributed``).

Dask moves the case of a worker that is lost to another one, and gives a case up that has lost its worker too
often. Orders and outcomes are small; images go over the file system that the workers share with this machine.
"""

from __future__ import annotations

import logging
import queue
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgt import __version__
from pgt.errors import InputError
from pgt.scale.case_task import CaseOutcome
from pgt.scale.case_work import CaseOrder, do_case
from pgt.scale.workers import WorkersLostError

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS = 10.0


class DaskWorkers:
    """The workers of one run (`pgt.scale.workers.Workers`).

    Args:
        address: of the scheduler.
        staging: a folder that every worker must see.

    Raises:
        InputError: ``distributed`` is not installed, the scheduler does not answer, or a worker does not have
            this version of the project or does not see the folder.
    """

    def __init__(self, address: str, staging: Path) -> None:
        self._address = address
        self._client = _connected(address)
        self._futures: dict[str, Any] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._submitted = 0
        try:
            _check_workers(self._client, address, staging)
        except BaseException:
            self.close()
            raise

    def submit(self, order: CaseOrder) -> None:
        """Have a case done when the scheduler finds a worker for it."""
        # No name of a case: keys are shown on the scheduler's page and in its logs.
        key = f"pgt-case-{self._submitted:05d}-{uuid.uuid4().hex}"
        try:
            future = self._client.submit(do_case, order, key=key, pure=False, retries=0)
        except (OSError, RuntimeError) as error:
            raise self._lost() from error
        self._submitted += 1
        self._futures[order.task.case] = future
        future.add_done_callback(self._ended.put)

    def next_outcome(self, seconds: float) -> CaseOutcome | None:
        """Wait for the next end of a case."""
        try:
            future = self._ended.get(timeout=seconds)
        except queue.Empty:
            self._check_alive()
            return None
        case = next((case for case, one in self._futures.items() if one is future), None)
        if case is None:
            return None
        if future.status == "finished":
            outcome = self._fetched(future, case)
        elif future.status == "error":
            outcome = CaseOutcome(case, "failed", reason=_reason(future.exception()), again=True)
        else:  # cancelled or lost, together with the connection
            self._check_alive(lost=True)
            return None
        # A result that is still wanted would be made again when the worker that holds it is lost.
        del self._futures[case]
        future.release()
        return outcome

    def _fetched(self, future: Any, case: str) -> CaseOutcome:
        """What a worker has answered. The scheduler may be lost, and with it the answer, even now."""
        try:
            outcome: CaseOutcome = future.result()
        except Exception as error:
            if isinstance(error, OSError) or self._client.status != "running" or future.cancelled():
                raise self._lost() from error
            return CaseOutcome(case, "failed", reason=_reason(error), again=True)
        return outcome

    def drop_waiting(self) -> tuple[str, ...]:
        """Take back what was not begun."""
        try:
            begun = {key for keys in self._client.processing().values() for key in keys}
        except (OSError, RuntimeError) as error:
            raise self._lost() from error
        dropped = {case: future for case, future in self._futures.items() if future.key not in begun}
        for case, future in dropped.items():
            del self._futures[case]
            future.cancel()
        return tuple(dropped)

    def close(self) -> None:
        """Part from the scheduler, which forgets what was not begun."""
        for future in self._futures.values():
            future.release()
        self._futures.clear()
        self._client.close(timeout=2)

    def _check_alive(self, lost: bool = False) -> None:
        if lost or self._client.status != "running":
            raise self._lost()

    def _lost(self) -> WorkersLostError:
        return WorkersLostError(f"The Dask scheduler at {self._address} was lost.")


def _connected(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "--scheduler needs the package distributed: python -m pip install 'distributed>=2024.1'."
        ) from error
    for name in logging.root.manager.loggerDict:
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is said in one sentence
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions of packages; those of this project are checked
            return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False, name="pgt")
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise InputError(f"No Dask scheduler answers at {address}.") from error


def _check_workers(client: Client, address: str, staging: Path) -> None:
    """Refuse workers that could not do a single case; those that join later are not asked."""
    try:
        answers: dict[str, Any] = client.run(readiness, str(staging), on_error="return")
    except (OSError, RuntimeError) as error:
        raise InputError(f"The Dask scheduler at {address} was lost.") from error
    for worker, answer in answers.items():
        if isinstance(answer, Exception):
            raise InputError(
                f"The Dask worker {worker} cannot import pgt ({type(answer).__name__}); install it there."
            )
        version, sees = answer
        if version != __version__:
            raise InputError(
                f"The Dask worker {worker} has version {version} of PGT Toolkit, this machine {__version__}."
            )
        if not sees:
            raise InputError(
                f"The Dask worker {worker} does not see {staging.parent}; results go through a folder that "
                "all workers share."
            )


def readiness(staging: str) -> tuple[str, bool]:
    """Asked on every worker: its version of the project, and whether it sees a folder."""
    return __version__, Path(staging).is_dir()


def _reason(error: BaseException | None) -> str:
    if type(error).__name__ == "KilledWorker":
        return "Every worker that tried it was lost (killed, or out of memory)."
    return f"The Dask worker could not do it ({type(error).__name__})."
