"""The memory readout against a plain float64 loop over queries, objects and positions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgt.propagation.memory import group_objects, read_memory


def loop_readout(key, query, values, top_k, validity=None):
    """(B, O, Cv, Q) computed one number at a time from the definition."""
    batch, objects, channels, positions = values.shape
    readout = np.zeros((batch, objects, channels, query.shape[2]))
    for b, o, q in np.ndindex(batch, objects, query.shape[2]):
        usable = [n for n in range(positions) if validity is None or validity[b, o, n]]
        scores = sorted(((similarity(key[b, :, n], query[b, :, q]), n) for n in usable), reverse=True)[:top_k]
        if scores:
            weights = np.array([math.exp(score - scores[0][0]) for score, _ in scores])
            chosen = values[b, o][:, [n for _, n in scores]]
            readout[b, o, :, q] = chosen @ (weights / weights.sum())
    return readout


def similarity(key, query):
    return (2 * key @ query - key @ key) / math.sqrt(len(key))


def random_problem(
    seed, batch=1, objects=2, key_channels=4, value_channels=3, positions=7, queries=5, scale=1.0
):
    random = np.random.default_rng(seed)
    key = scale * random.standard_normal((batch, key_channels, positions))
    query = scale * random.standard_normal((batch, key_channels, queries))
    values = random.standard_normal((batch, objects, value_channels, positions))
    return key, query, values


def as_tensors(*arrays, dtype=torch.float32):
    return tuple(torch.from_numpy(array).to(dtype) for array in arrays)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    objects=st.integers(1, 4),
    key_channels=st.integers(1, 6),
    value_channels=st.integers(1, 4),
    positions=st.integers(1, 30),
    queries=st.integers(1, 9),
    top_k=st.one_of(st.none(), st.integers(1, 40)),
    chunk_size=st.one_of(st.none(), st.integers(1, 10)),
    masked=st.booleans(),
)
def test_equals_the_definition(
    seed, batch, objects, key_channels, value_channels, positions, queries, top_k, chunk_size, masked
):
    sizes = (batch, objects, key_channels, value_channels, positions, queries)
    key, query, values = random_problem(seed, *sizes)
    validity = np.random.default_rng(seed).random((batch, objects, positions)) < 0.6 if masked else None
    expected = loop_readout(key, query, values, top_k, validity)
    readout = read_memory(
        *as_tensors(key, query, values, dtype=torch.float64),
        top_k=top_k,
        validity=None if validity is None else torch.from_numpy(validity),
        chunk_size=chunk_size,
    )
    assert readout.shape == expected.shape
    np.testing.assert_allclose(readout.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("top_k", [3, 50, None])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 5e-3), (torch.bfloat16, 4e-2)]
)
def test_reduced_precision_stays_close(dtype, tolerance, top_k):
    tensors = as_tensors(*random_problem(1, positions=40), dtype=dtype)
    expected = loop_readout(*(tensor.double().numpy() for tensor in tensors), top_k)
    readout = read_memory(*tensors, top_k=top_k)
    assert readout.dtype == dtype
    np.testing.assert_allclose(readout.double().numpy(), expected, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_large_keys_do_not_overflow(dtype):
    tensors = as_tensors(*random_problem(2, key_channels=64, positions=100, scale=50.0), dtype=dtype)
    expected = loop_readout(*(tensor.double().numpy() for tensor in tensors), 20)
    readout = read_memory(*tensors)
    assert torch.isfinite(readout).all()
    np.testing.assert_allclose(readout.double().numpy(), expected, atol=1e-2)


def test_autocast_does_not_lower_the_precision_of_the_affinity():
    tensors = as_tensors(*random_problem(3, positions=60, scale=4.0))
    expected = read_memory(*tensors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(read_memory(*tensors), expected)


def test_chunks_do_not_change_the_result():
    tensors = as_tensors(*random_problem(4, batch=2, positions=90, queries=33))
    whole = read_memory(*tensors, chunk_size=33)
    for chunk_size in (1, 8, 32):
        torch.testing.assert_close(read_memory(*tensors, chunk_size=chunk_size), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("top_k", [3, 20, None])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients(top_k, masked):
    key, query, values = as_tensors(*random_problem(5, batch=2), dtype=torch.float64)
    validity = torch.rand(2, 2, 7, generator=torch.Generator().manual_seed(0)) < 0.6 if masked else None
    inputs = tuple(tensor.requires_grad_() for tensor in (key, query, values))
    assert torch.autograd.gradcheck(
        lambda *tensors: read_memory(*tensors, top_k=top_k, validity=validity, chunk_size=2), inputs
    )


def test_positions_an_object_is_unknown_at_are_never_read():
    key, query, values = as_tensors(*random_problem(6))
    values[0, 1, :, 3:] = float("nan")
    validity = torch.ones(1, 2, 7, dtype=torch.bool)
    validity[0, 1, 3:] = False
    readout = read_memory(key, query, values, validity=validity)
    assert torch.isfinite(readout).all()


def test_an_object_known_nowhere_reads_zero():
    tensors = as_tensors(*random_problem(7))
    validity = torch.tensor([True, False])[None, :, None].expand(1, 2, 7)
    readout = read_memory(*tensors, validity=validity)
    assert (readout[:, 1] == 0).all()
    assert (readout[:, 0] != 0).any()


def test_objects_with_equal_validity_share_a_group():
    validity = torch.tensor([[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=torch.bool)
    groups = sorted((group.objects.tolist(), group.positions.tolist()) for group in group_objects(validity))
    assert groups == [([0, 2], [0, 1]), ([1], [2])]


def test_shapes_that_do_not_fit_are_refused():
    key, query, values = as_tensors(*random_problem(8))
    with pytest.raises(ValueError, match="do not fit together"):
        read_memory(key[:, :, :5], query, values)
    with pytest.raises(ValueError, match="expected"):
        read_memory(key[0], query, values)
    with pytest.raises(ValueError, match="empty"):
        read_memory(key[:, :, :0], query, values[..., :0])
    with pytest.raises(ValueError, match="validity"):
        read_memory(key, query, values, validity=torch.ones(1, 7, dtype=torch.bool))
