"""Slicer's engine without its window: a scene, and volumes turned every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from pgt.volume import LabelMap, Volume  # noqa: E402
from PGTToolkitLib.agreement_runner import AgreementRunner  # noqa: E402
from PGTToolkitLib.scene import SegmentationGrid  # noqa: E402
from PGTToolkitLib.session import AnnotationSession, Identity, create_segmentation  # noqa: E402
from PGTToolkitLib.worker import WorkerClient  # noqa: E402

VolumeMaker = Callable[..., "slicer.vtkMRMLScalarVolumeNode"]


class EmptyScene:
    """A scene with the logics that Slicer's modules add: color tables, segmentations, bundles."""

    def __init__(self, cache_folder: Path) -> None:
        self.scene = slicer.vtkMRMLScene()
        self._logics = (
            slicer.vtkMRMLColorLogic(),
            slicer.vtkSlicerSubjectHierarchyModuleLogic(),
            slicer.vtkSlicerSegmentationsModuleLogic(),
        )
        for logic in self._logics:
            logic.SetMRMLScene(self.scene)
        cache = slicer.vtkCacheManager()
        cache.SetRemoteCacheDirectory(str(cache_folder))
        manager = slicer.vtkDataIOManager()
        manager.SetCacheManager(cache)
        self.scene.SetCacheManager(cache)
        self.scene.SetDataIOManager(manager)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[slicer.vtkMRMLScene]:
    """An empty scene, as Slicer begins with."""
    empty = EmptyScene(tmp_path)
    yield empty.scene
    empty.scene.Clear(1)


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation about the three axes, in degrees."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians([x, y, z])):
        turn = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[[first, first, second, second], [first, second, first, second]] = [
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        ]
        matrix = turn @ matrix
    return matrix


DIRECTIONS = {
    "axial": np.diag([-1.0, -1.0, 1.0]),
    "flipped": np.diag([1.0, -1.0, -1.0]),
    "permuted": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "oblique": rotation(20, -15, 35),
}


@pytest.fixture(params=DIRECTIONS)
def direction(request: pytest.FixtureRequest) -> np.ndarray:
    """The volume's axes in RAS, as columns."""
    return DIRECTIONS[request.param]


@pytest.fixture
def add_volume(scene: slicer.vtkMRMLScene) -> VolumeMaker:
    """Adds a volume node; voxels [i, j, k] are noise unless given."""

    def add(
        shape: tuple[int, int, int] = (24, 20, 16),
        direction: np.ndarray | None = None,
        spacing: tuple[float, float, float] = (0.8, 1.1, 3.0),
        voxels: np.ndarray | None = None,
    ) -> slicer.vtkMRMLScalarVolumeNode:
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
        if voxels is None:
            voxels = np.random.default_rng(0).integers(-100, 200, shape).astype(np.int16)
        slicer.util.updateVolumeFromArray(node, voxels.T)
        matrix = np.eye(4)
        matrix[:3, :3] = (np.eye(3) if direction is None else direction) @ np.diag(spacing)
        matrix[:3, 3] = (-31.5, 12.25, 7.0)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        node.CreateDefaultDisplayNodes()
        return node

    return add


def add_volume_node(scene: slicer.vtkMRMLScene, volume: Volume) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume of the core as a node."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(volume.voxels.T))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.geometry.ijk_to_ras))
    node.CreateDefaultDisplayNodes()
    return node


@dataclass
class Pen:
    """Draws as Slicer's segment editor does: save the state for undo, change voxels, say so."""

    grid: SegmentationGrid
    history: slicer.vtkSegmentationHistory
    editor: slicer.vtkSlicerSegmentEditorLogic

    def paint(self, segment: str, mask: np.ndarray, start: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Add voxels [i, j, k]; ``start`` is the voxel of the mask's corner."""
        self._modify(segment, mask, start, self.editor.ModificationModeAdd)

    def erase(self, segment: str, mask: np.ndarray, start: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Remove voxels."""
        self._modify(segment, mask, start, self.editor.ModificationModeRemove)

    def draw_slice(self, segment: str, axis: int, index: int, mask: np.ndarray) -> None:
        """Paint a 2D mask onto a slice across an axis."""
        start = [0, 0, 0]
        start[axis] = index
        self.paint(segment, np.expand_dims(mask, axis), (start[0], start[1], start[2]))

    def _modify(self, segment: str, mask: np.ndarray, start: tuple[int, int, int], mode: int) -> None:
        self.history.SaveState()
        image = self.grid.oriented_image(mask, start)
        self.editor.ModifySegmentByLabelmap(self.grid.segmentation_node, segment, image, mode, False, False)


@pytest.fixture
def pen_for(scene: slicer.vtkMRMLScene) -> Callable[[AnnotationSession], Pen]:
    """Makes the pen of a session; painting overwrites other segments, as in Slicer by default."""

    def make(session: AnnotationSession) -> Pen:
        settings = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        editor = slicer.vtkSlicerSegmentEditorLogic()
        editor.SetMRMLScene(scene)
        editor.SetSegmentEditorNode(settings)
        editor.SetSegmentationNode(session.segmentation_node)
        history = slicer.vtkSegmentationHistory()
        history.SetSegmentation(session.segmentation_node.GetSegmentation())
        return Pen(session.grid, history, editor)

    return make


@pytest.fixture
def make_session() -> Iterator[Callable[..., AnnotationSession]]:
    """Opens a session on a volume, with segments of the given names."""
    sessions = []

    def make(
        volume_node: slicer.vtkMRMLScalarVolumeNode, segments: tuple[str, ...] = ("liver",)
    ) -> AnnotationSession:
        node = create_segmentation(volume_node)
        segmentation = node.GetSegmentation()
        segmentation.RemoveAllSegments()
        for name in segments:
            segmentation.AddEmptySegment(name, name)
        sessions.append(AnnotationSession(volume_node, node, Identity("Ada", "Monday")))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.fixture(scope="session")
def warm_worker() -> Iterator[WorkerClient]:
    """One worker for many tests: it stays warm, and starts again where a test ends it."""
    client = WorkerClient()
    yield client
    client.close()


@pytest.fixture
def runner(warm_worker: WorkerClient) -> AgreementRunner:
    """Compares raters in the warm worker."""
    assert not warm_worker.busy
    return AgreementRunner(warm_worker)


def label_of(label_map: LabelMap, name: str) -> np.ndarray:
    """Where a label map has the label of a name."""
    return label_map.mask(next(segment.value for segment in label_map.segments if segment.name == name))
