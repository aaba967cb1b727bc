"""The methods that stand in the tables, each as one call on arrays.

A method takes
    voxels    array [i, j, k], any number type
    spacing   mm along i, j, k
    drawn     bool [i, j, k], the structure on its annotated slices, False elsewhere
    axis      0, 1 or 2, across the annotated slices
    annotated indices of the annotated slices along that axis, sorted
and returns the whole structure as bool [i, j, k].

To put one of your own in the tables, name it ``package.module:function`` wherever a method is asked for,
for instance ``--methods shape,contour,my_model.trial:propagate``. It runs in the benchmark's own process
and its results are not kept. The peers run in child processes (the libraries of ITK and of VTK do not go
together, and the contour interpolation may abort) and their results are kept, see :mod:`.result_cache`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .engine_run import propagate_structure

if TYPE_CHECKING:
    from pgt.propagation.engine import Method as EngineMethod

Spacing = tuple[float, float, float]
Mask = NDArray[np.bool_]
Propagate = Callable[[NDArray[Any], Spacing, Mask, int, Sequence[int]], Mask]


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Args:
        name: as asked for on the command line.
        propagate: the method itself.
        reads_image: whether the result depends on the voxels.
        version: of a peer, whose results are kept; counted up when the peer computes something else. None
            runs the method in this process each time.
    """

    name: str
    propagate: Propagate
    reads_image: bool
    version: int | None = None


def find_method(name: str) -> Method:
    """A peer, the engine (auto, network, pgt-shape, pgt-contour) or ``package.module:function``."""
    if name in _PEERS:
        return _PEERS[name]
    if ":" in name:
        module, function = name.split(":")
        return Method(name, getattr(importlib.import_module(module), function), reads_image=True)
    if name in _ENGINE_METHODS:
        return Method(name, _engine(_ENGINE_METHODS[name]), reads_image=True)
    known = ", ".join([*_PEERS, *_ENGINE_METHODS])
    raise ValueError(f"unknown method {name!r}; there are {known} and package.module:function")


def shape(voxels: NDArray[Any], spacing: Spacing, drawn: Mask, axis: int, annotated: Sequence[int]) -> Mask:
    """Plain signed-distance interpolation, linear between the annotated slices, as everybody does it."""
    return _interpolated(spacing, drawn, axis, annotated, "distance")


def area(voxels: NDArray[Any], spacing: Spacing, drawn: Mask, axis: int, annotated: Sequence[int]) -> Mask:
    """Signed-distance interpolation whose area follows the annotated slices: the network's prior."""
    return _interpolated(spacing, drawn, axis, annotated, "area")


def contour(voxels: NDArray[Any], spacing: Spacing, drawn: Mask, axis: int, annotated: Sequence[int]) -> Mask:
    """Morphological contour interpolation with Slicer's settings."""
    from pgt.propagation.contour_interpolation import interpolate_contour

    return interpolate_contour(drawn.astype(np.int16), axis, {1: annotated}, isolated=False) > 0


def _interpolated(
    spacing: Spacing, drawn: Mask, axis: int, annotated: Sequence[int], profile: Literal["distance", "area"]
) -> Mask:
    from pgt.propagation.interpolation import interpolate_shape

    in_plane = tuple(step for other, step in enumerate(spacing) if other != axis)
    slices = np.moveaxis(drawn, axis, 0)
    wanted = range(annotated[0], annotated[-1] + 1)
    distance = interpolate_shape(
        {index: slices[index] for index in annotated},
        wanted,
        (in_plane[0], in_plane[1]),
        spacing[axis],
        profile,
    )
    result = np.zeros_like(drawn)
    np.moveaxis(result, axis, 0)[wanted.start : wanted.stop] = distance > 0
    return result


def grow_cut(
    voxels: NDArray[Any], spacing: Spacing, drawn: Mask, axis: int, annotated: Sequence[int]
) -> Mask:
    """Slicer's "Grow from seeds", seeded with all of the annotated slices, background too.

    It runs on the annotated slices and those between, in a box around the drawing with a margin of a quarter.
    """
    import slicer_core
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData

    def image(array: NDArray[Any]) -> Any:
        data = vtkImageData()
        data.SetDimensions(array.shape)
        data.SetSpacing(spacing)
        data.GetPointData().SetScalars(numpy_to_vtk(array.ravel(order="F"), deep=True))
        return data

    box = _seeded_box(drawn, axis, annotated)
    seeds = np.zeros(drawn.shape, np.uint8)
    np.moveaxis(seeds, axis, 0)[list(annotated)] = 2 - np.moveaxis(drawn, axis, 0)[list(annotated)]
    filter = slicer_core.vtkImageGrowCutSegment()
    filter.SetIntensityVolume(image(voxels[box].astype(np.float32)))
    filter.SetSeedLabelVolume(image(seeds[box]))
    filter.Update()
    grown = vtk_to_numpy(filter.GetOutput().GetPointData().GetScalars())
    result = np.zeros_like(drawn)
    result[box] = grown.reshape(seeds[box].shape, order="F") == 1
    return result


def _seeded_box(drawn: Mask, axis: int, annotated: Sequence[int]) -> tuple[slice, ...]:
    box = []
    for other in range(3):
        if other == axis:
            box.append(slice(annotated[0], annotated[-1] + 1))
            continue
        used = np.flatnonzero(drawn.any(axis=tuple(away for away in range(3) if away != other)))
        margin = max(10, round(0.25 * (used[-1] - used[0] + 1)))
        box.append(slice(max(used[0] - margin, 0), min(used[-1] + margin + 1, drawn.shape[other])))
    return tuple(box)


def _engine(method: EngineMethod) -> Propagate:
    def propagate_one(
        voxels: NDArray[Any], spacing: Spacing, drawn: Mask, axis: int, annotated: Sequence[int]
    ) -> Mask:
        result = propagate_structure(voxels, spacing, drawn, axis, annotated, method)
        return np.asarray(result.label_map.voxels == 1)

    return propagate_one


_PEERS = {
    "shape": Method("shape", shape, reads_image=False, version=1),
    "area": Method("area", area, reads_image=False, version=3),
    "contour": Method("contour", contour, reads_image=False, version=1),
    "growcut": Method("growcut", grow_cut, reads_image=True, version=1),
}
_ENGINE_METHODS: dict[str, EngineMethod] = {
    "auto": "auto",
    "network": "network",
    "pgt-shape": "shape",
    "pgt-contour": "contour",
}
