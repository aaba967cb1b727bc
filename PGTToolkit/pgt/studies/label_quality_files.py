"""A study of label quality as files: ``report.json`` for programs, ``report.html`` to read.

``report.json``::

    schema, version   "pgt-label-quality", 1
    configuration     as it was read, paths resolved
    structures        that all label versions can hold; left_out: the others of the base (equation 3)
    cases             {all, training, kept_out}
    unlearnt_seeds    {in_domain, fine_tuned}: seeds left out, because the base labels did not lead to every
                      structure
    empty_policy      what two label maps without a structure score
    versions          [{name, made, labels, in_domain, fine_tuned}]; labels: {dice, nsd} against the base,
                      each {mean, deviation, structures: [{structure, mean, deviation}]} (equations 2 to 4);
                      in_domain and fine_tuned: the same of the networks' results on kept-out cases, with
                      seeds: the mean of every seed; null where there are none
    no_pretraining    the same as fine_tuned of a version, or null
    answers           [{use, metric, worth, relation, pay_off, gains, to_base, spread, over_none}]
                      (pgt.studies.label_quality_answer); estimates are {value, lower, upper, cases,
                      level, note}
    raters            {lower, upper}: Dice between raters and within, or null
    lead, comparison  the answer in words
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgt.errors import InputError
from pgt.plain_data import to_plain
from pgt.studies.label_quality import EMPTY_POLICY, METRICS
from pgt.studies.label_quality_answer import Answer
from pgt.studies.label_quality_configuration import LabelQualityConfiguration
from pgt.studies.label_quality_results import LabelQualityResults, TaskResults
from pgt.studies.label_quality_words import comparison, lead
from pgt.studies.label_versions import NONE

SCHEMA = "pgt-label-quality"
VERSION = 1
REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
FILES = (REPORT_JSON, REPORT_HTML)


@dataclass(frozen=True)
class RaterAgreement:
    """What raters reach on these structures, by Dice, mean over the structures.

    Args:
        lower: among each other.
        upper: with themselves; None where nobody drew twice.
    """

    lower: float
    upper: float | None


def read_agreement(path: Path) -> RaterAgreement:
    """What ``pgt agree`` found.

    Args:
        path: its report.json.

    Raises:
        InputError: the file is no such report, or says nothing of raters among each other by Dice.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != "pgt-agreement":
            raise KeyError("schema")
        lower = _mean(content["summary"], "inter-rater")
        upper = _mean(content["summary"], "intra-rater")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no report.json of pgt agree.") from error
    if lower is None:
        raise InputError(f"{path} has no Dice between raters, which the study asks of it.")
    return RaterAgreement(lower, upper)


def report_json(
    configuration: LabelQualityConfiguration,
    results: LabelQualityResults,
    answers: tuple[Answer, ...],
    raters: RaterAgreement | None,
) -> str:
    """The study as JSON text, see the top of this module."""
    kept = results.in_domain.scores.shape[2]
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "configuration": to_plain(configuration),
        "structures": list(results.structures),
        "left_out": list(results.left_out),
        "cases": {"all": results.training_cases + kept, "training": results.training_cases, "kept_out": kept},
        "unlearnt_seeds": {
            "in_domain": list(results.in_domain.unlearnt),
            "fine_tuned": list(results.fine_tuned.unlearnt) if results.fine_tuned else [],
        },
        "empty_policy": EMPTY_POLICY,
        "versions": [_version(results, name) for name in results.versions],
        "no_pretraining": _fared(results.fine_tuned, NONE) if results.fine_tuned else None,
        "answers": [to_plain(answer) for answer in answers],
        "raters": to_plain(raters) if raters else None,
        "lead": list(lead(answers)),
        "comparison": comparison(answers),
    }
    return json.dumps(_rounded(content), indent=1) + "\n"


def _version(results: LabelQualityResults, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "made": results.described[name],
        "labels": {metric: to_plain(results.label_quality(name, metric)) for metric in METRICS},
        "in_domain": _fared(results.in_domain, name),
        "fine_tuned": _fared(results.fine_tuned, name) if results.fine_tuned else None,
    }


def _fared(task: TaskResults, name: str) -> dict[str, Any]:
    return {
        metric: {
            **to_plain(task.quality(name, metric)),
            "seeds": [float(mean) for mean in task.seed_means(name, metric)],
        }
        for metric in METRICS
    }


def _mean(summary: list[dict[str, Any]], kind: str) -> float | None:
    """Mean over the structures of a number by Dice; None where there is none."""
    found = [
        float(entry["value"])
        for entry in summary
        if entry["metric"] == "dice" and entry["kind"] == kind and entry["value"] is not None
    ]
    return sum(found) / len(found) if found else None


def _rounded(value: Any) -> Any:
    """Six decimals are more than any case list can tell."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
