"""What the sections of the Agreement panel share: choices, results, and the worker."""

import json
from collections.abc import Callable
from pathlib import Path

import slicer
from slicer.i18n import tr as _

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

    def source(self, case: str = "", with_voxels: bool = True) -> ReadingSource:
        """What is to be compared."""
        if self.listed:
            return ReadingSource(table=Path(self.parameters.caseList), case=case, renamed=self.renamed)
        return scene_source(slicer.mrmlScene, self.parameters.volume, self.renamed, with_voxels)

    def results(self) -> StoredAgreement | None:
        """The newest comparison of the scene."""
        return stored_agreement(slicer.mrmlScene) if self.is_open else None
