"""What the Styles panel keeps in the scene. Names of styles belong to the model and lie in its folder."""

from enum import Enum
from typing import Annotated

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from PGTToolkitLib.panels.parameters import Device


class ModelSize(Enum):
    """How large a model is trained; the values are those of `pgt.styles.training_order`."""

    SMALL = "small"
    FACTORED = "factored"
    PUBLISHED = "published"

    def label(self) -> str:
        """What the user reads."""
        return {
            ModelSize.SMALL: _("Small (a CPU will do)"),
            ModelSize.FACTORED: _("Large (GPU)"),
            ModelSize.PUBLISHED: _("As published (GPU, 0.7 GB)"),
        }[self]


@parameterNodeWrapper
class StylesParameters:
    """The user's choices, saved with the scene.

    modelFolder: where the model lies.
    volume: the image that is segmented.
    segmentation: what a style is used for, and whose annotated slices count.
    device: where the model computes.
    styleName: what the current style is called.
    styleLatent: where it lies on the map, numbers with commas; empty for the main style.
    colorBy: column of the training cases' table that the map is colored by; empty for the styles.
    compared: names of the styles to compare, one a line.
    showSpread: whether the spread of compared styles lies over the image.
    caseTable: file of the cases to train with.
    trainingFolder: where the trained model goes.
    modelSize: how large it is.
    epochs: how long at most; 0 for as long as the number of cases asks for.
    trainingDevice: where it is trained.
    """

    modelFolder: str = ""
    volume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    device: Device = Device.AUTO
    styleName: str = ""
    styleLatent: str = ""
    colorBy: str = ""
    compared: str = ""
    showSpread: bool = True
    caseTable: str = ""
    trainingFolder: str = ""
    modelSize: ModelSize = ModelSize.SMALL
    epochs: Annotated[int, WithinRange(0, 100000)] = 0
    trainingDevice: Device = Device.AUTO
