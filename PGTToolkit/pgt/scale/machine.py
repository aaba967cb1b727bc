"""What this machine offers to a list of cases: cores, memory and GPUs, shared out to workers."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from pgt.all_cores import usable_cores
from pgt.errors import InputError

# What a worker needs with its libraries and a volume of usual size; more workers than fit would be killed.
_BYTES_EACH = 3 << 30

# What the libraries that compute look at, NumPy's and PyTorch's as well as ITK's.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


@dataclass(frozen=True)
class WorkerPlan:
    """How many workers, and what each of them finds in its environment."""

    environments: tuple[dict[str, str], ...]

    @property
    def workers(self) -> int:
        """How many."""
        return len(self.environments)


def plan_workers(cases: int, workers: int | None, gpu: bool) -> WorkerPlan:
    """Share this machine out.

    With GPUs there is one worker each. Without, there are as many as there are cores, memory for them and
    cases, and the cores are divided among them; so no core has two threads to run.

    Args:
        cases: how many there are to do.
        workers: how many workers are wanted; None to choose.
        gpu: whether the work uses a GPU where there is one.

    Raises:
        InputError: less than one worker is wanted, or more than there are GPUs.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers takes a number from 1, not {workers}.")
    gpus = visible_gpus() if gpu else ()
    if gpus and workers is not None and workers > len(gpus):
        raise InputError(f"There are {len(gpus)} GPUs, one a worker, and {workers} workers were asked for.")
    cores = available_cores()
    room = len(gpus) if gpus else min(cores, memory_bound())
    count = max(1, min(cases, room if workers is None else workers))
    threads = _threads_each(cores, count)
    return WorkerPlan(
        tuple(
            {**threads, **({"CUDA_VISIBLE_DEVICES": gpus[number]} if gpus else {})} for number in range(count)
        )
    )


def available_cores() -> int:
    """Cores that this process may use, also in a container that is given a part of them."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        share = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return usable_cores()
    return max(1, min(share, usable_cores()))


def memory_bound() -> int:
    """How many workers find room in the memory that is free; a large number where nobody knows."""
    free = math.inf
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        free = min(free, limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError, StopIteration):
        pass
    return max(1, int(min(free / _BYTES_EACH, 1 << 16)))


def visible_gpus() -> tuple[str, ...]:
    """The CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    if not torch.cuda.is_available():
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:
        return tuple(part.strip() for part in named.split(",") if part.strip())[: torch.cuda.device_count()]
    return tuple(str(number) for number in range(torch.cuda.device_count()))


def _threads_each(cores: int, workers: int) -> dict[str, str]:
    """Threads for the libraries of one worker, never more than the user allowed them."""
    allowed = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    share = max(1, cores // workers)
    threads = min(share, int(allowed)) if allowed.isdigit() and int(allowed) else share
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))
