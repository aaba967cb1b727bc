"""What the Annotate panel keeps in the scene."""

from enum import Enum
from typing import Annotated

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Strategy(Enum):
    """How the slices to draw are chosen; the values are those of `pgt.planning`."""

    FIXED = "fixed"
    RANDOM = "random"
    REPRESENTATIVE = "representative"

    def label(self) -> str:
        """What the user reads."""
        return {
            Strategy.FIXED: _("Evenly spaced"),
            Strategy.RANDOM: _("Random"),
            Strategy.REPRESENTATIVE: _("Most different slices"),
        }[self]


class Method(Enum):
    """How the slices between are filled; the values are those of `PropagationSettings`."""

    AUTO = "auto"
    NETWORK = "network"
    SHAPE = "shape"
    CONTOUR = "contour"

    def label(self) -> str:
        """What the user reads."""
        return {
            Method.AUTO: _("Automatic"),
            Method.NETWORK: _("Network"),
            Method.SHAPE: _("Shape interpolation"),
            Method.CONTOUR: _("Contour interpolation"),
        }[self]


class Device(Enum):
    """Where the network computes; the values are those of `PropagationSettings`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        """What the user reads."""
        return {
            Device.AUTO: _("Automatic"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("Graphics card (CUDA)"),
        }[self]


@parameterNodeWrapper
class AnnotateParameters:
    """The user's choices, saved with the scene.

    volume: the image that is drawn on.
    segmentation: what is drawn.
    view: the slice view that the rater works in; it gives the axis.
    sliceCount: how many slices to plan.
    strategy: how they are chosen.
    method: how the slices between are filled.
    device: where the network computes.
    acceptAbove: percent of confidence from which slices are accepted together.
    showUncertainty: whether the uncertainty lies over the image.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    view: slicer.vtkMRMLSliceNode
    sliceCount: Annotated[int, WithinRange(1, 999)] = 5
    strategy: Strategy = Strategy.FIXED
    method: Method = Method.AUTO
    device: Device = Device.AUTO
    acceptAbove: Annotated[int, WithinRange(0, 100)] = 90
    showUncertainty: bool = True
