"""The latent map as a picture that answers the mouse: hover names, click chooses, wheel zooms, drag moves.

It is drawn into the pixmap of a label and listens through an event filter, since both bindings of Qt do that
alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import qt

from PGTToolkitLib.map_plane import MapPlane, flat

_RADIUS, _REACH, _STILL = 4.0, 9.0, 4.0
_ZOOM = 1.25
_PAPER, _GRID, _INK, _CHOSEN = "#ffffff", "#e4e8ec", "#1f2933", "#c0392b"
_GRID_PIXELS = 50
_LINE = 15


@dataclass(frozen=True)
class MapMark:
    """A style to name on the map: its place and color."""

    name: str
    latent: tuple[float, ...]
    color: str


class MapPicture(qt.QObject):
    """Draws cases, styles and the current style."""

    def __init__(
        self,
        label: qt.QLabel,
        case_clicked: Callable[[str], None],
        point_clicked: Callable[[float, float], None],
    ) -> None:
        """Draw into a label.

        Args:
            label: where.
            case_clicked: called with the case that was clicked.
            point_clicked: called with the point of the map where no case is near.
        """
        qt.QObject.__init__(self)
        self.plane = MapPlane()
        self._label = label
        self._case_clicked, self._point_clicked = case_clicked, point_clicked
        self._colors: Mapping[str, str] = {}
        self._marks: Sequence[MapMark] = ()
        self._chosen: tuple[float, ...] | None = None
        self._ringed = ""
        self._hovered = ""
        self._note = ""
        self._pointer = (0.0, 0.0)
        self._pressed: tuple[float, float] | None = None
        self._dragged = False
        label.mouseTracking = True
        label.installEventFilter(self)

    @property
    def hovered(self) -> str:
        """The case under the pointer; empty without one."""
        return self._hovered

    @property
    def colors(self) -> Mapping[str, str]:
        """The color of each case that is shown."""
        return self._colors

    def show_cases(self, latents: Mapping[str, tuple[float, ...]], colors: Mapping[str, str]) -> None:
        """Show these cases, each in its color."""
        self.plane.set_cases(latents)
        self._colors = colors

    def show_styles(
        self, marks: Sequence[MapMark], chosen: tuple[float, ...] | None, ringed: str, note: str = ""
    ) -> None:
        """Name these styles, point at the chosen place, ring a case, and write a note into the corner."""
        self._marks, self._chosen, self._ringed, self._note = marks, chosen, ringed, note
        self.draw()

    def draw(self) -> None:
        """Draw anew."""
        width, height = int(self._label.width), int(self._label.height)
        if width < 2 or height < 2:
            return
        ratio = self._label.devicePixelRatioF()
        self.plane.resize(width, height)
        picture = qt.QPixmap(int(width * ratio), int(height * ratio))
        picture.setDevicePixelRatio(ratio)
        picture.fill(qt.QColor(_PAPER))
        painter = qt.QPainter(picture)
        painter.setRenderHint(qt.QPainter.Antialiasing)
        self._draw_grid(painter, width, height)
        # Names first: a name may be covered a little, a case must not.
        self._draw_marks(painter, width)
        self._draw_cases(painter)
        self._draw_chosen(painter)
        self._draw_words(painter, width, height)
        painter.end()
        self._label.pixmap = picture

    def eventFilter(self, watched: qt.QObject, event: qt.QEvent) -> bool:
        """Qt's: what happens to the label."""
        kind = event.type()
        if kind == qt.QEvent.Resize:
            self.draw()
        elif kind == qt.QEvent.MouseMove:
            self._moved(float(event.pos().x()), float(event.pos().y()))
        elif kind == qt.QEvent.MouseButtonPress and event.button() == qt.Qt.LeftButton:
            self._pressed, self._dragged = (float(event.pos().x()), float(event.pos().y())), False
            self._pointer = self._pressed
        elif kind == qt.QEvent.MouseButtonRelease and event.button() == qt.Qt.LeftButton:
            self._released()
        elif kind == qt.QEvent.MouseButtonDblClick:
            self._pressed = None
            self.plane.show_all()
            self.draw()
        elif kind == qt.QEvent.Leave:
            self._hover("")
        elif kind == qt.QEvent.Wheel:
            self.plane.zoom(_ZOOM if _turned(event) > 0 else 1 / _ZOOM, *self._pointer)
            self.draw()
            return True  # else the panel would scroll
        return False

    def _moved(self, x: float, y: float) -> None:
        before, self._pointer = self._pointer, (x, y)
        if self._pressed is None:
            self._hover(self.plane.nearest(x, y, _REACH))
            return
        away = max(abs(x - self._pressed[0]), abs(y - self._pressed[1]))
        if self._dragged or away > _STILL:
            self._dragged = True
            self.plane.pan(x - before[0], y - before[1])
            self.draw()

    def _released(self) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None or self._dragged:
            return
        case = self.plane.nearest(*pressed, _REACH)
        if case:
            self._case_clicked(case)
        else:
            self._point_clicked(*self.plane.to_point(*pressed))

    def _hover(self, case: str) -> None:
        if case != self._hovered:
            self._hovered = case
            self.draw()

    def _draw_grid(self, painter: qt.QPainter, width: int, height: int) -> None:
        step = _round_step(self.plane.view.unit * _GRID_PIXELS)
        line = qt.QPen(qt.QColor(_GRID), 1)
        left, top = self.plane.to_point(0, 0)
        right, bottom = self.plane.to_point(width, height)
        for number in range(int(left // step) + 1, int(right // step) + 1):
            x = round(self.plane.to_pixel((number * step, 0.0))[0])
            painter.setPen(line)
            painter.drawLine(x, 0, x, height)
            _write(painter, x + 3, height - 5, f"{number * step:.3g}", "#8a949e")
        for number in range(int(bottom // step) + 1, int(top // step) + 1):
            y = round(self.plane.to_pixel((0.0, number * step))[1])
            painter.setPen(line)
            painter.drawLine(0, y, width, y)
            _write(painter, 3, y - 3, f"{number * step:.3g}", "#8a949e")

    def _draw_cases(self, painter: qt.QPainter) -> None:
        for case, place in self.plane.places.items():
            color = qt.QColor(self._colors.get(case, "#8a949e"))
            color.setAlpha(190)
            painter.setPen(qt.QPen(qt.QColor(_PAPER)))
            painter.setBrush(qt.QBrush(color))
            _circle(painter, self.plane.to_pixel(place), _RADIUS)
        painter.setBrush(qt.QBrush())
        for case in {self._ringed, self._hovered} & set(self.plane.places):
            painter.setPen(qt.QPen(qt.QColor(_INK), 1.5))
            _circle(painter, self.plane.to_pixel(self.plane.places[case]), _RADIUS + 3)

    def _draw_marks(self, painter: qt.QPainter, width: int) -> None:
        metrics = painter.fontMetrics()
        taken: list[tuple[float, float, float]] = []
        for mark in self._marks:
            x, y = self.plane.to_pixel(flat(mark.latent))
            wide = float(metrics.boundingRect(mark.name).width())
            left, line = min(max(x + 9, 3.0), width - wide - 6), y - 9
            # Names of styles that lie close together stand below each other.
            while any(
                abs(line - other) < _LINE and left < end and begin < left + wide
                for begin, end, other in taken
            ):
                line += _LINE
            taken.append((left, left + wide, line))
            _write(painter, int(left), int(line), mark.name, mark.color)

    def _draw_chosen(self, painter: qt.QPainter) -> None:
        if self._chosen is not None:
            x, y = self.plane.to_pixel(flat(self._chosen))
            painter.setPen(qt.QPen(qt.QColor(_CHOSEN), 2))
            for begin, end in ((-10, -4), (4, 10)):
                painter.drawLine(int(x) + begin, int(y), int(x) + end, int(y))
                painter.drawLine(int(x), int(y) + begin, int(x), int(y) + end)

    def _draw_words(self, painter: qt.QPainter, width: int, height: int) -> None:
        words = self._hovered or self._note
        if words:
            wide = painter.fontMetrics().boundingRect(words).width()
            painter.setPen(qt.QPen(qt.QColor(_GRID)))
            painter.setBrush(qt.QBrush(qt.QColor(255, 255, 255, 235)))
            painter.drawRect(width - wide - 15, 5, wide + 10, 19)
            _write(painter, width - wide - 10, 19, words, _INK)


def _turned(event: qt.QWheelEvent) -> int:
    """How far the wheel was turned; bindings differ in whether it is a property."""
    delta = event.angleDelta
    return int((delta() if callable(delta) else delta).y())


def _circle(painter: qt.QPainter, pixel: tuple[float, float], radius: float) -> None:
    painter.drawEllipse(qt.QRectF(pixel[0] - radius, pixel[1] - radius, 2 * radius, 2 * radius))


def _write(painter: qt.QPainter, x: int, y: int, text: str, color: str) -> None:
    painter.setPen(qt.QPen(qt.QColor(color)))
    painter.drawText(x, y, text)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below a number."""
    power = 10.0 ** len(str(int(least))) if least >= 1 else 1.0
    while power > least:
        power /= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
