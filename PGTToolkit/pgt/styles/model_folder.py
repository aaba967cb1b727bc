"""What the folder of a style model holds, by name."""

from __future__ import annotations

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
CASES = "cases.csv"
CHECKPOINT = "checkpoint.pt"
LOSSES = "log.jsonl"
LATENTS = "latents.jsonl"
PAGE = "progress.html"
FILES = (WEIGHTS, DESCRIPTION, CASES, CHECKPOINT, LOSSES, LATENTS, PAGE)

PREPARED = "prepared"
"""A folder within, while training is not finished: the cases as the network sees them."""
PLAN = "plan.json"
"""In `PREPARED`, from the moment on that all cases were found good."""
