"""Volume and segmentation: what is drawn on, what is drawn, and by whom."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.errors import InputError
from PGTToolkitLib.panels.parameters import AnnotateParameters
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.scene import match_grid
from PGTToolkitLib.session import Identity, create_segmentation
from PGTToolkitLib.workplace import Workplace

_RATER_SETTING = "PGTToolkit/Rater"
_SESSION_SETTING = "PGTToolkit/Session"
_FIRST_SESSION = "1"


class VolumeSection:
    """Owns the widgets of the first section. Rater and session belong to the person, so to the settings."""

    def __init__(
        self,
        ui: SimpleNamespace,
        workplace: Workplace,
        status: StatusLine,
        refresh_all: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._workplace = workplace
        self._status = status
        self._refresh_all = refresh_all
        self._parameters: AnnotateParameters | None = None
        ui.raterEdit.text = qt.QSettings().value(_RATER_SETTING) or ""
        ui.sessionEdit.text = qt.QSettings().value(_SESSION_SETTING) or _FIRST_SESSION
        ui.raterEdit.textChanged.connect(lambda *_args: self._identify())
        ui.sessionEdit.textChanged.connect(lambda *_args: self._identify())
        ui.newSegmentationButton.clicked.connect(lambda *_args: self.new_segmentation())
        ui.matchGridButton.clicked.connect(lambda *_args: self.match_grid())
        self._identify()

    def set_parameters(self, parameters: AnnotateParameters | None) -> None:
        """Use the choices of another parameter node."""
        self._parameters = parameters

    def fill_in_defaults(self) -> None:
        """Choose what is on the screen where the user has not chosen."""
        parameters, scene = self._parameters, slicer.mrmlScene
        if parameters.view is None:
            parameters.view = scene.GetFirstNodeByClass("vtkMRMLSliceNode")
        if parameters.volume is None:
            shown = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
            background = shown.GetBackgroundVolumeID() if shown is not None else None
            parameters.volume = (
                scene.GetNodeByID(background)
                if background
                else scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            )

    def new_segmentation(self) -> None:
        """Make a segmentation on the grid of the volume and choose it."""
        with self._status.problems():
            if self._parameters.volume is None:
                raise InputError(_("Choose a volume first."))
            self._parameters.segmentation = create_segmentation(self._parameters.volume)

    def match_grid(self) -> None:
        """Resample the segmentation to the grid of the volume."""
        with self._status.problems():
            match_grid(self._workplace.session.grid)
            self._status.say(_("The segmentation is on the grid of the volume now."))
            self._refresh_all()

    def refresh(self) -> None:
        """Say where segmentation and volume do not fit."""
        difference = self._workplace.session.grid.difference() if self._workplace.is_open else None
        self._ui.gridLabel.text = difference or ""
        self._ui.gridLabel.visible = self._ui.matchGridButton.visible = difference is not None
        self._ui.newSegmentationButton.enabled = (
            self._parameters is not None and self._parameters.volume is not None
        )

    def _identify(self) -> None:
        rater, session = self._ui.raterEdit.text.strip(), self._ui.sessionEdit.text.strip()
        qt.QSettings().setValue(_RATER_SETTING, rater)
        qt.QSettings().setValue(_SESSION_SETTING, session)
        self._workplace.identify(Identity(rater, session))
