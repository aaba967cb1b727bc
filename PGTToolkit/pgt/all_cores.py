"""Many pieces of work on all cores, with progress and a way to stop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from pgt.errors import Cancelled

Item = TypeVar("Item")
Result = TypeVar("Result")

_ASK_AGAIN_SECONDS = 0.2


def on_all_cores(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Result, ...]:
    """Do the same work for every item, in threads: meant for work whose heavy steps leave Python's lock.

    Items are begun in their order, as many at once as there are cores.

    Args:
        work: what to do; called in several threads at once.
        items: what to do it for.
        progress: told, in the calling thread, how many items of how many are done.
        cancelled: asked, in the calling thread, a few times a second.

    Returns:
        The results in the order of the items.

    Raises:
        Cancelled: as asked for; at once, while work that has begun comes to its end unheard.
    """
    results: dict[int, Result] = {}
    running: dict[Future[Result], int] = {}
    waiting: Iterator[tuple[int, Item]] = iter(enumerate(items))
    cores = usable_cores()
    pool = ThreadPoolExecutor(cores)
    try:
        while len(results) < len(items):
            if cancelled is not None and cancelled():
                raise Cancelled
            while len(running) < cores and (following := next(waiting, None)) is not None:
                running[pool.submit(work, following[1])] = following[0]
            done, _ = wait(running, timeout=_ASK_AGAIN_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                results[running.pop(future)] = future.result()
            if done and progress is not None:
                progress(len(results), len(items))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return tuple(results[number] for number in range(len(items)))


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
