"""The plane on which the latent map is drawn: zoom, pan, and what lies under the pointer. No Qt in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]

_MARGIN = 0.12
_LEAST_SPAN = 1e-3
_MOST_ZOOM = 1e4


@dataclass(frozen=True)
class View:
    """What part of the map is shown: its centre, and latent units a pixel."""

    centre: Point
    unit: float


class MapPlane:
    """Places latent vectors on a picture; of those with more than two dimensions the first two are shown."""

    def __init__(self) -> None:
        self._places: dict[str, Point] = {}
        self._size = (1, 1)
        self._own: View | None = None

    @property
    def places(self) -> Mapping[str, Point]:
        """Where each case lies, by name."""
        return self._places

    @property
    def zoomed(self) -> bool:
        """Whether the user chose what to see."""
        return self._own is not None

    def set_cases(self, latents: Mapping[str, tuple[float, ...]]) -> None:
        """Show these cases."""
        self._places = {case: flat(latent) for case, latent in latents.items()}

    def resize(self, width: int, height: int) -> None:
        """The picture has this many pixels."""
        self._size = (max(width, 1), max(height, 1))

    @property
    def view(self) -> View:
        """What is shown: all cases and the origin, unless the user zoomed."""
        return self._own or self._all()

    def _all(self) -> View:
        points = np.array([(0.0, 0.0), *self._places.values()])
        low, high = points.min(axis=0), points.max(axis=0)
        spans = np.maximum((high - low) * (1 + 2 * _MARGIN), _LEAST_SPAN)
        unit = float(max(spans[0] / self._size[0], spans[1] / self._size[1]))
        centre = (low + high) / 2
        return View((float(centre[0]), float(centre[1])), unit)

    def to_pixel(self, point: Point) -> Point:
        """Where a point of the map is on the picture."""
        view = self.view
        return (
            self._size[0] / 2 + (point[0] - view.centre[0]) / view.unit,
            self._size[1] / 2 - (point[1] - view.centre[1]) / view.unit,
        )

    def to_point(self, x: float, y: float) -> Point:
        """The point of the map at a pixel."""
        view = self.view
        return (
            view.centre[0] + (x - self._size[0] / 2) * view.unit,
            view.centre[1] - (y - self._size[1] / 2) * view.unit,
        )

    def zoom(self, factor: float, x: float, y: float) -> None:
        """Enlarge by a factor around a pixel, which keeps its place."""
        before, view = self.to_point(x, y), self.view
        widest = self._all().unit
        unit = min(max(view.unit / factor, widest / _MOST_ZOOM), 4 * widest)
        self._own = View(view.centre, unit)
        after = self.to_point(x, y)
        self._own = View((view.centre[0] + before[0] - after[0], view.centre[1] + before[1] - after[1]), unit)

    def pan(self, x: float, y: float) -> None:
        """Move the map by pixels."""
        view = self.view
        self._own = View((view.centre[0] - x * view.unit, view.centre[1] + y * view.unit), view.unit)

    def show_all(self) -> None:
        """Show all cases again."""
        self._own = None

    def nearest(self, x: float, y: float, within: float) -> str:
        """The case nearest to a pixel, if it lies within so many pixels; else empty."""
        if not self._places:
            return ""
        names = list(self._places)
        pixels = np.array([self.to_pixel(place) for place in self._places.values()])
        away = np.hypot(pixels[:, 0] - x, pixels[:, 1] - y)
        best = int(np.argmin(away))
        return names[best] if away[best] <= within else ""


def flat(latent: tuple[float, ...]) -> Point:
    """The first two numbers of a latent vector; 0 where it has fewer."""
    x, y = (*latent, 0.0, 0.0)[:2]
    return (float(x), float(y))
