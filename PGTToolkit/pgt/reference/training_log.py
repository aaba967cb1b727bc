"""What a training of the reference stage says of itself: ``log.csv``, a line every few steps.

Columns: ``step``, ``of``, ``learning_rate``, ``loss`` (of both networks together), ``dice_loss`` and
``cross_entropy`` (labelled slices), ``unsupervised`` (Dice loss of each network to the other) and its
``weight``, all but the rate averaged since the line before; and ``seconds`` of training so far.
"""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pgt.output_files import write_text
from pgt.reference.model_folder import LOG


@dataclass(frozen=True)
class LogLine:
    """Some steps of a training; the module's text says what the numbers are."""

    step: int
    of: int
    learning_rate: float
    loss: float
    dice_loss: float
    cross_entropy: float
    unsupervised: float
    weight: float
    seconds: float


class ReferenceLog:
    """Appends lines.

    Args:
        folder: where the log lies.
        done: steps that are over; later lines go, since they are of steps that are taken again.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._path = folder / LOG
        kept = [line for line in read_log(folder) if line.step <= done]
        write_text(self._path, _text([tuple(one.name for one in fields(LogLine)), *map(_row, kept)]), True)

    def add(self, line: LogLine) -> None:
        """Write a line down."""
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(_text([_row(line)]))


def read_log(folder: Path) -> tuple[LogLine, ...]:
    """The whole lines of a training's log; none where there is no log."""
    path = folder / LOG
    if not path.exists():
        return ()
    lines = []
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            try:
                numbers = [float(line[one.name]) for one in fields(LogLine)]
            except (KeyError, TypeError, ValueError):
                continue  # cut off in the middle
            lines.append(LogLine(int(numbers[0]), int(numbers[1]), *numbers[2:]))
    return tuple(lines)


def _row(line: LogLine) -> tuple[object, ...]:
    *numbers, seconds = astuple(line)
    return (*(f"{one:.6g}" if isinstance(one, float) else one for one in numbers), f"{seconds:.1f}")


def _text(rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
