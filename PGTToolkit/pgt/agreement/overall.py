"""Three numbers about a whole study, for a headline: how each comes from the labels' own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgt.agreement.peak import pairs_of_kind
from pgt.agreement.results import Agreement, Estimate, PairKind


@dataclass(frozen=True)
class Overall:
    """Means of the labels' numbers, each label counting once; None where no label has the number.

    Args:
        fleiss_kappa: see :class:`pgt.agreement.results.Reliability`.
        krippendorff_alpha: likewise.
        icc: likewise. In a single case no label has one; of several labels it is then that of all structures
            together, each a target.
        note: how the numbers came about, in words.
    """

    fleiss_kappa: float | None
    krippendorff_alpha: float | None
    icc: float | None
    note: str


def overall(agreement: Agreement) -> Overall:
    """The headline of a study."""
    found = agreement.reliabilities
    if not found:
        return Overall(None, None, None, "No structure was read by two raters.")
    if len(found) == 1:
        note = f"Of {found[0].label}."
    else:
        note = (
            "Means of the labels' numbers, each label counting once; labels without the number are left out."
        )
    icc = _mean([one.icc for one in found])
    if icc is None:
        icc = _icc_over_structures(agreement)
        if icc is not None:
            note += (
                " With a single case no label has an ICC: it is that of all structures together, whose "
                "different sizes make it larger than that of any one."
            )
        else:
            note += f" No ICC: {found[0].icc.note}"
    return Overall(
        _mean([one.fleiss_kappa for one in found]),
        _mean([one.krippendorff_alpha for one in found]),
        icc,
        note,
    )


def _mean(estimates: Sequence[Estimate]) -> float | None:
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    return sum(values) / len(values) if values else None


def _icc_over_structures(agreement: Agreement) -> float | None:
    """ICC of volumes with the structures of every case as targets."""
    from pgt.agreement.intraclass import icc_of

    pairs = pairs_of_kind(agreement.pairs, PairKind.INTER, agreement.candidates)
    targets = list(dict.fromkeys((pair.case, pair.label) for pair in pairs))
    raters = list(dict.fromkeys(one.rater for pair in pairs for one in (pair.a, pair.b)))
    volumes = np.full((len(targets), len(raters)), np.nan)
    for pair in pairs:
        row = targets.index((pair.case, pair.label))
        volumes[row, raters.index(pair.a.rater)] = pair.volume_a_ml
        volumes[row, raters.index(pair.b.rater)] = pair.volume_b_ml
    return icc_of(volumes)[0].value if len(raters) > 1 else None
