"""From the arguments of a command to whose file is whose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.agreement.reading_table import ReadingTable

REFERENCE = "reference"
"""What the rater of ``--reference`` is called."""


def rater_names(segmentations: Sequence[Path], names: str | None) -> tuple[str, ...]:
    """The names of the raters, as given or from the files' names.

    Args:
        segmentations: one file for each rater.
        names: ``"ann,ben"``; None for file names without their endings.

    Raises:
        InputError: there are more or fewer names than files, or two are the same.
    """
    if names is None:
        found = [path.name.split(".")[0] or path.name for path in segmentations]
        advice = " by their files' names; tell them apart with --names"
    else:
        found = [name.strip() for name in names.split(",")]
        advice = ""
        if len(found) != len(segmentations) or not all(found):
            raise InputError(
                f"--names gives {len([name for name in found if name])} names for {len(segmentations)} "
                "segmentations; give one for each."
            )
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise InputError(f"Two raters are called {twice[0]}{advice}.")
    return tuple(found)


def readings_of_one_case(
    case: str,
    segmentations: Sequence[Path],
    names: str | None,
    repeats: Sequence[str] = (),
    reference: Path | None = None,
    candidates: Sequence[str] = (),
    image: Path | None = None,
) -> ReadingTable:
    """The readings of one case.

    Args:
        case: what to call it.
        segmentations: one file for each rater, first sessions.
        names: see :func:`rater_names`.
        repeats: ``"ann=FILE"`` for each later session, in their order.
        reference: the reference annotation.
        candidates: ``"model=FILE"`` for each model.
        image: shown under the contours.

    Raises:
        InputError: something is not written so, a repeat is of nobody, or two raters have one name.
    """
    from pgt.agreement.reading_table import ReadingFile, ReadingTable
    from pgt.agreement.readings import Sitting

    raters = rater_names(segmentations, names)
    files = [ReadingFile(case, Sitting(name), path) for name, path in zip(raters, segmentations, strict=True)]
    sessions = dict.fromkeys(raters, 1)
    for text in repeats:
        name, path = _named_file(text, "--repeat")
        if name not in sessions:
            raise InputError(
                f"--repeat {text}: {name} has no first session; the raters are {', '.join(raters)}."
            )
        sessions[name] += 1
        files.append(ReadingFile(case, Sitting(name, str(sessions[name])), path))
    models = []
    for text in candidates:
        name, path = _named_file(text, "--candidate")
        models.append(name)
        files.append(ReadingFile(case, Sitting(name), path))
    if reference is not None:
        files.append(ReadingFile(case, Sitting(REFERENCE), reference))
    everyone = [*raters, *models, *([REFERENCE] if reference else [])]
    twice = [name for name, count in Counter(everyone).items() if count > 1]
    if twice:
        raise InputError(f"Two of the segmentations are called {twice[0]}; give each a name of its own.")
    return ReadingTable(
        tuple(files), REFERENCE if reference else None, tuple(models), {case: image} if image else None
    )


def _named_file(text: str, option: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not name.strip() or not path.strip():
        raise InputError(f"{option} takes NAME=FILE, such as {option} ann=ann_again.nrrd, not {text!r}.")
    return name.strip(), Path(path.strip())
