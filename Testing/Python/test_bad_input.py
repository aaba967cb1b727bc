"""What the command line does with what it cannot use: one clear sentence, status 2, and nothing lost."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import Ended, folders, listing, refused, run_here, run_process

from pgt.geometry import Geometry
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import write_label_map, write_volume

SHAPE = (24, 20, 16)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A folder with ``ct.nrrd`` and ``drawn.nrrd``, which has slices k = 3 and k = 10."""
    volume, truth = make_sample(SHAPE, seed=2)
    drawn = np.zeros_like(truth.voxels)
    drawn[:, :, [3, 10]] = truth.voxels[:, :, [3, 10]]
    write_volume(volume, tmp_path / "ct.nrrd")
    write_label_map(LabelMap(drawn, truth.geometry, truth.segments), tmp_path / "drawn.nrrd")
    return tmp_path


class Attempt:
    """`pgt propagate` in a folder, which must stay exactly as it is when the command is refused."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capfd = capfd

    def __call__(self, *extra: str | Path, image: str = "ct.nrrd", annotation: str = "drawn.nrrd") -> Ended:
        before = listing(self.folder)
        ended = run_here(
            self._capfd, "propagate", self.folder / image, self.folder / annotation,
            "-o", self.folder / "out.nrrd", "--report", self.folder / "out.json", "--method", "shape", *extra,
        )  # fmt: skip
        assert listing(self.folder) == before
        assert not [path for path in folders(self.folder) if path.name.startswith(".")]
        return ended


@pytest.fixture
def attempt(case: Path, capfd: pytest.CaptureFixture[str]) -> Attempt:
    return Attempt(case, capfd)


def drawn_on(geometry: Geometry, path: Path) -> None:
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[5:12, 5:12, [3, 10]] = 1
    write_label_map(LabelMap.from_voxels(voxels, geometry), path)


def other_shape(geometry: Geometry) -> Geometry:
    return replace(geometry, shape=(24, 20, 15))


def other_spacing(geometry: Geometry) -> Geometry:
    return replace(geometry, spacing=(*geometry.spacing[:2], 2 * geometry.spacing[2]))


def other_origin(geometry: Geometry) -> Geometry:
    x, y, z = geometry.origin
    return replace(geometry, origin=(x, y + 25, z))


def other_direction(geometry: Geometry) -> Geometry:
    rows = tuple((-i, -j, k) for i, j, k in geometry.direction)
    return replace(geometry, direction=rows)


@pytest.mark.parametrize("change", [other_shape, other_spacing, other_origin, other_direction])
def test_an_annotation_of_another_geometry(case: Path, attempt: Attempt, change: Any) -> None:
    geometry = make_sample(SHAPE, seed=2)[0].geometry
    drawn_on(change(geometry), case / "elsewhere.nrrd")
    ended = attempt(annotation="elsewhere.nrrd")
    refused(ended, case / "elsewhere.nrrd", case / "ct.nrrd", change.__name__.removeprefix("other_"))


def test_no_annotated_slice(case: Path, attempt: Attempt) -> None:
    geometry = make_sample(SHAPE, seed=2)[0].geometry
    blank = LabelMap(np.zeros(SHAPE, np.uint8), geometry, ())
    write_label_map(blank, case / "blank.nrrd")
    refused(attempt(annotation="blank.nrrd"), case / "blank.nrrd", "slice")


@pytest.mark.parametrize("extra", [(), ("--slices", "3,10")])
def test_empty_segments_only(case: Path, attempt: Attempt, extra: tuple[str, ...]) -> None:
    geometry = make_sample(SHAPE, seed=2)[0].geometry
    named = (Segment(1, "Liver", (1.0, 0.0, 0.0)), Segment(2, "Spleen", (0.0, 1.0, 0.0)))
    write_label_map(LabelMap(np.zeros(SHAPE, np.uint8), geometry, named), case / "empty.seg.nrrd")
    refused(attempt(*extra, annotation="empty.seg.nrrd"), case / "empty.seg.nrrd")


def test_listed_slices_without_any_label(case: Path, attempt: Attempt) -> None:
    refused(attempt("--slices", "5,6"), case / "drawn.nrrd", "empty")


@pytest.mark.parametrize("listed", ["3,16", "400"])
def test_a_slice_out_of_range(case: Path, attempt: Attempt, listed: str) -> None:
    refused(attempt("--slices", listed), case / "drawn.nrrd", listed.split(",")[-1], "0 to 15")


def test_labels_that_are_no_integers(case: Path, attempt: Attempt) -> None:
    image = sitk.ReadImage(str(case / "drawn.nrrd"))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32) * 0.3, str(case / "soft.nrrd"))
    refused(attempt(annotation="soft.nrrd"), case / "soft.nrrd")


def test_labels_below_zero(case: Path, attempt: Attempt) -> None:
    image = sitk.ReadImage(str(case / "drawn.nrrd"))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16) * -1, str(case / "negative.nrrd"))
    refused(attempt(annotation="negative.nrrd"), case / "negative.nrrd")


def test_whole_numbers_stored_as_floats_are_labels(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = sitk.ReadImage(str(case / "drawn.nrrd"))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat64), str(case / "float.nrrd"))
    ended = run_here(
        capfd,
        "propagate",
        case / "ct.nrrd",
        case / "float.nrrd",
        "-o",
        case / "out.nrrd",
        "--method",
        "shape",
    )
    assert ended.status == 0, ended.err


def test_overlapping_segments(case: Path, attempt: Attempt) -> None:
    layers = np.zeros((*reversed(SHAPE), 2), np.uint8)
    layers[3, 5:12, 5:12, 0] = 1
    layers[3, 8:15, 8:15, 1] = 1
    image = sitk.GetImageFromArray(layers, isVector=True)
    image.CopyInformation(sitk.ReadImage(str(case / "ct.nrrd")))
    for number, name in enumerate(("Liver", "Tumour")):
        entries = {"ID": name, "Name": name, "Layer": str(number), "LabelValue": "1", "Color": "1 0 0"}
        for key, value in entries.items():
            image.SetMetaData(f"Segment{number}_{key}", value)
    sitk.WriteImage(image, str(case / "layers.seg.nrrd"))
    refused(attempt(annotation="layers.seg.nrrd"), case / "layers.seg.nrrd", "overlap")


def test_a_volume_of_a_single_slice(case: Path, attempt: Attempt) -> None:
    geometry = Geometry((24, 20, 1))
    write_volume(Volume(np.zeros(geometry.shape, np.int16), geometry), case / "flat.nrrd")
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[5:12, 5:12] = 1
    write_label_map(LabelMap.from_voxels(voxels, geometry), case / "flat_drawn.nrrd")
    refused(attempt(image="flat.nrrd", annotation="flat_drawn.nrrd"), case / "flat.nrrd", "single slice")


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz", "ct.nii", "ct.mha"])
@pytest.mark.parametrize("damage", ["truncated", "corrupt", "empty", "text"])
def test_a_damaged_file(case: Path, attempt: Attempt, name: str, damage: str) -> None:
    image = case / f"damaged_{name}"
    sitk.WriteImage(sitk.ReadImage(str(case / "ct.nrrd")), str(image), useCompression=name != "ct.nii")
    content = bytearray(image.read_bytes())
    if damage == "corrupt" and name == "ct.nii":
        content[40:48] = b"\xff" * 8  # the sizes; voxels of an uncompressed file carry no checksum
    elif damage == "corrupt":
        content[len(content) // 2 : len(content) // 2 + 40] = b"\x00" * 40
    spoilt = {"truncated": content[: len(content) * 2 // 3], "empty": b"", "text": b"not an image\n" * 50}
    image.write_bytes(spoilt.get(damage, content))
    refused(attempt(image=image.name), image)
    refused(attempt(annotation=image.name), image)


def test_files_that_are_not_there_or_of_another_kind(case: Path, attempt: Attempt) -> None:
    refused(attempt(image="missing.nrrd"), case / "missing.nrrd")
    refused(attempt(annotation="missing.nrrd"), case / "missing.nrrd")
    (case / "notes.docx").write_text("no image")
    refused(attempt(image="notes.docx"), case / "notes.docx")
    (case / "folder").mkdir()
    refused(attempt(image="folder"), case / "folder")


def test_an_image_in_colour_or_time(case: Path, attempt: Attempt) -> None:
    colour = sitk.GetImageFromArray(np.zeros((*reversed(SHAPE), 3), np.uint8), isVector=True)
    sitk.WriteImage(colour, str(case / "colour.nrrd"))
    refused(attempt(image="colour.nrrd"), case / "colour.nrrd")
    film = sitk.JoinSeries([sitk.ReadImage(str(case / "ct.nrrd"))] * 3)
    sitk.WriteImage(film, str(case / "film.nii.gz"))
    refused(attempt(image="film.nii.gz"), case / "film.nii.gz")


def propagate_to(capfd: pytest.CaptureFixture[str], case: Path, *outputs: str | Path) -> Ended:
    return run_here(
        capfd, "propagate", case / "ct.nrrd", case / "drawn.nrrd", "--method", "shape", "-o", *outputs
    )


def test_outputs_that_cannot_be(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = listing(case)
    refused(propagate_to(capfd, case, case / "nowhere" / "out.nrrd"), case / "nowhere", "does not exist")
    refused(propagate_to(capfd, case, case / "out.txt"), case / "out.txt", ".nii.gz")
    refused(propagate_to(capfd, case, case / "out.nrrd", "--uncertainty", case / "u.png"), case / "u.png")
    refused(propagate_to(capfd, case, case / "out.nrrd", "--uncertainty", case / "out.nrrd"), "twice")
    refused(propagate_to(capfd, case, case / "drawn.nrrd", "--force"), case / "drawn.nrrd", "input")
    assert listing(case) == before


@pytest.mark.parametrize("taken", ["out.nrrd", "unsure.nrrd", "report.json"])
def test_an_output_that_exists(case: Path, capfd: pytest.CaptureFixture[str], taken: str) -> None:
    (case / taken).write_text("precious")
    before = listing(case)
    started = time.monotonic()
    ended = propagate_to(
        capfd,
        case,
        case / "out.nrrd",
        "--uncertainty",
        case / "unsure.nrrd",
        "--report",
        case / "report.json",
    )
    assert time.monotonic() - started < 0.5  # refused before the work
    refused(ended, case / taken, "exists already", "--force")
    assert listing(case) == before


def test_a_folder_that_may_not_be_written(case: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    sealed = case / "sealed"
    sealed.mkdir(mode=0o500)
    refused(run_process("propagate", case / "ct.nrrd", case / "drawn.nrrd", "-o", sealed / "o.nrrd"), sealed)


def test_no_room_for_the_output(case: Path) -> None:
    """Every write beyond a few hundred bytes fails, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = listing(case)
    ended = run_process(
        "propagate", case / "ct.nrrd", case / "drawn.nrrd", "-o", case / "out.nrrd", "--method", "shape",
        "--report", case / "out.json",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)),
    )  # fmt: skip
    refused(ended, case / "out.nrrd", "cannot be written")
    assert listing(case) == before
    assert not folders(case)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one page, where this machine lets us mount one."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=4k", "tmpfs", place], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("mounting a small disk takes root")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii", "out.nrrd", "out.mha"])
