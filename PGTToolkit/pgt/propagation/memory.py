"""Space-time memory: what annotated slices say about a query slice.

Every memory position (one feature pixel of one annotated slice) has a key and, per object, a value. A query
pixel compares its own key with all memory keys and reads a weighted mean of the values of the ``top_k`` most
similar positions. Similarity is the negative squared Euclidean distance up to a term constant for the query,
``(2 m.q - |m|^2) / sqrt(Ck)``, as in the Space-Time Correspondence Network (STCN).

Axis letters: B batch, O objects, Ck key channels, Cv value channels, N memory positions, Q query positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

DEFAULT_TOP_K = 20
_SIMILARITY_BUDGET = 8 * 1024 * 1024
"""Entries of the similarity matrix held at once when no chunk size is given (32 MiB of float32)."""


def read_memory(
    memory_key: Tensor,
    query_key: Tensor,
    memory_values: Tensor,
    *,
    top_k: int | None = DEFAULT_TOP_K,
    validity: Tensor | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Read, for every query position and object, the values at the most similar memory positions.

    One affinity serves all objects, except where ``validity`` takes different positions away from different
    objects. Similarities are float32 (float64 if the keys are) whatever the type of the keys, also under
    autocast; values keep their type. Differentiable in keys and values.

    Args:
        memory_key: (B, Ck, N).
        query_key: (B, Ck, Q).
        memory_values: (B, O, Cv, N).
        top_k: positions that take part in the weighted mean; None for all. Fewer than that in memory is fine.
        validity: bool (B, O, N); False where a memory position says nothing about an object, for instance on
            a slice annotated for another object. An object without any valid position reads zero.
        chunk_size: query positions compared at once; bounds the memory needed to ``chunk_size * N`` numbers
            (without gradients). None chooses it from N.

    Returns:
        (B, O, Cv, Q), the type of ``memory_values``.

    Raises:
        ValueError: shapes do not fit together, or the memory is empty.
    """
    _check_shapes(memory_key, query_key, memory_values, validity)
    rows = memory_values.permute(0, 3, 1, 2)
    if validity is None or bool(validity.all()):
        return _read_rows(memory_key, query_key, rows, top_k, chunk_size)
    batch, objects, channels, _ = memory_values.shape
    readout = memory_values.new_zeros(batch, objects, channels, query_key.shape[2])
    for element in range(batch):
        one = slice(element, element + 1)
        for group in group_objects(validity[element]):
            group_rows = rows[one].index_select(1, group.positions).index_select(2, group.objects)
            key = memory_key[one].index_select(2, group.positions)
            group_readout = _read_rows(key, query_key[one], group_rows, top_k, chunk_size)
            readout[element, group.objects] = group_readout[0]
    return readout


@dataclass(frozen=True)
class ObjectGroup:
    """Objects that are known at exactly the same memory positions, and so share one affinity.

    ``objects`` and ``positions`` are ascending integer index vectors.
    """

    objects: Tensor
    positions: Tensor


def group_objects(validity: Tensor) -> tuple[ObjectGroup, ...]:
    """Group the objects of a bool (O, N) validity by their valid positions, leaving out those without any."""
    patterns, pattern_of_object = torch.unique(validity, dim=0, return_inverse=True)
    return tuple(
        ObjectGroup((pattern_of_object == number).nonzero().flatten(), pattern.nonzero().flatten())
        for number, pattern in enumerate(patterns)
        if bool(pattern.any())
    )


def _read_rows(
    memory_key: Tensor, query_key: Tensor, rows: Tensor, top_k: int | None, chunk_size: int | None
) -> Tensor:
    """Readout (B, O, Cv, Q) from values stored position by position: rows (B, N, O, Cv)."""
    batch, positions, objects, channels = rows.shape
    queries = query_key.shape[2]
    if chunk_size is None:
        chunk_size = max(1, _SIMILARITY_BUDGET // (batch * positions))
    flat_rows = rows.reshape(batch, positions, objects * channels)
    with torch.autocast(memory_key.device.type, enabled=False):
        precision = torch.promote_types(memory_key.dtype, torch.float32)
        key = memory_key.to(precision)
        query = query_key.to(precision).transpose(1, 2)
        norm = key.square().sum(dim=1, keepdim=True)
        scale = 1 / math.sqrt(key.shape[1])
        chunks = []
        for start in range(0, queries, chunk_size):
            chunk = query[:, start : start + chunk_size]
            similarity = torch.baddbmm(norm, chunk, key, beta=-scale, alpha=2 * scale)
            chunks.append(_weighted_mean(similarity, flat_rows, top_k))
    readout = torch.cat(chunks, dim=1) if len(chunks) != 1 else chunks[0]
    return readout.view(batch, queries, objects, channels).permute(0, 2, 3, 1)


def _weighted_mean(similarity: Tensor, rows: Tensor, top_k: int | None) -> Tensor:
    """(B, q, C) means of rows (B, N, C), weighted by the softmax of similarity (B, q, N) over its top k."""
    batch, queries, positions = similarity.shape
    if top_k is None or positions <= top_k:
        return similarity.softmax(dim=2).to(rows.dtype) @ rows
    best, chosen = similarity.topk(top_k, dim=2, sorted=False)
    weights = best.softmax(dim=2).to(rows.dtype)
    first_row = torch.arange(batch, device=chosen.device).view(batch, 1, 1) * positions
    mean = functional.embedding_bag(
        (chosen + first_row).flatten(0, 1),
        rows.flatten(0, 1),
        per_sample_weights=weights.flatten(0, 1),
        mode="sum",
    )
    return mean.view(batch, queries, -1)


def _check_shapes(
    memory_key: Tensor, query_key: Tensor, memory_values: Tensor, validity: Tensor | None
) -> None:
    sizes = _sizes(memory_key, query_key, memory_values)
    if memory_key.dim() != 3 or query_key.dim() != 3 or memory_values.dim() != 4:
        raise ValueError(f"(B, Ck, N), (B, Ck, Q) and (B, O, Cv, N) expected, not {sizes}")
    batch, key_channels, positions = memory_key.shape
    if query_key.shape[:2] != (batch, key_channels) or memory_values.shape[:4:3] != (batch, positions):
        raise ValueError(f"memory keys, query keys and values do not fit together: {sizes}")
    if positions == 0:
        raise ValueError("the memory is empty")
    if validity is not None and validity.shape != (batch, memory_values.shape[1], positions):
        raise ValueError(f"validity {_sizes(validity)} does not fit memory values {_sizes(memory_values)}")


def _sizes(*tensors: Tensor) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
