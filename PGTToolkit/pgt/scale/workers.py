"""What a list of cases asks of those who do the work, wherever they are."""

from __future__ import annotations

from typing import Protocol

from pgt.errors import PGTError
from pgt.scale.case_task import CaseOutcome
from pgt.scale.case_work import CaseOrder


class WorkersLostError(PGTError):
    """The workers cannot be reached any more; what they were doing may or may not come to its end."""


class Workers(Protocol):
    """Workers that are given orders and say how these ended, in any sequence."""

    def submit(self, order: CaseOrder) -> None:
        """Have a case done when its turn comes."""

    def next_outcome(self, seconds: float) -> CaseOutcome | None:
        """Wait for the next end of a case; None when there was none in so many seconds.

        Raises:
            WorkersLostError: there will be no more.
        """

    def drop_waiting(self) -> tuple[str, ...]:
        """Take back the orders that nobody has begun, and tell their cases."""

    def close(self) -> None:
        """Let the workers go; what they are doing is given up."""
