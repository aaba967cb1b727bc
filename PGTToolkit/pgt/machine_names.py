"""What filled a slice, as slice states keep it: method and model, and the SHA-256 of the model's weights.

The text reads ``network default sha256:<64 digits>``; methods without a model have neither name nor digits.
"""

from __future__ import annotations

import re

from pgt.errors import PGTError

_MACHINE = re.compile(r"(.*?)(?: sha256:([0-9a-f]{64}))?")


def machine_name(method: str, model: str | None) -> str:
    """What a propagation on this machine goes by; with a hash where the model is an installed one.

    Args:
        method: how slices were filled.
        model: name of the model, None or empty where none took part.
    """
    from pgt.propagation.checkpoints import list_models

    name = " ".join(part for part in (method, model) if part)
    for installed in list_models():
        if model and installed.name == model:
            try:
                return f"{name} sha256:{installed.card().sha256}"
            except PGTError:
                break  # a damaged card is no reason to lose what was filled
    return name


def machine_parts(text: str) -> tuple[str, str | None]:
    """Name and hash out of such a text; the hash is None where it has none."""
    match = _MACHINE.fullmatch(text)
    return (match[1], match[2]) if match else (text, None)
