"""What a rater has on the desk: a volume, its segmentation, and the slice view being worked in."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from pgt.annotation import SliceLedger
from pgt.errors import InputError
from PGTToolkitLib.review_cue import ReviewCue
from PGTToolkitLib.session import AnnotationSession, Identity
from PGTToolkitLib.slice_plan import stored_plan
from PGTToolkitLib.slice_views import ViewAxis, patient_orientation, show_slice, shown_slice, view_axis


class Workplace:
    """The session in hand and where the rater looks. Without a session, everything is empty."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """Begin with an empty desk; ``changed`` is called when the segmentation has changed."""
        self._changed = changed
        self._session: AnnotationSession | None = None
        self._cue: ReviewCue | None = None
        self.view: slicer.vtkMRMLSliceNode | None = None
        self.identity = Identity("", "")

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    @property
    def session(self) -> AnnotationSession:
        """The session in hand.

        Raises:
            InputError: no volume or no segmentation is chosen.
        """
        if self._session is None:
            raise InputError("Choose a volume and a segmentation first.")
        return self._session

    def open(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode | None,
        segmentation_node: slicer.vtkMRMLSegmentationNode | None,
    ) -> bool:
        """Put a volume and a segmentation on the desk; whether that changed what lies there."""
        session = self._session
        if session is not None and (session.volume_node, session.segmentation_node) == (
            volume_node,
            segmentation_node,
        ):
            return False
        was_open = self.is_open
        self.close()
        if volume_node is None or volume_node.GetImageData() is None or segmentation_node is None:
            return was_open
        self._session = AnnotationSession(volume_node, segmentation_node, self.identity, self._changed)
        self._cue = ReviewCue(segmentation_node)
        return True

    def close(self) -> None:
        """Clear the desk."""
        if self._cue is not None:
            self._cue.clear()
        if self._session is not None:
            self._session.close()
        self._session = self._cue = None

    def identify(self, identity: Identity) -> None:
        """Say who works here from now on."""
        self.identity = identity
        if self._session is not None:
            self._session.identity = identity

    @property
    def view_axis(self) -> ViewAxis:
        """The axis of the volume that the view looks along; k before there is a view."""
        if self.view is None or self._session is None:
            return ViewAxis(axis=2, degrees=0.0)
        return view_axis(self.view, self._session.volume_node)

    @property
    def orientation(self) -> str:
        """What a radiologist calls the slices of the view: axial, coronal or sagittal."""
        return patient_orientation(self.session.volume_node, self.view_axis.axis)

    @property
    def shown(self) -> int | None:
        """The slice that the view shows; None outside the volume and without a view."""
        if self.view is None or self._session is None:
            return None
        return shown_slice(self.view, self._session.volume_node, self.view_axis.axis)

    def show(self, index: int) -> None:
        """Move the view to a slice."""
        if self.view is not None:
            show_slice(self.view, self.session.volume_node, self.view_axis.axis, index)

    def align_view(self) -> None:
        """Turn the view parallel to the nearest slices of the volume."""
        if self.view is not None:
            self.view.RotateToVolumePlane(self.session.volume_node)

    @property
    def planned(self) -> tuple[int, ...]:
        """The slices that the plan names along the axis of the view."""
        if self._session is None:
            return ()
        plan = stored_plan(self._session.segmentation_node)
        return plan.slices if plan is not None and plan.axis == self.view_axis.axis else ()

    def show_review_state(self, ledger: SliceLedger) -> tuple[str, ...]:
        """Draw unreviewed segments as outlines on the slice shown, and say which they are."""
        if self._cue is None:
            return ()
        return self._cue.update(ledger, self.view_axis.axis, self.shown)
