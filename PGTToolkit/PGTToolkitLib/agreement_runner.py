"""Comparisons, consensus and case lists: from the scene to the worker, and the results into the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
from numpy.typing import NDArray

from pgt.agreement import case_list_job, consensus_job, job
from pgt.agreement.reading_source import ReadingSource
from pgt.errors import InputError
from pgt.geometry import Geometry, Shape
from pgt.volume import Volume
from PGTToolkitLib.agreement_charts import add_pairs_table
from PGTToolkitLib.agreement_store import StoredAgreement, store_agreement
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.reading_nodes import Role, check, entered, remarks
from PGTToolkitLib.scene import ijk_to_world, nodes_of, segment_ids, volume_of
from PGTToolkitLib.segmentation_readings import rated_segmentations
from PGTToolkitLib.worker import Event, Failed, Finished, WorkerClient

if TYPE_CHECKING:
    from pgt.agreement.case_list_job import OpenedList

SCENE_CASE = "scene"

_OPENED_ATTRIBUTE = "PGTToolkit.OpenedCase"
_IMAGE_FILE = "image.mha"


@dataclass(frozen=True, eq=False)
class Disputed:
    """Where raters of one case disagree on a label.

    Args:
        geometry: the grid that was compared on, in world RAS.
        start: index of the first voxel of ``bits``.
        bits: entropy of the raters' votes as array [i, j, k].
    """

    geometry: Geometry
    start: Shape
    bits: NDArray[np.float32]


def case_name(image: slicer.vtkMRMLScalarVolumeNode | None) -> str:
    """What the case in the scene is called: as its image."""
    return image.GetName() if image is not None else SCENE_CASE


def scene_source(
    scene: slicer.vtkMRMLScene,
    image: slicer.vtkMRMLScalarVolumeNode | None,
    renamed: Mapping[str, str],
    with_voxels: bool = True,
) -> ReadingSource:
    """The readings of the scene, as one case.

    Args:
        scene: where the segmentations are.
        image: what they were drawn on; names the case.
        renamed: the user's corrections to the labels.
        with_voxels: without them only the names of structures are read, which takes no time.

    Raises:
        InputError: there are too few readings, raters or roles clash, or a segmentation cannot be read.
    """
    readings = entered(scene)
    if with_voxels:
        check(readings)
    references = [entry.rater for _node, entry in readings if entry.role is Role.REFERENCE]
    models = dict.fromkeys(entry.rater for _node, entry in readings if entry.role is Role.MODEL)
    return ReadingSource(
        rated=rated_segmentations(readings, case_name(image), with_voxels),
        renamed=dict(renamed),
        reference=references[0] if references else None,
        candidates=tuple(models),
    )


class AgreementRunner:
    """Runs one job at a time in the worker, and puts what comes of it into the scene."""

    def __init__(self, worker: WorkerClient) -> None:
        self._worker = worker
        self._scene: slicer.vtkMRMLScene | None = None
        self._source = ReadingSource()
        self.disputed: dict[str, Disputed] = {}
        """By label, of the newest comparison of one case in this run of the application."""
        self.listed: OpenedList | None = None
        """What the case list that was opened holds."""

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or has yet to stop."""
        return self._worker.busy

    def compare(
        self,
        scene: slicer.vtkMRMLScene,
        source: ReadingSource,
        asked: job.AskedFor,
        image: slicer.vtkMRMLScalarVolumeNode | None = None,
    ) -> None:
        """Compare all readings of a source.

        Args:
            scene: where the results go.
            source: of the scene, or a case list.
            asked: what to find out.
            image: shown under the contours in the report.

        Raises:
            OSError: the job cannot be written, or the worker cannot be started.
        """
        if source.table is None:
            asked = replace(asked, remarks=(*asked.remarks, *remarks(entered(scene))))

        def write(folder: Path) -> None:
            images = _written_image(folder, image) if asked.page and source.table is None else None
            job.write_job(folder, source if images is None else replace(source, images=images), asked)

        self._scene, self._source = scene, source
        self._worker.submit("agree", write)

    def make_consensus(self, scene: slicer.vtkMRMLScene, source: ReadingSource, method: str) -> None:
        """Join the raters' segmentations of one case into a new one.

        Raises:
            OSError: the job cannot be written, or the worker cannot be started.
        """
        self._scene = scene
        self._worker.submit("consensus", lambda folder: consensus_job.write_job(folder, source, method))

    def open_cases(self, scene: slicer.vtkMRMLScene, source: ReadingSource) -> None:
        """Read the names of structures of a case list, or one of its cases into the scene.

        Raises:
            OSError: the job cannot be written, or the worker cannot be started.
        """
        self._scene = scene
        self._worker.submit("open-cases", lambda folder: case_list_job.write_job(folder, source))

    def cancel(self) -> None:
        """Stop; nothing has been written, so nothing is undone."""
        self._worker.cancel()

    def forget(self) -> None:
        """Stop, and write nothing any more: the scene is closing."""
        self._worker.cancel()
        self._scene = None
        self.disputed = {}
        self.listed = None

    def poll(self) -> list[Event]:
        """What has happened since the last call. What is finished is in the scene when this returns."""
        events = self._worker.poll()
        for position, event in enumerate(events):
            if isinstance(event, Finished) and self._scene is not None:
                try:
                    self._take(self._scene, event.result)
                except InputError as error:
                    events[position] = Failed(str(error))
        return events

    def _stored(self, result: job.Comparison) -> StoredAgreement:
        table, renamed = self._source.table, self._source.renamed
        return StoredAgreement(result.agreement, result.notes, result.files, table, renamed)

    def _take(self, scene: slicer.vtkMRMLScene, result: object) -> None:
        if isinstance(result, job.Comparison):
            store_agreement(scene, self._stored(result))
            add_pairs_table(scene, result.agreement)
            self.disputed = {
                label: Disputed(result.geometry, start, bits)
                for label, (start, bits) in result.disputed.items()
                if result.geometry is not None
            }
        elif isinstance(result, consensus_job.ConsensusResult):
            # One step of the scene's undo, where that is switched on.
            scene.SaveStateForUndo()
            add_segmentation(scene, "Consensus", result.geometry, result.masks, _looks(scene))
        elif isinstance(result, case_list_job.OpenedList):
            self.listed = result if result.opened is None else self.listed
            if result.opened is not None:
                show_opened(scene, result.opened)


