"""Which cases of the list are exported, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgt.annotation import SliceState
from pgt.export.case_state import CaseState
from pgt.export.export_settings import CaseFilter


@dataclass(frozen=True)
class LeftOut:
    """A case that the filter kept out, and why, in a sentence."""

    case: str
    reason: str


def selected(
    cases: Sequence[CaseState], wanted: CaseFilter
) -> tuple[tuple[CaseState, ...], tuple[LeftOut, ...]]:
    """The cases that pass, in their order, and the others with the first reason that keeps each out."""
    reasons = [(case, reason_against(case, wanted)) for case in cases]
    passing = tuple(case for case, reason in reasons if not reason)
    return passing, tuple(LeftOut(case.case, reason) for case, reason in reasons if reason)


def reason_against(case: CaseState, wanted: CaseFilter) -> str:
    """Why a case does not pass, in a sentence; empty where it does."""
    if wanted.reviewed_only and not case.is_reviewed:
        return _not_reviewed(case)
    if wanted.agreement_above is not None:
        if case.agreement is None:
            return "Nobody compared raters on it."
        if case.agreement.value < wanted.agreement_above:
            return f"Raters agree to {case.agreement.value:.3f}, below {wanted.agreement_above:g}."
    if wanted.not_suspicious:
        if case.suspicion is None:
            return "No style model looked at its label."
        if case.suspicion.suspicious:
            return f"It is suspicious: {case.suspicion.suggestion or 'the case list says so'}."
    return ""


def _not_reviewed(case: CaseState) -> str:
    if case.is_reviewed is None:
        return "Nothing says who drew or reviewed its slices."
    waiting = case.slices(SliceState.PROPAGATED)
    if waiting:
        return f"{waiting} propagated slice{'s' * (waiting != 1)} wait{'s' * (waiting == 1)} for review."
    if case.said_reviewed is False and not case.records:
        return "The case list says that it is not reviewed."
    return "Slices show a segment that nobody drew or reviewed."
