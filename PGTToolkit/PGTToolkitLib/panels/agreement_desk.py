"""What the sections of the Agreement panel share: choices, results, and the worker."""

import json
from collections.abc import Callable
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from pgt.agreement.metric_choice import Answers
from pgt.agreement.reading_source import ReadingSource
from pgt.errors import InputError
from PGTToolkitLib.agreement_runner import AgreementRunner, scene_source
from PGTToolkitLib.agreement_store import StoredAgreement, stored_agreement
from PGTToolkitLib.case_in_view import CaseInView
from PGTToolkitLib.panels.agreement_parameters import AgreementParameters


class AgreementDesk:
    """Reads the scene on demand; keeps nothing that the scene does not hold, but the case in view."""

    def __init__(self, runner: AgreementRunner) -> None:
        self.runner = runner
        self.parameters: AgreementParameters | None = None
        self.view = CaseInView()
        self.wanted: Callable[[], None] | None = None
        """What to do when the case list's case that is being opened has come."""

    @property
    def is_open(self) -> bool:
        """Whether there is a scene to work in."""
        return self.parameters is not None

    @property
    def listed(self) -> bool:
        """Whether a case list is to be compared."""
        return self.parameters is not None and bool(self.parameters.caseList)

    @property
    def renamed(self) -> dict[str, str]:
        """The user's corrections to the labels."""
        if self.parameters is None or not self.parameters.renamed:
            return {}
        try:
            return dict(json.loads(self.parameters.renamed))
        except ValueError as error:
            raise InputError(_("The corrections to the labels cannot be read.")) from error

    def rename(self, name: str, label: str) -> None:
        """Correct what structures of a name are compared as."""
        self.parameters.renamed = json.dumps({**self.renamed, name: label}, ensure_ascii=False)

    @property
    def said(self) -> dict[str, dict[str, bool]]:
        """What the user answered, by label and question; under the empty name, of all structures."""
        if self.parameters is None or not self.parameters.answers:
            return {}
        try:
            return {str(label): dict(own) for label, own in json.loads(self.parameters.answers).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(_("The answers about structures cannot be read.")) from error

    def say(self, label: str, question: str, answer: bool | None) -> None:
        """Answer a question about a structure, of an empty name about all; None takes the answer back."""
        said = self.said
        own = {key: value for key, value in said.get(label, {}).items() if key != question}
        if answer is not None:
            own[question] = answer
        said = {**said, label: own}
        kept = {name: answers for name, answers in said.items() if answers}
        self.parameters.answers = json.dumps(kept, ensure_ascii=False) if kept else ""

    def answers(self) -> dict[str, Answers]:
        """The same for the core: a structure's own answers go before those about all."""
        said = self.said
        everywhere = said.get("", {})
        try:
            return {label: Answers(**{**everywhere, **own}) for label, own in said.items()}
        except TypeError as error:
            raise InputError(_("The answers about structures are of another version.")) from error

    def source(self, case: str = "", with_voxels: bool = True) -> ReadingSource:
        """What is to be compared."""
        if self.listed:
            return ReadingSource(table=Path(self.parameters.caseList), case=case, renamed=self.renamed)
        return scene_source(slicer.mrmlScene, self.parameters.volume, self.renamed, with_voxels)

    def results(self) -> StoredAgreement | None:
        """The newest comparison of the scene."""
        return stored_agreement(slicer.mrmlScene) if self.is_open else None
