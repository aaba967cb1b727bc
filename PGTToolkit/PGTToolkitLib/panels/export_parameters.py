"""What the Export panel keeps in the scene, beside which of its segmentations are cases."""

from typing import Annotated

from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class ExportParameters:
    """The user's choices, saved with the scene.

    caseList: file of a case list, or a folder of scenes; empty for the cases of the scene alone.
    agreementReport: folder of an agreement report, for the agreement of the list's cases.
    suspectsFile: what ``pgt styles suspects --json`` wrote, for which of them are suspicious.
    seriesFolder: folder with a DICOM series in a folder for each of them.
    reviewedOnly: leave out cases with slices that a machine filled and nobody accepted.
    byAgreement: leave out cases whose raters agree less than leastAgreement.
    leastAgreement: mean Dice of the raters.
    notSuspicious: leave out cases that the map of styles calls suspicious.
    nifti, segmentation, dicom, nnunet, monai: which formats to write.
    datasetNumber: number of the nnU-Net data set.
    datasetName: its name.
    ignoreUnannotated: whether voxels that nobody drew or reviewed get the ignore label there.
    structures: which structures are left out and which renamed, as JSON object.
    channel: what the images are, such as CT; empty to ask the DICOM series.
    missingIsAbsent: whether a structure that a case lacks is taken for absent.
    separateSegments: whether overlapping segments get a NIfTI file each.
    identifiers: whether what identifies a patient's study is written as well.
    folder: where the files go.
    replaceEarlier: whether another export in the folder may be replaced.
    """

    caseList: str = ""
    agreementReport: str = ""
    suspectsFile: str = ""
    seriesFolder: str = ""
    reviewedOnly: bool = False
    byAgreement: bool = False
    leastAgreement: Annotated[float, WithinRange(0.0, 1.0)] = 0.8
    notSuspicious: bool = False
    nifti: bool = True
    segmentation: bool = False
    dicom: bool = False
    nnunet: bool = False
    monai: bool = False
    datasetNumber: Annotated[int, WithinRange(1, 999)] = 1
    datasetName: str = ""
    ignoreUnannotated: bool = False
    structures: str = ""
    channel: str = ""
    missingIsAbsent: bool = False
    separateSegments: bool = False
    identifiers: bool = False
    folder: str = ""
    replaceEarlier: bool = False
