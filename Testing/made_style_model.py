"""A small style model, really trained on made cases in three styles; seconds on one core.

Trained in a process of its own: whoever tests panels must not have PyTorch imported beside Qt's binding.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TIGHT, LARGE = 0.72, 1.3
SIZES = [1.0] * 10 + [TIGHT] * 6 + [LARGE] * 6
"""Of the labels, as parts of the structure: cases 0 to 9, 10 to 15 and 16 to 21."""

_EPOCHS = 40
_TESTING = Path(__file__).resolve().parent


def train_made_model(folder: Path) -> Path:
    """Train it in a folder, which also gets images, labels and the table of the cases; the folder.

    ``new.nrrd`` is the image of a case that it was not trained with, ``new-tight.nrrd`` a label for it.
    """
    paths = os.pathsep.join(str(path) for path in (_TESTING.parent / "PGTToolkit", _TESTING))
    subprocess.run(
        [sys.executable, __file__, str(folder)], check=True, env={**os.environ, "PYTHONPATH": paths}
    )
    return folder


def main() -> None:
    """Do it, in this process."""
    from pgt.styles.training import train
    from pgt.styles.training_settings import StyleTrainingSettings
    from pgt.volume_io import write_label_map, write_volume
    from Python.style_cases import made_case, made_rows, prepared_cases, tiny_model

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    made_rows(folder, SIZES)
    volume, label_map = made_case(99, TIGHT)
    write_volume(volume, folder / "new.nrrd")
    write_label_map(label_map, folder / "new-tight.nrrd")
    model = tiny_model()
    settings = StyleTrainingSettings(epochs=_EPOCHS, learning_rate=0.003, augmentation=False)
    train(model, prepared_cases(SIZES), settings, folder).save(folder)
    (folder / "checkpoint.pt").unlink()


if __name__ == "__main__":
    main()
