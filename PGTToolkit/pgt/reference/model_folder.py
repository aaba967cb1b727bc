"""What the folder of a reference model holds, by name."""

from __future__ import annotations

DESCRIPTION = "model.json"
TRANSUNET = "transunet.safetensors"
DEEPLAB = "deeplab.safetensors"
CASES = "training_cases.csv"
"""The cases that it was trained on."""
CHECKPOINT = "training.safetensors"
"""All that an unfinished training needs to go on; absent from a finished model."""
LOG = "log.csv"
FILES = (DESCRIPTION, TRANSUNET, DEEPLAB, CASES, CHECKPOINT, LOG)

PREPARED = "prepared"
"""A folder within, while training is not finished: the slices as the networks see them."""
