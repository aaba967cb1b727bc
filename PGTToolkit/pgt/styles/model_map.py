"""The map of a model folder: with signatures, suggestions and pictures as far as files are there.

The cases' images and labels may lie elsewhere by now, or be gone. The map then rests on the latent vectors
alone, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgt.case_table import CaseRow, read_case_table
from pgt.errors import InputError
from pgt.page_style import Picture
from pgt.propagation.fillers import choose_device
from pgt.styles.case_looks import look_at, look_picture
from pgt.styles.cases import prepare_case
from pgt.styles.clustering import Points
from pgt.styles.inference import DeviceName, IsCancelled
from pgt.styles.latent_map import LatentMap, latent_map
from pgt.styles.model_folder import CASES
from pgt.styles.signatures import reference_cases, signatures
from pgt.styles.style_model import StyleModel
from pgt.styles.suspicion import Doubt

PICTURES = 200
"""As many pictures as a page carries with ease."""

_NAMED = 3

Report = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""


@dataclass(frozen=True, eq=False)
class ModelMap:
    """A map and what is known of its cases.

    Args:
        found: clusters and suspicious cases.
        rows: of the table of cases, by case; empty where there is none.
        signatures: of the cases, [case, dimension]; None where no image was at hand.
        pictures: label and prediction, by case.
        messages: what the user should know.
    """

    found: LatentMap
    rows: Mapping[str, CaseRow]
    signatures: Points | None
    pictures: Mapping[str, Picture]
    messages: tuple[str, ...]


def model_map(
    folder: Path,
    table: Path | None = None,
    look: bool = True,
    pictures: bool = False,
    device: DeviceName = "auto",
    report: Report = lambda done, total, message: None,
    cancelled: IsCancelled = lambda: False,
) -> ModelMap:
    """Map the training cases of a model.

    Args:
        folder: of the model.
        table: of the cases, where it is not the one in the folder.
        look: compare every label with what the main style predicts, for suggestions.
        pictures: make pictures of the cases that were looked at: of all, or with many cases of the most
            suspicious ones and the exemplars.
        device: where to compute.
        report: told of every step.
        cancelled: asked between steps.

    Raises:
        CheckpointError: the folder holds no model.
        InputError: the model has no training cases, or ``table`` cannot be read or names none of them.
        Cancelled: ``cancelled`` said so.
    """
    model = StyleModel.load(folder)
    if not model.latents:
        raise InputError(f"{folder} holds a model without training cases; it has no map.")
    rows, messages = _rows(model, folder, table)
    at_hand, missing = _at_hand(model, rows)
    if rows and missing:
        messages.append(
            f"Image or label of {_listed(missing)} are not where the table says; nothing is suggested of "
            f"{'it' if len(missing) == 1 else 'them'}."
        )
    seen = _signatures(model, rows, at_hand, device, report, cancelled, messages)
    found = latent_map(model.latents, model.styles, signatures=seen)
    if not look or not at_hand:
        return ModelMap(found, rows, seen, {}, tuple(messages))
    shown = _shown(found, at_hand) if pictures else ()
    doubts, made = _look(model, rows, at_hand, shown, device, report, cancelled, messages)
    found = latent_map(model.latents, model.styles, doubts, seen)
    return ModelMap(found, rows, seen, made, tuple(messages))


def _rows(model: StyleModel, folder: Path, table: Path | None) -> tuple[dict[str, CaseRow], list[str]]:
    if table is None and not (folder / CASES).exists():
        return {}, [
            f"{folder / CASES} is gone: groups rest on the latent vectors alone, and nothing is suggested."
        ]
    path = table or folder / CASES
    rows = {row.case: row for row in read_case_table(path) if row.case in model.latents}
    if not rows:
        raise InputError(f"{path} names none of the cases that {folder} was trained on.")
    return rows, []


def _at_hand(model: StyleModel, rows: Mapping[str, CaseRow]) -> tuple[list[str], list[str]]:
    """The cases with image and label, and those without."""
    having: list[str] = []
    missing: list[str] = []
    for case in model.latents:
        row = rows.get(case)
        there = row is not None and row.image.exists() and row.label is not None and row.label.exists()
        (having if there else missing).append(case)
    return having, missing


def _signatures(
    model: StyleModel,
    rows: Mapping[str, CaseRow],
    at_hand: Sequence[str],
    device: DeviceName,
    report: Report,
    cancelled: IsCancelled,
    messages: list[str],
) -> Points | None:
    references = []
    for case in reference_cases(model.latents, at_hand):
        try:
            references.append(prepare_case(rows[case], model.preparation))
        except InputError as error:
            messages.append(str(error))
    if not references:
        return None
    return signatures(
        model,
        model.latents,
        references,
        choose_device(device),
        lambda done, total: report(done, total, "Comparing styles"),
        cancelled,
    )


def _shown(found: LatentMap, at_hand: Sequence[str]) -> frozenset[str]:
    """The cases of which pictures are made."""
    exemplars = [case for cluster in found.clusters for case in cluster.exemplars]
    wanted = dict.fromkeys([*exemplars, *(suspect.case for suspect in found.suspects)])
    there = set(at_hand)
    return frozenset([case for case in wanted if case in there][:PICTURES])


def _look(
    model: StyleModel,
    rows: Mapping[str, CaseRow],
    at_hand: Sequence[str],
    shown: frozenset[str] | tuple[()],
    device: DeviceName,
    report: Report,
    cancelled: IsCancelled,
    messages: list[str],
) -> tuple[dict[str, Doubt], dict[str, Picture]]:
    doubts, pictures = {}, {}
    for number, case in enumerate(at_hand):
        try:
            look = look_at(model, rows[case], device, cancelled)
        except InputError as error:
            messages.append(str(error))
            continue
        doubts[case] = look.doubt
        if case in shown:
            pictures[case] = look_picture(look)
        report(number + 1, len(at_hand), "Looking at labels")
    return doubts, pictures


def _listed(cases: Sequence[str]) -> str:
    named = ", ".join(cases[:_NAMED])
    return named if len(cases) <= _NAMED else f"{named} and {len(cases) - _NAMED} more"
