"""Cases whose work is made: quick, counted, and failing on demand. Workers import this file by its name."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgt.errors import InputError
from pgt.scale.case_task import CaseTask

OUTPUT = "label.txt"


@dataclass(frozen=True)
class MadeWork:
    """One case: what is to happen, and the file that counts how often it did."""

    case: str
    image: Path
    log: Path
    seconds: float = 0.0
    trouble: str = ""


def work(made: MadeWork, folder: Path) -> Mapping[str, Any]:
    """Copy the image in upper case, or fail as asked for."""
    count(made.log, f"begun {made.case} {os.getpid()}")
    (folder / OUTPUT).write_text("half")
    if made.trouble == "input":
        raise InputError(f"{made.image} is damaged.")
    if made.trouble == "fault":
        raise ValueError("the file of Jane Doe")
    if made.trouble == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if made.trouble == "killed once" and counted(made.log)["begun", made.case] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(made.seconds)
    (folder / OUTPUT).write_text(made.image.read_text().upper())
    count(made.log, f"ended {made.case} {os.getpid()}")
    return {"characters": len(made.image.read_text())}


def made_tasks(
    folder: Path, cases: Sequence[str], seconds: float = 0.0, troubles: Mapping[str, str] | None = None
) -> list[CaseTask]:
    """Tasks with an image each; the log is ``log.txt`` beside the images."""
    tasks = []
    for case in cases:
        image = folder / f"{case}.image"
        if not image.exists():
            image.write_text(f"image of {case}")
        made = MadeWork(case, image, folder / "log.txt", seconds, (troubles or {}).get(case, ""))
        tasks.append(CaseTask(case, work, made, {"image": image}, {"way": "upper case"}, (OUTPUT,)))
    return tasks


def count(log: Path, line: str) -> None:
    """Add a line; lines of several processes do not mix."""
    with log.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


def counted(log: Path) -> Counter[tuple[str, str]]:
    """How often each case was begun and ended."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter((line.split()[0], line.split()[1]) for line in lines)
