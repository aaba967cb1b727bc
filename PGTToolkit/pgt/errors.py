"""What can go wrong in words a user can act on.

Every error that a user may meet is a :class:`PGTError` whose text is one clear sentence, naming the file
and the cause. Command line, worker and panel show that sentence and nothing else; any other exception is a
fault of the program and keeps its traceback.
"""

from __future__ import annotations


class PGTError(Exception):
    """One clear sentence for the user. ``str(error)`` is what is shown."""


class InputError(PGTError):
    """The files, arrays or options that were given cannot be used."""


class OutputError(InputError):
    """The result cannot be written: it exists already, the folder is missing, or the disk is full."""


class CheckpointError(PGTError):
    """A model file is missing, damaged, unsafe or of another architecture."""


class DeviceError(PGTError):
    """The computing device that was asked for is absent or ran out of memory."""


class Cancelled(PGTError):  # noqa: N818 - the user's wish, not an error
    """The user stopped the work; nothing was changed."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)
