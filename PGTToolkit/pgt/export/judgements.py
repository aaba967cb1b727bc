"""What agreement reports and style models say of cases."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgt.errors import InputError
from pgt.export.case_state import CaseAgreement, CaseSuspicion

_METRIC = "dice"
_BETWEEN_RATERS = ("inter-rater", "against the reference")
_USUAL = "nothing unusual"
_UNKNOWN = "unknown"
_REPORT = "report.json"


def read_agreement(path: Path) -> Mapping[str, CaseAgreement]:
    """The agreement of each case: the mean Dice over labels and pairs of different raters.

    Args:
        path: the folder that ``pgt agree`` wrote, or the ``report.json`` in it.

    Raises:
        InputError: there is no report, it is damaged, or it holds no Dice.
    """
    file = path / _REPORT if path.is_dir() else path
    content = _json(file, "a report of pgt agree")
    if not isinstance(content, dict) or content.get("schema") != "pgt-agreement":
        raise InputError(f"{file} is no report of pgt agree.")
    values: dict[str, list[float]] = defaultdict(list)
    try:
        for pair in content["pairs"]:
            if pair["kind"] in _BETWEEN_RATERS:
                values[str(pair["case"])].append(_share(pair[_METRIC]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} does not hold the {_METRIC} of every pair of raters.") from error
    return {case: CaseAgreement(sum(all_) / len(all_), _METRIC, len(all_)) for case, all_ in values.items()}


def read_suspects(path: Path) -> Mapping[str, CaseSuspicion]:
    """What a style model finds of each case that it looked at; one that it calls unknown is left out.

    Args:
        path: what ``pgt styles suspects --json`` wrote.

    Raises:
        InputError: there is no such list, or it is damaged.
    """
    content = _json(path, "a list of pgt styles suspects")
    try:
        return {
            str(one["case"]): CaseSuspicion(
                one["suggestion"] != _USUAL, str(one["suggestion"]), float(one["score"])
            )
            for one in content
            if one["suggestion"] != _UNKNOWN
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no list of pgt styles suspects --json.") from error


def _share(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise ValueError(value)
    return number


def _json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be read as {what}: {reason}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not {what}: it is no JSON.") from error