def show_opened(scene: slicer.vtkMRMLScene, opened: case_list_job.OpenedCase) -> None:
    """Put a case of a case list into the scene, instead of the one before.

    Raises:
        InputError: its image cannot be read.
    """
    from pgt.volume_io import read_volume
    from PGTToolkitLib.sample_data import add_volume

    close_opened(scene)
    for sitting, masks in opened.masks.items():
        node = add_segmentation(scene, f"{opened.case} {sitting}", opened.geometry, masks)
        node.SetAttribute(_OPENED_ATTRIBUTE, f"{opened.case}\n{sitting}")
    if opened.image is not None:
        image = add_volume(scene, read_volume(opened.image), opened.case)
        image.SetAttribute(_OPENED_ATTRIBUTE, opened.case)
        for layers in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
            layers.SetBackgroundVolumeID(image.GetID())


def opened_case(scene: slicer.vtkMRMLScene) -> str:
    """The case of the case list that is in the scene; empty without one."""
    for node in nodes_of(scene, "vtkMRMLSegmentationNode"):
        place = node.GetAttribute(_OPENED_ATTRIBUTE)
        if place:
            return str(place.partition("\n")[0])
    return ""


def opened_readings(scene: slicer.vtkMRMLScene) -> dict[str, slicer.vtkMRMLSegmentationNode]:
    """The segmentations of the opened case by sitting."""
    found = {}
    for node in nodes_of(scene, "vtkMRMLSegmentationNode"):
        place = node.GetAttribute(_OPENED_ATTRIBUTE)
        if place:
            found[place.partition("\n")[2]] = node
    return found


def close_opened(scene: slicer.vtkMRMLScene) -> None:
    """Take the opened case out of the scene."""
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode"):
        for node in nodes_of(scene, kind):
            if node.GetAttribute(_OPENED_ATTRIBUTE):
                scene.RemoveNode(node)


def _looks(scene: slicer.vtkMRMLScene) -> dict[str, slicer.vtkSegment]:
    """A segment of each name, of the first reading that has it."""
    looks: dict[str, slicer.vtkSegment] = {}
    nodes: Sequence[slicer.vtkMRMLSegmentationNode] = [node for node, _entry in entered(scene)]
    for node in nodes:
        for segment_id in segment_ids(node):
            segment = node.GetSegmentation().GetSegment(segment_id)
            looks.setdefault(segment.GetName(), segment)
    return looks


def _written_image(folder: Path, image: slicer.vtkMRMLScalarVolumeNode | None) -> dict[str, Path] | None:
    """The image in a job folder, where the worker finds it."""
    if image is None or image.GetImageData() is None:
        return None
    from pgt.volume_io import write_volume

    volume = volume_of(image)
    world = Geometry.from_ijk_to_ras(ijk_to_world(image), volume.geometry.shape)
    write_volume(Volume(volume.voxels, world), folder / _IMAGE_FILE)
    return {case_name(image): folder / _IMAGE_FILE}
