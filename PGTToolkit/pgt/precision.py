"""Where less precision is worth having."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def bfloat16_is_fast(device: str) -> bool:
    """Whether a device computes in bfloat16 natively; elsewhere it is emulated, and slower than float32.

    Args:
        device: "cpu" or "cuda".
    """
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    # Versions of torch that do not say so get float32, which is right everywhere.
    named = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in named)


@contextlib.contextmanager
def denormals_flushed(device: str) -> Iterator[None]:
    """On a CPU, numbers next to 0 become 0: shrinking activations would slow a long training down.

    The processor's state is the whole process's, so it is put back for whatever else runs there.
    """
    flushed = device == "cpu" and torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(False)
