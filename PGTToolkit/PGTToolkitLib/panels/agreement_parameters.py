"""What the Agreement panel keeps in the scene, beside whose the readings are and what came of them."""

from enum import Enum
from typing import Annotated

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class ConsensusMethod(Enum):
    """How voxels in dispute are decided; the values are those of `pgt.agreement.consensus.Method`."""

    STAPLE = "staple"
    MAJORITY = "majority"
    ANY = "any"
    ALL = "all"

    def label(self) -> str:
        """What the user reads."""
        return {
            ConsensusMethod.STAPLE: _("STAPLE"),
            ConsensusMethod.MAJORITY: _("Majority"),
            ConsensusMethod.ANY: _("What any rater marked"),
            ConsensusMethod.ALL: _("What all raters marked"),
        }[self]


@parameterNodeWrapper
class AgreementParameters:
    """The user's choices, saved with the scene.

    volume: what was drawn on; names the case.
    pattern: part of the name of the segmentations to add.
    caseList: file of the case list to compare; empty for the readings of the scene.
    renamed: the corrections to the labels, as JSON object.
    tolerance: mm within which two surfaces count as the same.
    anonymous: whether a rater's name means another person from case to case.
    answers: what the user says of structures, as JSON object: by label, then by question, true or false.
    metrics: keys of the metrics to compute, with blanks between; empty for the usual ones, "none" for none.
    label: the structure whose results are shown.
    metric: key of the metric that is shown.
    consensusMethod: how voxels in dispute are decided.
    showDisagreement: whether the disagreement lies over the image.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    pattern: str = ""
    caseList: str = ""
    renamed: str = ""
    tolerance: Annotated[float, WithinRange(0.0, 50.0)] = 2.0
    anonymous: bool = False
    answers: str = ""
    metrics: str = ""
    label: str = ""
    metric: str = ""
    consensusMethod: ConsensusMethod = ConsensusMethod.STAPLE
    showDisagreement: bool = False
