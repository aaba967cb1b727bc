"""What a study keeps beside its results: networks and label maps that later steps need again.

Both say which study they belong to; what is absent, damaged or of another study is made anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from pgt.errors import OutputError
from pgt.output_files import whole_file, write_text
from pgt.volume import LabelMap
from pgt.volume_io import read_label_map, write_label_map

NETWORKS = "networks"
LABELS = "labels"
_STUDY = "study"
_DONE = "version.json"


@dataclass(frozen=True)
class StudyStore:
    """Files below the folder of a study.

    Args:
        folder: of the study.
        fingerprint: of the study (`pgt.studies.cells.fingerprint_of`).
    """

    folder: Path
    fingerprint: str

    def clear(self) -> None:
        """Remove everything, of whichever study."""
        for name in (NETWORKS, LABELS):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def keep_network(self, name: str, network: torch.nn.Module) -> None:
        """Write the weights of a network, whole or not at all. Raises OutputError."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self._network(name)
        self._made(path.parent)
        # Modules that DynUNet reaches in two ways would be stored as one, which safetensors refuses.
        state = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
        with whole_file(path, overwrite=True) as beside:
            try:
                save_file(state, beside, metadata={_STUDY: self.fingerprint})
            except SafetensorError as error:
                raise OutputError(f"{path} cannot be written: the disk is full.") from error

    def restore_network(self, name: str, network: torch.nn.Module) -> bool:
        """Put kept weights into a network of the same make; False where there are none of this study."""
        state = self.weights(name)
        if state is None:
            return False
        try:
            network.load_state_dict(state)
        except RuntimeError:
            return False
        network.eval()
        return True

    def weights(self, name: str) -> dict[str, torch.Tensor] | None:
        """Kept weights by parameter, None where there are none of this study."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._network(name), framework="pt") as file:
                if (file.metadata() or {}).get(_STUDY) != self.fingerprint:
                    return None
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dictionary
        except (OSError, SafetensorError):
            return None

    def has_labels(self, version: str) -> bool:
        """Whether all label maps of a version are there."""
        try:
            content = json.loads((self.folder / LABELS / version / _DONE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(content, dict) and content.get(_STUDY) == self.fingerprint

    def keep_labels(self, version: str, label_maps: Iterable[LabelMap], described: str) -> None:
        """Write the label maps of a version, numbered in the order of the cases; all of them or none.

        Args:
            version: folder's name.
            label_maps: made as they are written.
            described: how they came about, for whoever looks into the folder.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        folder = self.folder / LABELS / version
        beside = folder.with_name(f".{version}-partial")
        for old in (folder, beside):
            shutil.rmtree(old, ignore_errors=True)
        self._made(beside)
        for number, label_map in enumerate(label_maps):
            write_label_map(label_map, beside / _numbered(number), overwrite=True)
        content = {_STUDY: self.fingerprint, "version": described}
        write_text(beside / _DONE, json.dumps(content, indent=1) + "\n")
        try:
            beside.replace(folder)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error

    def labels(self, version: str, number: int) -> LabelMap:
        """The label map of a case, counted from 0. Raises InputError."""
        return read_label_map(self.folder / LABELS / version / _numbered(number))

    def _network(self, name: str) -> Path:
        return self.folder / NETWORKS / f"{name}.safetensors"

    def _made(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def _numbered(number: int) -> str:
    """By number and not by name, since a case's name may be a patient's."""
    return f"{number + 1:04d}.nii.gz"
