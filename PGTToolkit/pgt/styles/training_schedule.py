"""When the rates of a training fall, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence

_LOWEST_RATE = 0.05
_WORTHWHILE = 0.01
"""A loss that falls by less than this share over the patience stands still."""


class Schedule:
    """Full rates, then falling ones, then the end.

    Args:
        epochs: at most.
        decay: share of the epochs in which the rates fall.
        patience: epochs over which the mean loss has to fall; 0 to run all epochs.
    """

    def __init__(self, epochs: int, decay: float, patience: int) -> None:
        self._epochs, self._decay, self._patience = epochs, decay, patience
        self.plateau: int | None = None
        """The epoch after which the loss stood still."""

    @property
    def falls_from(self) -> int:
        """Epochs with full rates."""
        planned = round(self._epochs * (1 - self._decay))
        return planned if self.plateau is None else min(planned, self.plateau)

    @property
    def last(self) -> int:
        """The epoch that training ends with."""
        if self.plateau is None or self._decay == 1:
            return self._epochs
        # The same share of all epochs that are run is left for the falling.
        falling = max(1, round(self.falls_from * self._decay / (1 - self._decay)))
        return min(self._epochs, self.falls_from + falling)

    def rate(self, done: int) -> float:
        """What rates are multiplied by in the epoch after ``done`` others."""
        if done < self.falls_from:
            return 1.0
        share = (done - self.falls_from + 1) / max(self.last - self.falls_from, 1)
        return max(1 - share, _LOWEST_RATE)

    def look_for_the_plateau(self, losses: Sequence[float]) -> None:
        """Let the rates fall from here where the loss stands still.

        Args:
            losses: of every epoch so far. Means over the patience are compared, since single epochs differ
                by which patches were drawn.
        """
        span, done = self._patience, len(losses)
        if self.plateau is not None or not span or done < 2 * span or done >= self.falls_from:
            return
        recent, before = sum(losses[-span:]), sum(losses[-2 * span : -span])
        if recent > (1 - _WORTHWHILE) * before:
            self.plateau = done
