"""Single keys that live only while the module is shown."""

from collections.abc import Callable, Mapping

import qt


class ModuleKeys:
    """Keyboard shortcuts of one module, dead until :meth:`revive`."""

    def __init__(self, parent: qt.QWidget, actions: Mapping[str, Callable[[], None]]) -> None:
        """Make the shortcuts.

        Args:
            parent: the window in which they work, so that a slice view may have the focus.
            actions: what each key does.
        """
        self._shortcuts = []
        for key, action in actions.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), parent)
            shortcut.enabled = False
            shortcut.activated.connect(action)
            self._shortcuts.append(shortcut)

    def revive(self) -> None:
        """The module is shown."""
        self._enable(True)

    def silence(self) -> None:
        """The module is left: other modules own the keys again."""
        self._enable(False)

    def _enable(self, enabled: bool) -> None:
        for shortcut in self._shortcuts:
            shortcut.enabled = enabled
