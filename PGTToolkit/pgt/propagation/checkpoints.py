"""The models on this machine: shipped ones, and those that a user imported or trained.

A model is a folder ``<name>/{model.safetensors,card.json}``. Shipped models lie in ``Resources/Models`` of
the extension (of the package, in a wheel); a user's own in ``$PGT_MODELS`` or the platform's folder for user
data. Nothing here loads torch before weights are asked for, so that listing is quick.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgt.errors import CheckpointError, InputError, OutputError
from pgt.propagation.model_card import UNKNOWN_LICENCE, ModelCard

if TYPE_CHECKING:
    from pgt.propagation.propagator import Propagator

WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "card.json"
_FILE_SUFFIXES = {".pth", ".pt", ".safetensors", ".ckpt", ".bin"}


@dataclass(frozen=True)
class InstalledModel:
    """A model's folder; ``shipped`` tells those that came with the extension."""

    name: str
    folder: Path
    shipped: bool

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS_NAME

    def card(self) -> ModelCard:
        """What is known of the model. Raises CheckpointError where its card is missing or damaged."""
        return ModelCard.read(self.folder / CARD_NAME)


def shipped_folder() -> Path:
    """Where the models lie that came with the extension or the wheel."""
    package = Path(__file__).resolve().parents[1]
    within = package / "Resources" / "Models"
    return within if within.is_dir() else package.parent / "Resources" / "Models"


def user_folder() -> Path:
    """Where imported and trained models go: ``$PGT_MODELS``, or ``pgt/models`` in the user's data folder."""
    chosen = os.environ.get("PGT_MODELS")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "pgt" / "models"


def list_models() -> tuple[InstalledModel, ...]:
    """Every propagation model by name; a shipped one comes before a user's of the same name."""
    found: dict[str, InstalledModel] = {}
    for folder, shipped in ((shipped_folder(), True), (user_folder(), False)):
        for weights in sorted(folder.glob(f"[!.]*/{WEIGHTS_NAME}")):
            if (weights.parent / "model.json").exists():
                continue  # a style model (pgt.styles.model_folder) is no propagation model
            name = weights.parent.name
            found.setdefault(name, InstalledModel(name, weights.parent, shipped))
    return tuple(found[name] for name in sorted(found))


def find_model(name: str) -> InstalledModel:
    """The model of this name. Raises CheckpointError, listing those that there are."""
    models = {model.name: model for model in list_models()}
    if name not in models:
        there = f"there are {', '.join(models)}" if models else "none is installed"
        raise CheckpointError(f"There is no model named {name}; {there}.")
    return models[name]


def load_model(name_or_path: str | Path, device: str = "cpu") -> Propagator:
    """Load a model by name, or from a weights file or model folder, in evaluation mode.

    Raises:
        CheckpointError: there is no such model, or its file is damaged, unsafe or of another network.
    """
    from pgt.propagation.weight_files import read_weights
    from pgt.propagation.weight_layouts import recognise

    path = weights_path(name_or_path)
    return recognise(read_weights(path), path).network.to(device)


def verify_model(name: str) -> ModelCard:
    """Check that a model is what its card says: hash, architecture, number of parameters; return the card.

    Raises:
        CheckpointError: the model or its card is missing or damaged, or they differ.
    """
    from pgt.propagation.weight_files import read_weights
    from pgt.propagation.weight_layouts import count_parameters, recognise

    model = find_model(name)
    card = model.card()
    if sha256_of(model.weights) != card.sha256:
        raise CheckpointError(f"{model.weights} is damaged or was changed: its SHA-256 is not the card's.")
    network = recognise(read_weights(model.weights), model.weights).network
    found = (network.architecture, count_parameters(network))
    if found != (card.architecture, card.parameters):
        raise CheckpointError(
            f"{model.weights} is a {found[0]} network of {found[1]:,} parameters, but its card says "
            f"{card.architecture} of {card.parameters:,}."
        )
    return card


