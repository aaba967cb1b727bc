"""What a propagation reports to scripts; the names are a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgt.annotation import AXIS_NAMES

if TYPE_CHECKING:
    from pgt.propagation.engine import PropagationResult


def report_of(result: PropagationResult) -> dict[str, Any]:
    """The report as JSON takes it."""
    label_map = result.label_map
    return {
        "axis": AXIS_NAMES[result.axis],
        "annotated": list(result.annotated),
        "method": result.method,
        "model": result.model,
        "device": result.device,
        "seconds": round(result.seconds, 3),
        "labels": {str(value): {"voxels": int(label_map.mask(value).sum())} for value in label_map.values},
        "slices": [
            {
                "index": s.index,
                "state": s.state.value if s.state else None,
                "confidence": round(s.confidence, 4),
            }
            for s in result.slices
        ],
        "next_slice": result.next_slice,
    }
