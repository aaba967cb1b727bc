"""What the sections of the Export panel share: choices, cases with what is known of them, and the worker."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from pgt.agreement.label_matching import folded
from pgt.errors import InputError
from pgt.export.case_list_job import AskedCases
from pgt.export.case_state import CaseState
from pgt.export.export_settings import CaseFilter, ExportFormat, ExportSettings
from pgt.export.selection import reason_against
from pgt.plain_data import from_plain, to_plain
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


@dataclass(frozen=True)
class ChosenStructures:
    """What the user says of structures; capitals and underscores of their names make no difference.

    Args:
        left_out: names of those that are not exported.
        renamed: new name by old name.
    """

    left_out: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def leaves_out(self, name: str) -> bool:
        """Whether a structure is not exported."""
        return folded(name) in map(folded, self.left_out)

    def new_name(self, name: str) -> str:
        """What it is called in the export."""
        return {folded(old): new for old, new in self.renamed.items()}.get(folded(name), name)


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

    @property
    def structures(self) -> ChosenStructures:
        """What the user said of structures. Raises InputError where that cannot be read."""
        text = self.parameters.structures if self.is_open else ""
        return from_plain(ChosenStructures, _object(text)) if text else ChosenStructures()

    def choose_structure(self, name: str, chosen: bool) -> None:
        """Export a structure or leave it out."""
        before = self.structures
        others = tuple(one for one in before.left_out if folded(one) != folded(name))
        self._keep(replace(before, left_out=others if chosen else (*others, name)))

    def rename_structure(self, name: str, new: str) -> None:
        """Call a structure otherwise in the export; an empty name takes that back."""
        before = self.structures
        others = {old: other for old, other in before.renamed.items() if folded(old) != folded(name)}
        self._keep(replace(before, renamed={**others, name: new} if new and new != name else others))

    def settings(self, lines: Sequence[CaseLine] = ()) -> ExportSettings:
        """How to export.

        Args:
            lines: the cases; what the user said of structures that none of them has does not count.

        Raises:
            InputError: no format or structure is ticked, or the choices do not go together.
        """
        chosen, formats = self.parameters, self.formats()
        labels, renamed = self._labels(lines)
        return ExportSettings(
            formats=formats,
            filter=self.filter(),
            labels=labels,
            renamed=renamed,
            missing_is_absent=chosen.missingIsAbsent,
            separate_segments=chosen.separateSegments,
            ignore_unannotated=chosen.ignoreUnannotated and any(one.is_label_map for one in formats),
            identifiers=chosen.identifiers,
            dataset_number=chosen.datasetNumber,
            dataset_name=chosen.datasetName.strip() or _DATASET_NAME,
            channel=chosen.channel.strip(),
            overwrite=chosen.replaceEarlier,
        )

    def _labels(self, lines: Sequence[CaseLine]) -> tuple[tuple[str, ...], dict[str, str]]:
        """New names of the structures to export, none for all of them, and new by old name."""
        said = self.structures
        going = [line for line in lines if not line.left_out]
        names = {folded(one.name): one.name for line in going for one in line.state.segments}
        renamed = {name: said.new_name(name) for name in names.values() if said.new_name(name) != name}
        wanted = [said.new_name(name) for name in names.values() if not said.leaves_out(name)]
        if names and not wanted:
            raise InputError(_("Tick a structure to export."))
        if len(wanted) == len(names):
            return (), renamed
        return tuple({folded(name): name for name in wanted}.values()), renamed

    def _keep(self, structures: ChosenStructures) -> None:
        plain = to_plain(structures) if structures != ChosenStructures() else None
        self.parameters.structures = json.dumps(plain, ensure_ascii=False) if plain else ""

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


def _object(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(_("What was said of structures cannot be read.")) from error


def _path(text: str) -> Path | None:
    return Path(text) if text else None
