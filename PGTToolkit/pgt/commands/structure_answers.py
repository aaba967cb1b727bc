"""What a person says of the structures that are compared: ``--answer volume_used=yes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.agreement.metric_choice import Answers

_WORDS = {"yes": True, "no": False}


def read_answers(given: Sequence[str]) -> Mapping[str, Answers]:
    """Answers by label name; those under the empty name hold for every label without answers of its own.

    Args:
        given: ``QUESTION=yes|no`` for every structure, or ``LABEL:QUESTION=yes|no`` for one.

    Raises:
        InputError: an answer is of another form, or to no question.
    """
    from pgt.agreement.metric_choice import QUESTIONS, Answers

    keys = [question.key for question in QUESTIONS]
    answers: dict[str, dict[str, bool]] = {}
    for text in given:
        asked, _, word = text.rpartition("=")
        label, _, key = asked.rpartition(":")
        if key not in keys or word.lower() not in _WORDS:
            raise InputError(
                f"--answer {text} is no answer: write QUESTION=yes or QUESTION=no, or LABEL:QUESTION=yes, "
                f"with a question of {', '.join(keys)}."
            )
        answers.setdefault(label, {})[key] = _WORDS[word.lower()]
    everywhere = answers.get("", {})
    return {label: Answers(**{**everywhere, **own}) for label, own in answers.items()}
