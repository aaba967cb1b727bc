"""How far long work has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far the work is: steps done, steps in all, seconds since the start."""

    done: int
    total: int
    seconds: float
    message: str
