"""One worker's progress as a bar and a line, with the time that is left."""

import logging
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.worker import Event, Failed, Finished, Progressed, Stopped

_POLL_MILLISECONDS = 50
_MINUTE, _HOUR = 60, 3600
_TOO_EARLY_SECONDS = 2.0


class JobProgress:
    """Listens to a worker from a timer on the main thread, as long as it works."""

    def __init__(
        self,
        bar: qt.QProgressBar,
        label: qt.QLabel,
        cancel_button: qt.QPushButton,
        status: StatusLine,
        poll: Callable[[], list[Event]],
        busy: Callable[[], bool],
    ) -> None:
        """Say what to show, and whom to ask.

        Args:
            bar: how far the work is.
            label: the same in words.
            cancel_button: enabled while there is work.
            status: where the end is told.
            poll: what has happened.
            busy: whether work is under way.
        """
        self._bar, self._label, self._button, self._status = bar, label, cancel_button, status
        self._poll, self._busy = poll, busy
        self.finished: Callable[[object], str] = lambda result: ""
        """Asked for what to tell of a result."""
        self.progressed: Callable[[], None] = lambda: None
        """Called when the work went on."""
        self.ended: Callable[[], None] = lambda: None
        """Called when the work is over, however."""
        self.worded: Callable[[str], str] = lambda message: message
        """Asked for what to tell of a failure, where the core names an option that is a widget here."""
        self.cancelled = _("Cancelled. Nothing was changed.")
        """What to tell when the work was cancelled."""
        self._timer = qt.QTimer()
        self._timer.interval = _POLL_MILLISECONDS
        self._timer.timeout.connect(self._listen)
        self.show("")
        self._show_busy(False)

    def follow(self) -> None:
        """Work has begun."""
        self._status.say("")
        self.show(_("Starting…"))
        self._bar.maximum = 0
        self._show_busy(True)
        self._timer.start()

    def refresh(self) -> None:
        """Show the bar while there is work, also after the section was folded and unfolded."""
        self._show_busy(self._busy())

    def stop_listening(self) -> None:
        """The panel closes."""
        self._timer.stop()

    def show(self, text: str) -> None:
        """Say how far the work is."""
        self._label.text = text
        self._label.visible = bool(text)

    def _show_busy(self, busy: bool) -> None:
        self._button.visible = self._button.enabled = busy
        self._bar.visible = busy

    def _listen(self) -> None:
        with self._status.problems():
            events = self._poll()
            for event in events:
                self._tell(event)
            if any(isinstance(event, Progressed) for event in events):
                self.progressed()
        if not self._busy():
            self._timer.stop()
            self._show_busy(False)
            with self._status.problems():
                self.ended()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Progressed):
            self._bar.maximum = event.total
            self._bar.value = event.done
            self.show(told(event))
            return
        self.show("")
        if isinstance(event, Finished):
            self._status.say(self.finished(event.result))
        elif isinstance(event, Stopped):
            self._status.say(self.cancelled)
        elif isinstance(event, Failed):
            self._status.warn(self.worded(event.message))
            logging.error("PGT Toolkit worker: %s\n%s", event.message, event.details)


def told(event: Progressed) -> str:
    """Progress in words."""
    if not event.total:
        return _("{message}…").format(message=event.message)
    text = _("{message}: {done} of {total}").format(message=event.message, done=event.done, total=event.total)
    if not event.done or event.done >= event.total or event.seconds < _TOO_EARLY_SECONDS:
        return text
    left = event.seconds / event.done * (event.total - event.done)
    return _("{progress}, {left} left").format(progress=text, left=duration(left))


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < _MINUTE:
        return _("{count} s").format(count=max(1, round(seconds)))
    if seconds < _HOUR:
        return _("{count} min").format(count=round(seconds / _MINUTE))
    return _("{hours} h {minutes} min").format(
        hours=int(seconds // _HOUR), minutes=int(seconds % _HOUR // _MINUTE)
    )
