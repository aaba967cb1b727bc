"""What the sections of the Export panel share: choices, cases with what is known of them, and the worker."""

from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from pgt.export.case_list_job import AskedCases
from pgt.export.case_state import CaseState
from pgt.export.export_settings import CaseFilter, ExportFormat, ExportSettings
from pgt.export.selection import reason_against
from PGTToolkitLib.export_runner import ExportRunner
from PGTToolkitLib.export_scene import SceneCase, scene_cases
from PGTToolkitLib.export_states import scene_states
from PGTToolkitLib.panels.export_parameters import ExportParameters

_DATASET_NAME = "PGT"


@dataclass(frozen=True)
class CaseLine:
    """A case of the table.

    Args:
        state: what is known of it.
        left_out: why the filter keeps it out, in a sentence; empty for one that is exported.
        kept_out_by: the criteria that keep it out, in a word or two each.
        scene: the segmentation of the scene that it is; None for one of a list.
    """

    state: CaseState
    left_out: str
    kept_out_by: tuple[str, ...] = ()
    scene: SceneCase | None = None


class ExportDesk:
    """Reads the scene on demand; of its segmentations what was found is kept until they change."""

    def __init__(self, runner: ExportRunner) -> None:
        self.runner = runner
        self.parameters: ExportParameters | None = None
        self._known: tuple[CaseState, ...] = ()
        self._known_of: tuple[object, ...] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a scene to work in."""
        return self.parameters is not None

    @property
    def source(self) -> AskedCases | None:
        """The case list that was chosen, with what else is known of its cases; None without one."""
        chosen = self.parameters
        if chosen is None or not chosen.caseList:
            return None
        return AskedCases(
            path=Path(chosen.caseList),
            agreement=_path(chosen.agreementReport),
            suspects=_path(chosen.suspectsFile),
            series=_path(chosen.seriesFolder),
        )

    @property
    def folder(self) -> Path | None:
        """Where the files go; None before it is chosen."""
        return _path(self.parameters.folder) if self.is_open else None

    def look_again(self) -> None:
        """Forget what was found in the scene's segmentations."""
        self._known_of = None

    def listed(self) -> tuple[CaseState, ...]:
        """The cases of the list; none before it was read."""
        found = self.runner.listed
        return found.states if found is not None and found.source == self.source else ()

    def lines(self) -> list[CaseLine]:
        """Every case, those of the list first.

        Raises:
            InputError: a segmentation of the scene, or what is kept of it, cannot be read.
        """
        if not self.is_open:
            return []
        kept = self.filter()
        cases = scene_cases(slicer.mrmlScene)
        states = [(state, None) for state in self.listed()]
        states += list(zip(self._states(cases), cases, strict=True))
        return [
            CaseLine(state, reason_against(state, kept), kept_out_by(state, kept), one)
            for state, one in states
        ]

    def filter(self) -> CaseFilter:
        """Which cases go."""
        chosen = self.parameters
        return CaseFilter(
            reviewed_only=chosen.reviewedOnly,
            agreement_above=chosen.leastAgreement if chosen.byAgreement else None,
            not_suspicious=chosen.notSuspicious,
        )

    def formats(self) -> tuple[ExportFormat, ...]:
        """The formats that are ticked."""
        chosen = self.parameters
        ticked = {
            ExportFormat.NIFTI: chosen.nifti,
            ExportFormat.SEG_NRRD: chosen.segmentation,
            ExportFormat.DICOM_SEG: chosen.dicom,
            ExportFormat.NNUNET: chosen.nnunet,
            ExportFormat.MONAI: chosen.monai,
        }
        return tuple(one for one, is_ticked in ticked.items() if is_ticked)

    def settings(self) -> ExportSettings:
        """How to export.

        Raises:
            InputError: no format is ticked, or the choices do not go together.
        """
        chosen, formats = self.parameters, self.formats()
        return ExportSettings(
            formats=formats,
            filter=self.filter(),
            missing_is_absent=chosen.missingIsAbsent,
            separate_segments=chosen.separateSegments,
            ignore_unannotated=chosen.ignoreUnannotated and any(one.is_label_map for one in formats),
            identifiers=chosen.identifiers,
            dataset_number=chosen.datasetNumber,
            dataset_name=chosen.datasetName.strip() or _DATASET_NAME,
            channel=chosen.channel.strip(),
            overwrite=chosen.replaceEarlier,
        )

    def _states(self, cases: tuple[SceneCase, ...]) -> tuple[CaseState, ...]:
        place = tuple(
            (one.case, one.node.GetID(), one.node.GetSegmentation().GetMTime(), one.image) for one in cases
        )
        if place != self._known_of:
            self._known_of = None
            self._known = scene_states(cases)
            self._known_of = place
        return self._known


def kept_out_by(state: CaseState, kept: CaseFilter) -> tuple[str, ...]:
    """Every criterion of a filter that a case does not meet, in a word or two."""
    found = []
    if kept.reviewed_only and reason_against(state, CaseFilter(reviewed_only=True)):
        found.append(_("not reviewed"))
    if reason_against(state, CaseFilter(agreement_above=kept.agreement_above)):
        found.append(_("not compared") if state.agreement is None else _("agreement"))
    if kept.not_suspicious and reason_against(state, CaseFilter(not_suspicious=True)):
        found.append(_("not looked at") if state.suspicion is None else _("suspicious"))
    return tuple(found)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
