"""The sample volume: an abdominal CT that is computed on the user's own computer.

Nothing is downloaded, so it also comes where there is no network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer

from pgt.volume import Volume

CATEGORY = "PGT Toolkit"
SAMPLE_NAME = "PGTMadeAbdomen"

_ICONS = Path(__file__).resolve().parent.parent / "Resources" / "Icons"


def register_sample_data() -> None:
    """Add the sample volume to the Sample Data module."""
    import SampleData
    from slicer.i18n import tr as _

    SampleData.SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("PGT Toolkit"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(_ICONS / "PGTAnnotate.png"),
        customDownloader=lambda source: [load_sample_volume(slicer.mrmlScene)],
    )


def load_sample_volume(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """Make the sample volume (360×288×240 mm, oblique, int16 HU) and add it to a scene."""
    from pgt.sample_volume import make_sample

    volume, _label_map = make_sample()
    return add_volume(scene, volume, "Made abdomen CT")


def add_volume(scene: slicer.vtkMRMLScene, volume: Volume, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume of the core as a node of the scene."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(volume.voxels.T))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.geometry.ijk_to_ras))
    node.CreateDefaultDisplayNodes()
    return node
