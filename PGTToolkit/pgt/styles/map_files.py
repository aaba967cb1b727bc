"""A map as files for programs.

``map.json``::

    schema, version   "pgt-style-map", 1
    cases             [{case, latent, cluster, norm, isolation, score, suggestion, disagreement,
                      uncertainty}], in the order of the model; cluster is null for a case that lies alone,
                      the last two are null where image or label were not at hand
    clusters          [{name, centre, cases, main, exemplars}], the main style first
    styles            by name: latent vectors that the user named
    messages          sentences

The list of suspicious cases: ``[{case, latent, norm, isolation, score, suggestion, disagreement,
uncertainty}]``, the most suspicious first.
"""

from __future__ import annotations

import json
from typing import Any

from pgt.styles.latent_map import LatentMap, Suspect
from pgt.styles.model_map import ModelMap

SCHEMA = "pgt-style-map"
VERSION = 1


def map_json(mapped: ModelMap) -> str:
    """The map as JSON text, see the top of this module."""
    found = mapped.found
    suspects = {suspect.case: suspect for suspect in found.suspects}
    cluster_of = found.cluster_of
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "cases": [{**_suspect(suspects[case]), "cluster": cluster_of[case]} for case in found.latents],
        "clusters": [
            {
                "name": cluster.name,
                "centre": list(cluster.centre),
                "cases": list(cluster.cases),
                "main": cluster.is_main,
                "exemplars": list(cluster.exemplars),
            }
            for cluster in found.clusters
        ],
        "styles": {name: list(latent) for name, latent in found.styles.items()},
        "messages": list(mapped.messages),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def suspects_json(found: LatentMap) -> str:
    """The list of suspicious cases as JSON text, see the top of this module."""
    listed = [_suspect(suspect) for suspect in found.suspects]
    return json.dumps(listed, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _suspect(suspect: Suspect) -> dict[str, Any]:
    doubt = suspect.doubt
    return {
        "case": suspect.case,
        "latent": list(suspect.latent),
        "norm": suspect.norm,
        "isolation": suspect.isolation,
        "score": suspect.score,
        "suggestion": suspect.suggestion.value,
        "disagreement": doubt.disagreement if doubt else None,
        "uncertainty": doubt.uncertainty if doubt else None,
    }
