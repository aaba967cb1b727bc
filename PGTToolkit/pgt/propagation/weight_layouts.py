"""Recognise whose weights these are by their names and shapes, and bring them to this project's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pgt.errors import CheckpointError
from pgt.propagation.network import NetworkConfiguration, SliceNetwork
from pgt.propagation.propagator import Propagator
from pgt.propagation.stcn import STCNConfiguration, STCNNetwork
from pgt.propagation.weight_files import WeightFile

Renames = tuple[tuple[str, str], ...]
"""Prefixes as published and here; the first that fits a name counts."""

_SHARED_RENAMES: Renames = (
    ("value_encoder.fuser.attention.ChannelGate.mlp.1.", "value_encoder.fuser.attention.squeeze."),
    ("value_encoder.fuser.attention.ChannelGate.mlp.3.", "value_encoder.fuser.attention.excite."),
    ("value_encoder.fuser.attention.SpatialGate.spatial.conv.", "value_encoder.fuser.attention.place."),
    ("value_encoder.fuser.", "value_encoder.fuser."),
    ("key_proj.key_proj.", "key_proj."),
)
_OFFICIAL_RENAMES: Renames = (
    *_SHARED_RENAMES,
    ("key_encoder.res2.", "key_encoder.layer1."),
    ("value_encoder.", "value_encoder.backbone."),
)
_FLARE22_RENAMES: Renames = (
    *_SHARED_RENAMES,
    ("key_encoder.model.", "key_encoder."),
    ("value_encoder.model.", "value_encoder.backbone."),
)
_VALUE_STEM = "value_encoder.backbone.conv1.weight"


@dataclass(frozen=True)
class Layout:
    """Names of one publication: ``signature`` is the start of a name that no other has."""

    title: str
    signature: str
    architecture: str
    renames: Renames = ()


LAYOUTS = (
    Layout("official STCN", "key_encoder.res2.", STCNNetwork.architecture, _OFFICIAL_RENAMES),
    Layout("FLARE22 variant of STCN", "key_encoder.model.", STCNNetwork.architecture, _FLARE22_RENAMES),
    Layout("STCN", "value_encoder.backbone.", STCNNetwork.architecture),
    Layout("small network of this project", "key_encoder.stem.", SliceNetwork.architecture),
)


@dataclass(frozen=True)
class RecognisedWeights:
    """Weights under this project's names, and the network that they fit."""

    tensors: dict[str, Tensor]
    network: SliceNetwork | STCNNetwork
    """In evaluation mode, with the weights in place."""
    layout: str


def recognise(file: WeightFile, path: Path) -> RecognisedWeights:
    """Find out which network the weights of ``path`` belong to, and build it.

    Raises:
        CheckpointError: the weights are of another network, or lack, exceed or differ from what it needs; the
            message says what was expected and what was found.
    """
    layout = _layout(file, path)
    tensors = {_renamed(name, layout.renames): tensor for name, tensor in file.tensors.items()}
    title = layout.title
    stem = tensors.get(_VALUE_STEM)
    if stem is not None and stem.dim() == 4 and stem.shape[1] == 4:
        # Trained on single segments: nothing was learnt of the others' masks, so nothing is read from them.
        tensors[_VALUE_STEM] = functional.pad(stem, (0, 0, 0, 0, 0, 1))
        title += ", stage 0"
    network = _empty_network(layout.architecture, file.configuration, tensors, path)
    _check_fit(network, tensors, title, path)
    counters = {
        name: torch.zeros((), dtype=torch.long)
        for name in network.state_dict()
        if name.endswith("num_batches_tracked")
    }
    network.load_state_dict({**tensors, **counters}, assign=True)
    return RecognisedWeights(tensors, network.eval(), title)


def count_parameters(network: Propagator) -> int:
    """Trained numbers, running statistics of normalisations left out."""
    return sum(parameter.numel() for parameter in network.parameters())


def _layout(file: WeightFile, path: Path) -> Layout:
    for layout in LAYOUTS:
        if any(name.startswith(layout.signature) for name in file.tensors):
            return layout
    name, tensor = next(iter(file.tensors.items()))
    known = "; ".join(layout.title for layout in LAYOUTS)
    raise CheckpointError(
        f"{path} holds the weights of an unknown network ({len(file.tensors)} tensors, the first is {name}, "
        f"{_size(tensor)}); expected was one of: {known}."
    )


def _renamed(name: str, renames: Renames) -> str:
    for published, here in renames:
        if name.startswith(published):
            return here + name.removeprefix(published)
    return name


def _empty_network(
    architecture: str, configuration: Mapping[str, Any] | None, tensors: Mapping[str, Tensor], path: Path
) -> SliceNetwork | STCNNetwork:
    if architecture == STCNNetwork.architecture:
        attention = any(name.startswith("value_encoder.fuser.attention.") for name in tensors)
        key_bias = "key_encoder.conv1.bias" in tensors
        with torch.device("meta"):
            return STCNNetwork(STCNConfiguration(attention, key_bias))
    known = {field.name for field in fields(NetworkConfiguration)}
    entries: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in dict(configuration or {}).items()
    }
    try:
        if not set(entries) <= known:
            raise ValueError(f"unknown entries {sorted(set(entries) - known)}")
        return SliceNetwork(NetworkConfiguration(**entries))
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} describes a network that cannot be built: {error}.") from error


def _check_fit(
    network: SliceNetwork | STCNNetwork, tensors: Mapping[str, Tensor], title: str, path: Path
) -> None:
    expected = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - expected.keys())
    reshaped = [
        name for name in expected.keys() & tensors.keys() if expected[name].shape != tensors[name].shape
    ]
    faults = []
    if missing:
        faults.append(f"{len(missing)} tensors are missing ({missing[0]} first)")
    if unexpected:
        faults.append(f"{len(unexpected)} are not part of it ({unexpected[0]} first)")
    if reshaped:
        name = min(reshaped)
        sizes = f"{_size(tensors[name])} instead of {_size(expected[name])}"
        faults.append(f"{len(reshaped)} have another shape ({name} first: {sizes})")
    if faults:
        count = count_parameters(network)
        raise CheckpointError(
            f"{path} looks like the {title} ({count:,} parameters) but does not fit: {', '.join(faults)}."
        )


def _size(tensor: Tensor) -> str:
    return "×".join(str(size) for size in tensor.shape) or "a single number"