def import_checkpoint(
    path: str | Path,
    name: str | None = None,
    folder: Path | None = None,
    *,
    licence: str = UNKNOWN_LICENCE,
    overwrite: bool = False,
) -> InstalledModel:
    """Convert a weights file to safetensors with a card, without running anything in it.

    Args:
        path: a torch or safetensors file: official STCN (all stages), its FLARE22 variant, or a network
            trained by this project.
        name: of the model; None takes the file's.
        folder: to put the model's folder in; None for the user's.
        licence: of the weights, where it is known.
        overwrite: replace a model of the same name.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe or of another network.
        InputError: the name cannot be a folder's.
        OutputError: a model of this name exists, or the disk refuses.
    """
    from pgt.propagation.weight_files import read_weights
    from pgt.propagation.weight_layouts import recognise

    path = Path(path)
    name = re.sub(r"[^\w.-]+", "-", path.stem) if name is None else name
    folder = user_folder() if folder is None else folder
    check_name(name, folder, overwrite)
    recognised = recognise(read_weights(path), path)
    return save_model(
        recognised.network,
        name,
        folder,
        source=path.name,
        licence=licence,
        layout=recognised.layout,
        overwrite=overwrite,
    )


def save_model(
    network: Propagator,
    name: str,
    folder: Path | None = None,
    *,
    source: str,
    licence: str = UNKNOWN_LICENCE,
    layout: str = "",
    details: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> InstalledModel:
    """Write a network and its card as a model that ``load_model`` finds by name; whole or not at all.

    Raises:
        InputError: the name cannot be a folder's.
        OutputError: a model of this name exists, or the disk refuses.
    """
    from pgt.propagation.weight_files import write_weights
    from pgt.propagation.weight_layouts import count_parameters

    folder = user_folder() if folder is None else folder
    check_name(name, folder, overwrite)
    state = {key: value for key, value in network.state_dict().items() if "num_batches_tracked" not in key}
    with _whole_folder(folder / name) as beside:
        write_weights(beside / WEIGHTS_NAME, state, network.architecture, network.settings())
        card = ModelCard(
            name=name,
            architecture=network.architecture,
            parameters=count_parameters(network),
            sha256=sha256_of(beside / WEIGHTS_NAME),
            source=source,
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            licence=licence,
            layout=layout,
            details=details or {},
        )
        card.write(beside / CARD_NAME)
    return InstalledModel(name, folder / name, shipped=folder == shipped_folder())


def sha256_of(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def weights_path(name_or_path: str | Path) -> Path:
    """The weights file meant: a file, a model's folder, or a model's name."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    if (path / WEIGHTS_NAME).is_file() and len(path.parts) > 1:
        return path / WEIGHTS_NAME
    if len(path.parts) > 1 or path.suffix.lower() in _FILE_SUFFIXES:
        raise CheckpointError(f"{path} is neither a model file nor a model's folder.")
    return find_model(str(name_or_path)).weights


def check_name(name: str, folder: Path, overwrite: bool) -> None:
    """Refuse a name that a new model in ``folder`` cannot have; worth calling before long work, too.

    Raises:
        InputError: the name cannot be a folder's.
        OutputError: a model of this name exists.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"A model cannot be named {name!r}: letters, digits, - . and _ only, please.")
    if folder != shipped_folder() and (shipped_folder() / name / WEIGHTS_NAME).is_file():
        raise OutputError(f"A model named {name} comes with the toolkit; choose another name.")
    if (folder / name).exists() and not overwrite:
        raise OutputError(f"A model named {name} exists already in {folder} and was left as it is.")


@contextlib.contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to that becomes ``folder`` when the block ends well, and vanishes otherwise."""
    beside = folder.with_name(f".pgt-{uuid.uuid4().hex}-partial")
    replaced = folder.with_name(f".pgt-{uuid.uuid4().hex}-replaced")
    try:
        beside.mkdir(parents=True)
        yield beside
        if folder.exists():
            folder.rename(replaced)
        beside.rename(folder)
    except OSError as error:
        if replaced.exists() and not folder.exists():
            replaced.rename(folder)
        raise OutputError(f"{folder} cannot be written: {(error.strerror or str(error)).lower()}.") from error
    finally:
        for leftover in (beside, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
