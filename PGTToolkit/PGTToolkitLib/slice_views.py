"""Between a slice view and the slices of a volume.

A view shows whatever plane the user turned it to; annotation happens on slices across i, j or k. The axis of
a view is the one whose slices are most parallel to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
from numpy.typing import NDArray

from PGTToolkitLib.scene import ijk_to_world, matrix_from_vtk, shape_of

# A view turned further than this from the volume's slices cuts several of them.
OBLIQUE_DEGREES = 1.0

_PATIENT_AXES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class ViewAxis:
    """The axis of a volume that a slice view looks along.

    Args:
        axis: 0, 1 or 2 for slices across i, j or k.
        degrees: angle between the view and those slices.
    """

    axis: int
    degrees: float

    @property
    def oblique(self) -> bool:
        """Whether the view cuts several slices of the volume."""
        return self.degrees > OBLIQUE_DEGREES


def view_axis(slice_node: slicer.vtkMRMLSliceNode, volume_node: slicer.vtkMRMLVolumeNode) -> ViewAxis:
    """The axis of the volume whose slices are most parallel to the view."""
    view_normal = matrix_from_vtk(slice_node.GetSliceToRAS())[:3, 2]
    normals = _slice_normals(volume_node)
    cosines = np.abs(normals.T @ view_normal) / np.linalg.norm(view_normal)
    axis = int(np.argmax(cosines))
    return ViewAxis(axis, float(np.degrees(np.arccos(min(1.0, cosines[axis])))))


def patient_orientation(volume_node: slicer.vtkMRMLVolumeNode, axis: int) -> str:
    """What a radiologist calls slices across an axis: sagittal, coronal or axial (the nearest)."""
    return _PATIENT_AXES[int(np.argmax(np.abs(_slice_normals(volume_node)[:, axis])))]


def shown_slice(
    slice_node: slicer.vtkMRMLSliceNode, volume_node: slicer.vtkMRMLVolumeNode, axis: int
) -> int | None:
    """Index along the axis of the volume's slice at the centre of the view; None outside the volume."""
    index = round(float(_view_centre_ijk(slice_node, volume_node)[axis]))
    return index if 0 <= index < shape_of(volume_node)[axis] else None


def show_slice(
    slice_node: slicer.vtkMRMLSliceNode, volume_node: slicer.vtkMRMLVolumeNode, axis: int, index: int
) -> None:
    """Move the view along its normal until its centre lies on a slice of the volume."""
    target = _view_centre_ijk(slice_node, volume_node)
    target[axis] = index
    slice_node.JumpSliceByOffsetting(*(ijk_to_world(volume_node) @ np.array([*target, 1.0]))[:3])


def _view_centre_ijk(
    slice_node: slicer.vtkMRMLSliceNode, volume_node: slicer.vtkMRMLVolumeNode
) -> NDArray[np.float64]:
    centre = matrix_from_vtk(slice_node.GetSliceToRAS())[:, 3]
    ijk: NDArray[np.float64] = (np.linalg.inv(ijk_to_world(volume_node)) @ centre)[:3]
    return ijk


def _slice_normals(volume_node: slicer.vtkMRMLVolumeNode) -> NDArray[np.float64]:
    """Unit normals in world RAS of the slices across i, j and k, as columns."""
    # Rows of the inverse are perpendicular to the other two axes, which holds for sheared transforms as well.
    normals = np.linalg.inv(ijk_to_world(volume_node)[:3, :3]).T
    unit: NDArray[np.float64] = normals / np.linalg.norm(normals, axis=0)
    return unit
