"""nnU-Net v2 data sets: ``Dataset<number>_<name>`` with ``dataset.json``, ``imagesTr`` and ``labelsTr``.

Cases that are kept out of training go to ``imagesTs`` and ``labelsTs``, which nnU-Net does not train on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pgt.export.export_settings import ExportSettings
from pgt.export.labels import IGNORE, ExportLabel

FILE_ENDING = ".nii.gz"
DATASET_JSON = "dataset.json"
_CHANNEL = "0000"


def dataset_folder(settings: ExportSettings) -> str:
    """Name of the data set's folder."""
    return f"Dataset{settings.dataset_number:03d}_{settings.dataset_name}"


def image_place(case: str, testing: bool, settings: ExportSettings) -> str:
    """Where a case's image goes, under the folder of the format."""
    return f"{dataset_folder(settings)}/images{_part(testing)}/{case}_{_CHANNEL}{FILE_ENDING}"


def label_place(case: str, testing: bool, settings: ExportSettings) -> str:
    """Where a case's label goes, under the folder of the format."""
    return f"{dataset_folder(settings)}/labels{_part(testing)}/{case}{FILE_ENDING}"


def dataset_json(labels: Sequence[ExportLabel], training: int, channel: str, settings: ExportSettings) -> str:
    """The description of a data set.

    Args:
        labels: in the order of their values.
        training: number of training cases.
        channel: what the images are.
        settings: of the export.
    """
    values = {"background": 0, **{label.name: label.value for label in labels}}
    if settings.ignore_unannotated:
        values[IGNORE] = len(labels) + 1
    content = {
        "channel_names": {"0": channel},
        "labels": values,
        "numTraining": training,
        "file_ending": FILE_ENDING,
        "name": settings.dataset_name,
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _part(testing: bool) -> str:
    return "Ts" if testing else "Tr"
