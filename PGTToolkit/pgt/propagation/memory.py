"""Space-time memory: what annotated slices say about a query slice.

Every memory position (one feature pixel of one annotated slice) has a key and, per object, a value. A query
pixel compares its own key with all memory keys and reads a weighted mean of the values of the ``top_k`` most
similar positions. Similarity is the negative squared Euclidean distance up to a term constant for the query,
``(2 m.q - |m|^2) / sqrt(Ck)``, as in the Space-Time Correspondence Network (STCN).

Axis letters: B batch, O objects, Ck key channels, Cv value channels, N memory positions, Q query positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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


@dataclass(frozen=True)
class _MemorySlice:
    """key (Ck, n), rows (n, O, Cv), known bool (O,)."""

    key: Tensor
    rows: Tensor
    known: Tensor


@dataclass(frozen=True)
class _SharedMemory:
    """Objects known on the same slices: key (1, Ck, N), rows (1, N, objects, Cv)."""

    objects: Tensor
    key: Tensor
    rows: Tensor


class MemoryBank:
    """The annotated slices of one volume as permanent memory, one entry per slice index.

    An entry may be added, replaced or removed at any time without touching the others. Keys and values stay
    on the device and in the type they are given in; all entries must agree in both, and in O, Ck and Cv.
    """

    def __init__(self, *, top_k: int | None = DEFAULT_TOP_K, chunk_size: int | None = None) -> None:
        self.top_k = top_k
        self.chunk_size = chunk_size
        self._slices: dict[int, _MemorySlice] = {}
        self._joined_indices: tuple[int, ...] = ()
        self._joined: tuple[_SharedMemory, ...] = ()

    def __len__(self) -> int:
        return len(self._slices)

    def __contains__(self, index: int) -> bool:
        return index in self._slices

    @property
    def indices(self) -> tuple[int, ...]:
        """The slice indices in memory, ascending."""
        return tuple(sorted(self._slices))

    def put(self, index: int, key: Tensor, values: Tensor, known: Tensor | None = None) -> None:
        """Add a slice, or replace the one at this index.

        Args:
            index: of the slice in the volume.
            key: (Ck, n) with n feature positions.
            values: (O, Cv, n).
            known: bool (O,), False for objects this slice was not annotated for; None: known for all.

        Raises:
            ValueError: shapes do not fit together.
        """
        if known is None:
            known = torch.ones(values.shape[0], dtype=torch.bool, device=values.device)
        if key.dim() != 2 or values.dim() != 3 or key.shape[1] != values.shape[2]:
            raise ValueError(f"key (Ck, n) and values (O, Cv, n) expected, not {_sizes(key, values)}")
        if known.shape != values.shape[:1]:
            raise ValueError(f"known {_sizes(known)} does not fit {values.shape[0]} objects")
        self._slices[index] = _MemorySlice(key, values.permute(2, 0, 1).contiguous(), known)
        self._joined_indices = ()

    def remove(self, index: int) -> None:
        """Forget a slice. Raises KeyError where there is none at this index."""
        del self._slices[index]
        self._joined_indices = ()

    def read(self, query_key: Tensor, indices: Iterable[int] | None = None) -> Tensor:
        """Read from all slices, or from those at ``indices``; an object known on none of them reads zero.

        Args:
            query_key: (Ck, Q).
            indices: of slices in memory. Consecutive reads from the same slices are cheapest.

        Returns:
            (O, Cv, Q).

        Raises:
            ValueError: there is no slice to read from.
            KeyError: an index is not in memory.
        """
        chosen = self.indices if indices is None else tuple(sorted(set(indices)))
        if not chosen:
            raise ValueError("the memory holds no slice to read from")
        if chosen != self._joined_indices:
            self._joined = _join([self._slices[index] for index in chosen])
            self._joined_indices = chosen
        _, objects, channels = self._slices[chosen[0]].rows.shape
        readout = self._slices[chosen[0]].rows.new_zeros(objects, channels, query_key.shape[1])
        for shared in self._joined:
            values = _read_rows(shared.key, query_key[None], shared.rows, self.top_k, self.chunk_size)
            readout[shared.objects] = values[0]
        return readout


def _join(slices: Sequence[_MemorySlice]) -> tuple[_SharedMemory, ...]:
    known = torch.stack([memory_slice.known for memory_slice in slices], dim=1)
    shared = []
    for group in group_objects(known):
        members = [slices[number] for number in group.positions.tolist()]
        key = torch.cat([member.key for member in members], dim=1)
        rows = torch.cat([member.rows.index_select(1, group.objects) for member in members])
        shared.append(_SharedMemory(group.objects, key[None], rows[None]))
    return tuple(shared)


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
