"""Which metrics to look at for a structure, and why.

After Metrics Reloaded (Maier-Hein, Reinke et al., "Metrics reloaded: recommendations for image analysis
validation", Nature Methods 21, 2024), for segmentation. Its Table 1 says what each property of a problem asks
for: first the problem category (subprocess S1); an overlap-based metric, clDice where the centreline is the
point (FP2.3, S6); a boundary-based one where boundaries matter (FP2.1), and a volume-based one where volume
does (FP2.2); and weighing what is missed against what is drawn too much where errors differ (FP2.5). The
wording, the order and the choice within each of these groups are ours, after the paper. It asks questions and
names no limits; where a question is answered from the masks, the limits are ours too and stand below.

Among raters the outline is uncertain by nature. Therefore NSD, which forgives what raters differ by, is the
boundary-based metric here unless somebody says that the outline is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import median

from pgt.agreement.metrics import metric
from pgt.agreement.readings import Reading
from pgt.agreement.results import Occupancy, PairKind, PairScores, Recommendation
from pgt.agreement.structure_traits import StructureTraits, measure_traits, typical_traits

SMALL_DICE = 0.6
"""Small: an outline one voxel further inside alone brings Dice below this (a ball of 6 voxels' radius)."""
TUBE_ELONGATION = 10
"""Tubular: so many times as long as wide,"""
TUBE_FLATNESS = 2.2
"""and of a section that is round, as far as voxels show it,"""
TUBE_VISIBLE_VOXELS = 3
"""which they do from this thickness on."""
SCATTERED_COMPONENTS = 3
"""Scattered: so many pieces at least,"""
SCATTERED_SHARE = 0.8
"""of which the largest has no more than this share of the voxels."""
SIZES_DIFFER = 4
"""Sizes differ: the largest has so many times the volume of the smallest."""

_MOST_CASES = 3


@dataclass(frozen=True)
class Question:
    """What a person may be asked about a structure.

    Args:
        key: name of the field of :class:`Answers`.
        text: the question, to be answered by yes or no.
        unanswered: what is taken for the answer without one.
    """

    key: str
    text: str
    unanswered: str


QUESTIONS = (
    Question("small", "Is it only a few voxels thick or wide?", "Measured from the masks."),
    Question("tubular", "Is it tubular, and does its course matter?", "Measured from the masks."),
    Question(
        "scattered", "Is it scattered in many pieces that count one by one?", "Measured from the masks."
    ),
    Question("sizes_differ", "Does its size differ much between patients?", "Measured from the masks."),
    Question(
        "boundary_critical",
        "Does it matter where exactly the boundary runs, as for a dose or a resection?",
        "No distance in mm is added to NSD.",
    ),
    Question(
        "boundary_uncertain",
        "Would careful raters draw the boundary differently?",
        "Yes: this is what agreement among raters is about.",
    ),
    Question("outliers_matter", "Is a single spot that is far off a serious error?", "No."),
    Question("volume_used", "Is its volume used in the clinic?", "No."),
    Question("errors_differ", "Is missing some of it worse than drawing too much, or the reverse?", "No."),
)


@dataclass(frozen=True)
class Answers:
    """Answers to :data:`QUESTIONS`; None where nobody answered.

    Args:
        rater_distance_mm: how far raters' boundaries lie apart, as :func:`rater_distance_mm` says.
    """

    small: bool | None = None
    tubular: bool | None = None
    scattered: bool | None = None
    sizes_differ: bool | None = None
    boundary_critical: bool | None = None
    boundary_uncertain: bool | None = None
    outliers_matter: bool | None = None
    volume_used: bool | None = None
    errors_differ: bool | None = None
    rater_distance_mm: float | None = None


def recommendations(
    readings: Sequence[Reading],
    labels: Sequence[str],
    pairs: Sequence[PairScores] = (),
    answers: Mapping[str, Answers] | None = None,
) -> tuple[Recommendation, ...]:
    """What to look at for every label of a study.

    Args:
        readings: of all cases; a label is measured on the first reading that found it in up to three cases.
        labels: in the order wanted.
        pairs: comparisons that tell how far raters' boundaries lie apart, where ASSD was measured.
        answers: by label, what somebody answered; under the empty name, for all others.
    """
    found: list[Recommendation] = []
    for label in labels:
        given = (answers or {}).get(label, (answers or {}).get("", Answers()))
        if given.rater_distance_mm is None:
            given = replace(given, rater_distance_mm=rater_distance_mm(pairs, label))
        found += recommend(label, _traits_of(label, readings), given)
    return tuple(found)


def recommend(
    label: str, traits: StructureTraits, answers: Answers | None = None
) -> tuple[Recommendation, ...]:
    """The metrics to look at for one structure, most telling first.

    Args:
        label: the structure.
        traits: as measured; they answer what nobody answered.
        answers: of a person.
    """
    if not traits.voxels:
        reason = "No rater found it: Dice only says whether they agree that it is absent."
        return (Recommendation(label, "dice", reason),)
    known = answered(traits, answers or Answers())
    chosen = [
        *_of_pieces(known, traits),
        *_overlap(known, traits),
        *_boundary(known, traits),
        *_volume(known),
    ]
    # Where voxels are too coarse for overlap, the boundary tells more and comes first.
    if known.small and not known.scattered:
        chosen.sort(key=lambda one: one[0] in ("dice", "cldice"))
    return tuple(Recommendation(label, metric(key).key, reason) for key, reason in chosen)


def answered(traits: StructureTraits, answers: Answers) -> Answers:
    """The answers with every question settled: from the masks, or as :class:`Question` says of unanswered."""
    measured = Answers(
        small=traits.dice_one_voxel_in < SMALL_DICE,
        tubular=traits.elongation >= TUBE_ELONGATION
        and (traits.flatness <= TUBE_FLATNESS or traits.thickness_voxels < TUBE_VISIBLE_VOXELS),
        scattered=traits.components >= SCATTERED_COMPONENTS and traits.largest_share <= SCATTERED_SHARE,
        sizes_differ=traits.size_ratio >= SIZES_DIFFER,
        boundary_critical=False,
        boundary_uncertain=True,
        outliers_matter=False,
        volume_used=False,
        errors_differ=False,
    )
    settled = {}
    for field in fields(Answers):
        given = getattr(answers, field.name)
        settled[field.name] = getattr(measured, field.name) if given is None else given
    return Answers(**settled)


def rater_distance_mm(pairs: Iterable[PairScores], label: str) -> float | None:
    """How far different raters' boundaries of a label lie apart: median over cases of their mean ASSD.

    Comparisons in which one found nothing have no boundary to measure and are left out here.

    Returns:
        mm; None where no two raters were compared, or ASSD was not measured.
    """
    by_case: dict[str, list[float]] = {}
    for pair in pairs:
        both = pair.kind is PairKind.INTER and pair.occupancy is Occupancy.BOTH
        if both and pair.label == label and "assd_mm" in pair.values:
            by_case.setdefault(pair.case, []).append(pair.values["assd_mm"])
    return median(sum(values) / len(values) for values in by_case.values()) if by_case else None


def recommended_tolerance_mm(traits: StructureTraits, distance_mm: float | None) -> float | None:
    """The tolerance of NSD that forgives what raters differ by, and never less than the grid can show.

    Returns:
        the raters' distance, or the finest spacing where that is more; None while it is not known.
    """
    return None if distance_mm is None else max(distance_mm, traits.finest_spacing_mm)


def _of_pieces(known: Answers, traits: StructureTraits) -> list[tuple[str, str]]:
    """Instances first where there are many: the problem category (S1) is then no longer one of overlap."""
    if not known.scattered:
        return []
    counted = f"about {traits.components:.0f} pieces" if traits.components > 1 else "many pieces"
    differing = (
        " Dice over all of them together is ruled by the largest, as sizes differ."
        if known.sizes_differ
        else ""
    )
    return [
        (
            "lesion_f1",
            f"It lies in {counted}: whether the same ones were found comes first, and overlap of all of them "
            f"together does not say it (problem category, S1).{differing}",
        ),
        (
            "panoptic_quality",
            "Counts the pieces found and how well each is outlined, small and large ones alike.",
        ),
    ]


def _overlap(known: Answers, traits: StructureTraits) -> list[tuple[str, str]]:
    """Overlap-based metrics, the centreline and the two kinds of error."""
    chosen = []
    if known.tubular:
        chosen.append(
            (
                "cldice",
                "Tubular: whether the course is followed without a break says more than overlap, to which a "
                "break adds next to nothing (FP2.3, S6).",
            )
        )
    elif not known.small:
        chosen.append(("dice", "The usual overlap: the structure is large against the voxel."))
    elif not known.boundary_uncertain:
        chosen.append(("dice", f"For comparison with others only. {_why_not_dice(traits)}"))
    if known.errors_differ:
        chosen += [
            (
                "sensitivity",
                "What was missed counts otherwise than what was drawn too much: this is what was missed.",
            ),
            ("precision", "And this is what was drawn too much."),
        ]
    return chosen


def _boundary(known: Answers, traits: StructureTraits) -> list[tuple[str, str]]:
    """Boundary-based metrics."""
    chosen = []
    if known.boundary_uncertain:
        tolerance = recommended_tolerance_mm(traits, known.rater_distance_mm)
        forgiving = (
            "Set its tolerance to how far raters' boundaries lie apart (their ASSD)."
            if tolerance is None
            else f"Set its tolerance to {tolerance:.1f} mm, by how far raters' boundaries lie apart."
        )
        avoid = f" {_why_not_dice(traits)}" if known.small and not known.scattered else ""
        chosen.append(
            (
                "nsd",
                f"Agreement of the boundary, forgiving what raters differ by. {forgiving}{avoid}",
            )
        )
    if known.outliers_matter:
        chosen.append(
            (
                "hd95_mm",
                "How far off the worst spots are, without the few that an uncertain outline makes.",
            )
            if known.boundary_uncertain
            else ("hd_mm", "The outline is exact and a single spot counts: the largest distance.")
        )
    elif known.boundary_critical or not known.boundary_uncertain:
        chosen.append(("assd_mm", "How far apart the boundaries run on average, in mm."))
    return chosen


def _volume(known: Answers) -> list[tuple[str, str]]:
    """FP2.2, with Bland-Altman in the report."""
    if not known.volume_used:
        return []
    reason = "The volume is used: overlap does not tell whether one rater draws larger than another (FP2.2)."
    if known.sizes_differ:
        return [("volume_difference_percent", f"{reason} In per cent, as sizes differ between patients.")]
    return [("volume_difference_ml", reason)]


def _why_not_dice(traits: StructureTraits) -> str:
    return (
        f"Do not judge it by Dice or IoU: it is about {_voxels(traits.thickness_voxels)} thick, and an "
        f"outline one voxel further inside alone brings Dice to {traits.dice_one_voxel_in:.2f}."
    )


def _traits_of(label: str, readings: Sequence[Reading]) -> StructureTraits:
    measured = []
    for case in dict.fromkeys(reading.case for reading in readings):
        mine = [reading for reading in readings if reading.case == case and label in reading.masks]
        drawn = [reading for reading in mine if not reading.masks[label].is_empty]
        for reading in (drawn or mine)[:1]:
            measured.append(measure_traits([reading.masks[label]], reading.geometry))
        if sum(one.voxels > 0 for one in measured) == _MOST_CASES:
            break
    return typical_traits(measured)


def _voxels(count: float) -> str:
    return "1 voxel" if round(count) == 1 else f"{count:.0f} voxels"
