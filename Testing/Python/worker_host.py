"""A minimal host of the worker: starts it, sends requests and waits for events."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pgt


class Host:
    """A minimal host."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(pgt.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def send(self, **request: Any) -> None:
        self.send_line(json.dumps(request))

    def send_line(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def next(self, *wanted: str, within: float = 60) -> dict[str, Any]:
        """The next event of one of the kinds wanted."""
        deadline = time.monotonic() + within
        while True:
            event = self.events.get(timeout=max(deadline - time.monotonic(), 0.001))
            if event["event"] in wanted:
                return event
            assert event["event"] != "error", event

    def exit_status(self, within: float = 10) -> int:
        return self.process.wait(within)