def test_a_full_disk(case: Path, tiny_disk: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    (tiny_disk / "filler").write_bytes(b"x" * 4096)
    ended = propagate_to(capfd, case, tiny_disk / name)
    refused(ended, tiny_disk / name, "cannot be written")
    assert set(listing(tiny_disk)) == {"filler"}


def test_no_gpu_where_one_is_asked_for(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    before = listing(case)
    ended = run_here(
        capfd, "propagate", case / "ct.nrrd", case / "drawn.nrrd", "-o", case / "out.nrrd", "--device", "cuda"
    )
    refused(ended, "CUDA")
    assert listing(case) == before


class Payload:
    """Pickled, it runs a command when it is read carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def torch_file_with_code(path: Path, harmed: Path) -> None:
    import torch

    torch.save({"model": Payload(harmed)}, path)


def plain_pickle_with_code(path: Path, harmed: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(harmed)))


def checkpoint_of_something_else(path: Path, harmed: Path) -> None:
    import torch

    torch.save({"encoder.weight": torch.zeros(3, 3)}, path)


def text_file(path: Path, harmed: Path) -> None:
    path.write_text("these are no weights")


MODEL_FILES = [torch_file_with_code, plain_pickle_with_code, checkpoint_of_something_else, text_file]


@pytest.mark.parametrize("write", MODEL_FILES)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_wrong_checkpoint_is_refused_and_its_code_never_run(
    case: Path, capfd: pytest.CaptureFixture[str], write: Any, suffix: str
) -> None:
    model = case / f"weights{suffix}"
    write(model, case / "harmed")
    before = listing(case)
    ended = run_here(
        capfd, "propagate", case / "ct.nrrd", case / "drawn.nrrd", "-o", case / "out.nrrd",
        "--method", "network", "--model", model,
    )  # fmt: skip
    refused(ended, model)
    assert not (case / "harmed").exists()
    assert listing(case) == before


def test_a_model_that_nobody_knows(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ended = run_here(
        capfd, "propagate", case / "ct.nrrd", case / "drawn.nrrd", "-o", case / "out.nrrd",
        "--method", "network", "--model", "imaginary",
    )  # fmt: skip
    refused(ended, "imaginary")
