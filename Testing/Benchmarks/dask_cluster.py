"""A Dask scheduler and its workers as processes of this machine, which can be killed one by one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pgt

TESTING = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0


@dataclass
class DaskCluster:
    """What is running. Workers have one thread, and no nanny that would start a killed one again."""

    folder: Path
    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        """One more; it is asked for, not waited for."""
        self.workers.append(
            _start(
                self.folder,
                ["worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                 "--local-directory", str(self.folder)],
            )
        )  # fmt: skip

    def wait_for_workers(self) -> None:
        """Wait until all living workers have reported.

        Raises:
            TimeoutError: they did not.
        """
        from distributed import Client

        alive = sum(1 for worker in self.workers if worker.poll() is None)
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(alive, timeout=START_SECONDS)

    def close(self) -> None:
        """End everything."""
        for process in (*self.workers, self.scheduler):
            process.kill()
        for process in (*self.workers, self.scheduler):
            process.wait()


@contextlib.contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[DaskCluster]:
    """A cluster whose files go into an existing folder.

    Raises:
        TimeoutError: it did not come up.
    """
    about = folder / f"scheduler-{time.monotonic_ns()}.json"
    scheduler = _start(
        folder,
        ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(about)],
    )
    cluster = DaskCluster(folder, "", scheduler)
    try:
        cluster.address = _address(about)
        for _ in range(workers):
            cluster.add_worker()
        cluster.wait_for_workers()
        yield cluster
    finally:
        cluster.close()


def _start(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    paths = [str(Path(pgt.__file__).parents[1]), str(TESTING), str(TESTING / "Python")]
    environment: dict[str, Any] = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    }
    with (folder / f"{arguments[0]}-{time.monotonic_ns()}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], stdout=log, stderr=log, env=environment
        )


def _address(about: Path) -> str:
    import json

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return str(json.loads(about.read_text())["address"])
        time.sleep(0.05)
    raise TimeoutError("the Dask scheduler did not come up")
