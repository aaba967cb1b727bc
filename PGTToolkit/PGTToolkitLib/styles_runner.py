"""Everything that a style model is asked, through the worker, and what comes of it in the scene.

Training has a worker of its own (:mod:`PGTToolkitLib.style_training`), so that models can be used meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import slicer

from pgt.annotation import SparseAnnotation
from pgt.errors import InputError
from pgt.styles import correction_job, fit_job, map_job, segment_job
from pgt.styles.correction_job import AskedCorrection, Proposal
from pgt.styles.fit_job import AskedFit, Fitted
from pgt.styles.map_job import AskedMap, FoundMap
from pgt.styles.segment_job import AskedStyles, NamedStyle, StyledVolumes
from PGTToolkitLib.scene import volume_of
from PGTToolkitLib.worker import Event, Failed, Finished, WorkerClient


@dataclass(frozen=True)
class _Asked:
    """What a segmentation was asked of; a later one of the same finds the volume prepared."""

    volume_node: slicer.vtkMRMLScalarVolumeNode
    image_time: int
    model: Path
    device: str
    identifier: str = ""

    def same(self, other: _Asked | None) -> bool:
        return other is not None and replace(self, identifier="") == replace(other, identifier="")


@dataclass(frozen=True, eq=False)
class Shown:
    """The newest segmentations and what they are of."""

    asked: _Asked
    found: StyledVolumes

    def has(self, volume_node: slicer.vtkMRMLScalarVolumeNode | None, model: Path, latent: object) -> bool:
        """Whether this is the volume as it is now, alone in this style of this model."""
        if volume_node is None or volume_node is not self.asked.volume_node:
            return False
        fresh = volume_node.GetImageData().GetMTime() == self.asked.image_time
        latents = [one.style.latent for one in self.found.volumes]
        return fresh and self.asked.model == model and latents == [latent]


class StylesRunner:
    """Runs one job at a time in the worker and keeps what came of it."""

    def __init__(self, worker: WorkerClient) -> None:
        self._worker = worker
        self._asked: _Asked | None = None
        self._prepared: _Asked | None = None
        self._then: Callable[[], object] | None = None
        self._forgotten = False
        self.map: FoundMap | None = None
        """The map of the model that was opened last."""
        self.shown: Shown | None = None
        """What was segmented last."""
        self.fitted: Fitted | None = None
        """The style that was found last in somebody's slices."""
        self.proposal: Proposal | None = None
        """What the main style says of the suspicious case that was opened last."""

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or has yet to stop."""
        return self._worker.busy

    def read_map(self, model: Path, look: bool, device: str = "auto") -> None:
        """Find styles and suspicious cases; with ``look``, compare labels and predictions for suggestions."""
        self._begin("style-map", lambda folder: map_job.write_job(folder, AskedMap(model, look, device)))

    def segment(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        model: Path,
        styles: Sequence[NamedStyle],
        device: str = "auto",
        then: Callable[[], object] | None = None,
    ) -> None:
        """Segment a volume in one style or several.

        Args:
            volume_node: the image.
            model: folder of the model.
            styles: which.
            device: where to compute.
            then: called when the result is there.

        Raises:
            InputError: the volume holds no grey image.
            OSError: the job cannot be written, or the worker cannot be started.
        """
        volume, asked = volume_of(volume_node), self._asked_of(volume_node, model, device)
        wanted = AskedStyles(model, tuple(styles), device)
        previous = self._prepared.identifier if self._prepared and asked.same(self._prepared) else None
        identifier = self._begin(
            "style-segment", lambda folder: segment_job.write_job(folder, volume, wanted), then, previous
        )
        self._asked = replace(asked, identifier=identifier)

    def fit(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        model: Path,
        annotation: SparseAnnotation,
        device: str = "auto",
        then: Callable[[], object] | None = None,
    ) -> None:
        """Find the style of annotated slices, and segment the volume in it.

        Raises:
            InputError: the volume holds no grey image.
            OSError: the job cannot be written, or the worker cannot be started.
        """
        volume = volume_of(volume_node)
        asked = self._asked_of(volume_node, model, device)
        wanted = AskedFit(model, device)
        self._begin("style-fit", lambda folder: fit_job.write_job(folder, volume, annotation, wanted), then)
        self._asked = asked

    def correct(
        self, model: Path, case: str, device: str = "auto", then: Callable[[], object] | None = None
    ) -> None:
        """Ask what the main style says of a training case.

        Raises:
            OSError: the worker cannot be started.
        """
        wanted = AskedCorrection(model, case, device)
        self._begin("style-correct", lambda folder: correction_job.write_job(folder, wanted), then)

    def cancel(self) -> None:
        """Stop; nothing has been written, so nothing is undone."""
        self._worker.cancel()

    def forget(self) -> None:
        """Stop, and write nothing any more: the scene is closing."""
        self._worker.cancel()
        self._forgotten = self._worker.busy
        self._then = self._asked = self._prepared = self.shown = self.fitted = self.proposal = None

    def forget_model(self) -> None:
        """Another model is used from now on."""
        self.map = self.shown = self.fitted = self.proposal = None

    def poll(self) -> list[Event]:
        """What has happened since the last call. What is finished can be read when this returns."""
        events = self._worker.poll()
        for position, event in enumerate(events):
            if isinstance(event, Finished) and not self._forgotten:
                try:
                    self._take(event)
                    if self._then is not None:
                        self._then()
                except InputError as error:
                    events[position] = Failed(str(error))
        if not self._worker.busy:
            self._forgotten, self._then = False, None
        return events

    def _begin(
        self,
        kind: str,
        write: Callable[[Path], None],
        then: Callable[[], object] | None = None,
        previous: str | None = None,
    ) -> str:
        identifier = self._worker.submit(kind, write, previous)
        self._then = then
        return identifier

    def _take(self, event: Finished) -> None:
        result = event.result
        if isinstance(result, FoundMap):
            self.map = result
        elif isinstance(result, StyledVolumes) and self._asked is not None:
            self._prepared = self._asked
            self.shown = Shown(self._asked, result)
        elif isinstance(result, Fitted) and self._asked is not None:
            self.fitted, self.shown = result, Shown(self._asked, result.styled)
        elif isinstance(result, Proposal):
            self.proposal = result

    def _asked_of(self, node: slicer.vtkMRMLScalarVolumeNode, model: Path, device: str) -> _Asked:
        return _Asked(node, node.GetImageData().GetMTime(), model, device)
