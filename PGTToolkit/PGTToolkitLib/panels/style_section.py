"""Style: preview one, compare several, find that of annotated slices, and use one as segmentation."""

from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from pgt.errors import InputError
from pgt.styles.fit_job import FITTED, Fitted
from pgt.styles.segment_job import NamedStyle, StyledVolumes
from PGTToolkitLib.panels.job_progress import duration
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.style_colors import distinct_colors, parts_of_group
from PGTToolkitLib.panels.styles_desk import StylesDesk
from PGTToolkitLib.scene import SegmentationGrid, nodes_of
from PGTToolkitLib.segment_writer import SegmentWriter
from PGTToolkitLib.session import AnnotationSession, Identity, create_segmentation
from PGTToolkitLib.slice_views import view_axis
from PGTToolkitLib.style_preview import preview_node, remove_preview, show_preview, show_spread, spread_node
from PGTToolkitLib.style_segmentation import StyleUndo, annotated_slices, write_style

_RATER_SETTING = "PGTToolkit/Rater"
_SESSION_SETTING = "PGTToolkit/Session"
_ROW_HEIGHT = 22
_STYLE_WIDTH = 140


class StyleSection:
    """Owns the widgets of the third section, and what the worker segments."""

    def __init__(
        self,
        ui: SimpleNamespace,
        desk: StylesDesk,
        status: StatusLine,
        begin: Callable[[Callable[[], None]], None],
        refresh_all: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._desk = desk
        self._status = status
        self._written = ""
        self._begin = begin
        self._refresh_all = refresh_all
        self._writer = SegmentWriter()
        self._undo = StyleUndo()
        table = ui.volumesTable
        table.verticalHeader().visible = False
        table.verticalHeader().defaultSectionSize = _ROW_HEIGHT
        ui.previewButton.clicked.connect(lambda *_args: self.preview())
        ui.compareButton.clicked.connect(lambda *_args: self.compare())
        ui.fitButton.clicked.connect(lambda *_args: self.fit())
        ui.useButton.clicked.connect(lambda *_args: self.use())
        ui.undoButton.clicked.connect(lambda *_args: self.undo())
        ui.clearButton.clicked.connect(lambda *_args: self.clear())
        ui.newSegmentationButton.clicked.connect(lambda *_args: self.new_segmentation())
        ui.spreadBox.toggled.connect(lambda *_args: self._overlay())

    def preview(self) -> None:
        """Segment the volume in the current style, and show it."""
        with self._status.problems():
            self._segment([self._desk.style()])

    def compare(self) -> None:
        """Segment the volume in all ticked styles."""
        with self._status.problems():
            ticked = self._desk.compared()
            styles = [line.style for line in self._desk.lines() if line.style.name in ticked]
            if len(styles) < 2:
                raise InputError(_("Tick two styles or more in the table below the map."))
            self._segment(styles)

    def fit(self) -> None:
        """Find the style of the annotated slices, choose it, and preview it."""
        with self._status.problems():
            model, volume = self._desk.model(), self._volume()
            with self._session() as session:
                annotation = annotated_slices(session, model.classes)
            self._begin(
                lambda: self._desk.runner.fit(
                    volume, model.folder, annotation, self._desk.device, self._fitted
                )
            )

    def use(self) -> None:
        """Write the current style into the segmentation; segment first where that was not done yet."""
        with self._status.problems():
            model, volume, style = self._desk.model(), self._volume(), self._desk.style()
            shown = self._desk.runner.shown
            if shown is not None and shown.has(volume, model.folder, style.latent):
                self._write()
                self._status.say(self._take_written())
                self._refresh_all()
            else:
                self._begin(
                    lambda: self._desk.runner.segment(
                        volume, model.folder, [style], self._desk.device, self._write
                    )
                )

    def undo(self) -> None:
        """Take the last use back."""
        with self._status.problems():
            self._undo.undo()
            self._status.say(_("Taken back."))
            self._refresh_all()

    def clear(self) -> None:
        """Take preview and spread out of the scene."""
        with self._status.problems():
            remove_preview(slicer.mrmlScene)
            self._refresh_all()

    def new_segmentation(self) -> None:
        """Make a segmentation on the grid of the volume and choose it."""
        with self._status.problems():
            self._desk.parameters.segmentation = create_segmentation(self._volume())

    def forget(self) -> None:
        """Let go of every node."""
        self._undo.forget()

    def fill_in_defaults(self) -> None:
        """Choose what is on the screen where the user has not chosen."""
        parameters = self._desk.parameters
        if parameters.volume is None:
            for layers in nodes_of(slicer.mrmlScene, "vtkMRMLSliceCompositeNode"):
                node = slicer.mrmlScene.GetNodeByID(layers.GetBackgroundVolumeID() or "")
                if node is not None:
                    parameters.volume = node
                    return

    def refresh(self) -> None:
        """Allow what can be done now."""
        desk, ui, runner = self._desk, self._ui, self._desk.runner
        card = desk.card() if desk.is_open else None
        parameters = desk.parameters
        idle = card is not None and not runner.busy
        has_volume = idle and parameters.volume is not None
        has_both = has_volume and parameters.segmentation is not None
        style = desk.style() if card is not None else None
        ui.currentStyleLabel.text = (
            _("Current style: {name}").format(name=f"<b>{style.name}</b>") if style is not None else ""
        )
        ui.currentStyleLabel.visible = bool(ui.currentStyleLabel.text)
        ui.previewButton.enabled = ui.compareButton.enabled = has_volume
        ui.fitButton.enabled = ui.useButton.enabled = has_both
        ui.newSegmentationButton.enabled = desk.is_open and parameters.volume is not None
        segmentation = parameters.segmentation if desk.is_open else None
        ui.undoButton.enabled = not runner.busy and self._undo.can_undo(segmentation)
        ui.clearButton.enabled = preview_node(slicer.mrmlScene) is not None
        ui.spreadBox.enabled = spread_node(slicer.mrmlScene) is not None
        difference = self._grid_difference()
        ui.gridLabel.text = difference
        ui.gridLabel.visible = bool(difference)
        self._fill_table(runner.shown.found if runner.shown is not None else None)

    def show(self, found: StyledVolumes) -> str:
        """Show what was segmented, unless it was used at once; what to tell of it."""
        if self._written:
            return self._take_written()
        volume = self._desk.runner.shown.asked.volume_node
        if slicer.mrmlScene.GetNodeByID(volume.GetID() or "") is not volume:
            return _("The volume is in the scene no more.")
        if len(found.volumes) > 1:
            colors = distinct_colors(len(found.volumes))
        else:
            lines = self._desk.lines()
            latent = found.volumes[0].style.latent
            colors = [parts_of_group(next((x.group for x in lines if x.style.latent == latent), None))]
        show_preview(volume, found, colors)
        self._overlay()
        told = _("{count} styles in {time}.").format(count=len(found.volumes), time=duration(found.seconds))
        return " ".join([told, *found.messages])

    def show_fitted(self, fitted: Fitted) -> str:
        """Show the volume in the style of the annotated slices; what to tell of it."""
        self.show(fitted.styled)
        told = _("Your {count} slices: Dice {dice:.3f} in their style, {main:.3f} in the main style.").format(
            count=fitted.slices, dice=fitted.dice, main=fitted.main_dice
        )
        return " ".join([told, *fitted.styled.messages])

    def _segment(self, styles: list[NamedStyle]) -> None:
        model, volume = self._desk.model(), self._volume()
        self._begin(lambda: self._desk.runner.segment(volume, model.folder, styles, self._desk.device))

    def _fitted(self) -> None:
        fitted = self._desk.runner.fitted
        self._desk.choose(NamedStyle(FITTED, fitted.latent))

    def _write(self) -> None:
        found = self._desk.runner.shown.found
        volume = self._volume()
        views = nodes_of(slicer.mrmlScene, "vtkMRMLSliceNode")
        axis = view_axis(views[0], volume).axis if views else 2
        with self._session() as session:
            names = write_style(session, found, found.volumes[0], axis, self._writer, self._undo)
        remove_preview(slicer.mrmlScene)
        self._written = _("{names} written in the style {style}. Review the slices in Annotate.").format(
            names=", ".join(names), style=found.volumes[0].style.name
        )

    def _take_written(self) -> str:
        written, self._written = self._written, ""
        return written

    def _volume(self) -> slicer.vtkMRMLScalarVolumeNode:
        volume = self._desk.parameters.volume
        if volume is None or volume.GetImageData() is None:
            raise InputError(_("Choose a volume first."))
        return volume

    def _session(self) -> "_OpenSession":
        segmentation = self._desk.parameters.segmentation
        if segmentation is None:
            raise InputError(_("Choose a segmentation first."))
        settings = qt.QSettings()
        identity = Identity(settings.value(_RATER_SETTING) or "", settings.value(_SESSION_SETTING) or "1")
        return _OpenSession(AnnotationSession(self._volume(), segmentation, identity))

    def _grid_difference(self) -> str:
        parameters = self._desk.parameters
        if parameters is None or parameters.volume is None or parameters.segmentation is None:
            return ""
        if parameters.volume.GetImageData() is None:
            return ""
        difference = SegmentationGrid(parameters.segmentation, parameters.volume).difference()
        return difference + " " + _("Match the grids in Annotate.") if difference else ""

    def _overlay(self) -> None:
        if self._desk.is_open:
            show_spread(slicer.mrmlScene, self._ui.spreadBox.checked)

    def _fill_table(self, found: StyledVolumes | None) -> None:
        table = self._ui.volumesTable
        table.visible = found is not None
        if found is None:
            table.rowCount = 0
            return
        segments = found.volumes[0].label_map.segments
        table.columnCount = 1 + len(segments)
        headings = [_("{name} (ml)").format(name=one.name) for one in segments]
        table.setHorizontalHeaderLabels([_("Style"), *headings])
        table.horizontalHeader().stretchLastSection = True
        table.setColumnWidth(0, _STYLE_WIDTH)
        colors = distinct_colors(len(found.volumes))
        table.rowCount = len(found.volumes)
        for row, one in enumerate(found.volumes):
            name = qt.QTableWidgetItem(one.style.name)
            if len(found.volumes) > 1:
                name.setForeground(qt.QBrush(qt.QColor(*(round(255 * part) for part in colors[row]))))
            table.setItem(row, 0, name)
            for column, segment in enumerate(segments, start=1):
                item = qt.QTableWidgetItem(f"{one.volumes_ml[segment.value]:.2f}")
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(row, column, item)


class _OpenSession:
    """A session for as long as it is written or read in; Annotate has its own."""

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session

    def __enter__(self) -> AnnotationSession:
        return self._session

    def __exit__(self, *problem: object) -> None:
        self._session.close()
