"""Property-based tests on a busy machine: no deadline, and the same examples on every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pgt", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("pgt")
