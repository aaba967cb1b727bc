"""One line for what happened and for what went wrong; nothing pops up."""

import contextlib
import logging
from collections.abc import Iterator

import qt
import slicer
from slicer.i18n import tr as _

from pgt.errors import PGTError

_PROBLEM_COLOR = "#b3541e"


class StatusLine:
    """Writes to a label."""

    def __init__(self, label: qt.QLabel) -> None:
        self._label = label
        self.say("")

    def say(self, text: str) -> None:
        """Tell what happened."""
        self._show(text, "")

    def warn(self, text: str) -> None:
        """Tell what went wrong."""
        self._show(text, f"color: {_PROBLEM_COLOR}; font-weight: bold;")

    @contextlib.contextmanager
    def problems(self) -> Iterator[None]:
        """Within this context an error becomes a line; one that the user cannot mend is logged as well."""
        try:
            yield
        except (PGTError, OSError) as error:
            self.warn(str(error))
        except Exception as error:
            logging.exception("PGT Toolkit")
            self.warn(_("Something went wrong in PGT Toolkit: {error}").format(error=error))

    def _show(self, text: str, style: str) -> None:
        self._label.text = text
        self._label.styleSheet = style
        self._label.visible = bool(text)
        # The end of a long panel may be scrolled out of sight; the window's own line never is.
        slicer.util.showStatusMessage(text)
