"""The metrics: what each is called, how it is defined, and what it says of empty masks.

A report prints these texts beside the numbers, so they are the contract of the functions that compute them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Better(str, Enum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"
    ZERO = "nearer to zero"


@dataclass(frozen=True)
class Metric:
    """One number about two masks.

    Args:
        key: name in files: ``dice``, ``hd95_mm``.
        title: what a reader sees.
        unit: "mm", "ml", "%" or empty.
        better: which way is better.
        definition: formula in words, with the source.
        both_empty: the number where neither mask has a voxel, and why.
        one_empty: the number where one has none, and why.
        symmetric: whether exchanging the masks leaves it as it is.
    """

    key: str
    title: str
    unit: str
    better: Better
    definition: str
    both_empty: str
    one_empty: str
    symmetric: bool = True
