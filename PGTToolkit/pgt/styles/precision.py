"""Where half the precision is worth having."""

from __future__ import annotations

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
