"""Values that options of several commands take."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from pgt.errors import InputError

MethodName = Literal["auto", "network", "shape", "contour"]
DeviceName = Literal["auto", "cpu", "cuda"]


class Axis(str, Enum):
    """Slices are counted along one of the voxel axes."""

    I = "i"  # noqa: E741
    J = "j"
    K = "k"

    @property
    def number(self) -> int:
        """0, 1 or 2."""
        return "ijk".index(self.value)


class Strategy(str, Enum):
    """How slices to draw are chosen."""

    FIXED = "fixed"
    STAGGERED = "staggered"
    RANDOM = "random"
    REPRESENTATIVE = "representative"


class Method(str, Enum):
    """How slices between annotated ones are filled in."""

    AUTO = "auto"
    NETWORK = "network"
    SHAPE = "shape"
    CONTOUR = "contour"

    @property
    def word(self) -> MethodName:
        """The method as the engine takes it."""
        return self.value


class Device(str, Enum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    @property
    def word(self) -> DeviceName:
        """The device as the engine takes it."""
        return self.value


def slice_indices(text: str | None) -> tuple[int, ...] | None:
    """Read ``"12,40,77"``; None stays None.

    Raises:
        InputError: something in it is no whole number from 0.
    """
    if text is None:
        return None
    indices = _whole_numbers(text, "--slices", "12,40,77")
    if indices[0] < 0:
        raise InputError(f"--slices counts from 0; there is no slice {indices[0]}.")
    return indices


def spacing_in_mm(text: str | None) -> tuple[float, float, float] | None:
    """Read ``"2"`` or ``"2,2,3"``; None stays None.

    Raises:
        InputError: it is neither one length nor three.
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--spacing takes millimetres such as 2 or 2,2,3, not {text!r}.") from error
    if len(numbers) not in (1, 3) or not all(0 < number < 1000 for number in numbers):
        raise InputError(f"--spacing takes one length above 0 mm or three, not {text!r}.")
    right, anterior, superior = numbers if len(numbers) == 3 else numbers * 3
    return right, anterior, superior


def label_values(text: str | None) -> tuple[int, ...] | None:
    """Read ``"1,2"``; None stays None.

    Raises:
        InputError: something in it is no whole number from 1.
    """
    if text is None:
        return None
    values = _whole_numbers(text, "--labels", "1,2")
    if values[0] < 1:
        raise InputError(f"--labels takes label values from 1, not {values[0]}.")
    return values


def _whole_numbers(text: str, option: str, example: str) -> tuple[int, ...]:
    """Ascending, each once."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise InputError(f"{option} takes whole numbers such as {example}, not {text!r}.") from error
