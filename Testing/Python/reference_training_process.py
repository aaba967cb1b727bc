"""A training of the reference stage as a process that tests kill, or start several times: ``CASES FOLDER N``.

CASES is a folder that `reference_cases.made_cases` filled, with four cases of which two are labelled.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from reference_cases import QUICK

from pgt.case_table import read_case_table
from pgt.reference.cases import ReferenceCase
from pgt.reference.training import train_reference


def main(cases: Path, folder: Path, iterations: int) -> None:
    """Train, writing a checkpoint after every step."""
    torch.set_num_threads(1)
    rows = read_case_table(cases / "cases.csv")
    settings = replace(QUICK, iterations=iterations, checkpoint_seconds=0)
    train_reference([ReferenceCase(row.case, row.image, row.label) for row in rows], settings, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
