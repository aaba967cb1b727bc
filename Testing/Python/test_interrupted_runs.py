"""Cancelled, killed and orphaned runs of the command line: they end at once and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Ended, command, listing, refused, running

from pgt.geometry import Geometry
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume


@pytest.fixture(scope="module")
def long_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work that takes long enough to be interrupted: a made volume with every voxel cut into 4x4x4."""
    folder = tmp_path_factory.mktemp("long")
    volume, truth = make_sample((56, 45, 28), seed=2)
    coarse = volume.geometry
    fine = Geometry((224, 180, 112), tuple(mm / 4 for mm in coarse.spacing), coarse.origin, coarse.direction)
    image, labels = (v.repeat(4, 0).repeat(4, 1).repeat(4, 2) for v in (volume.voxels, truth.voxels))
    write_volume(Volume(image, fine), folder / "ct.nii.gz")
    write_label_map(LabelMap(labels, fine, truth.segments), folder / "truth.nii.gz")
    return folder


def long_run(case: Path, output: Path) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    return running(
        command(
            "propagate", case / "ct.nii.gz", case / "truth.nii.gz", "-o", output, "--slices", "5,30,60,90,105"
        )
    )


def worker_of(process: subprocess.Popen[str], within: float = 60) -> int:
    """The process that does the work, as soon as it is there."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and process.poll() is None:
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in map(int, listed):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        time.sleep(0.01)
    raise AssertionError(f"no worker; the command ended with {process.poll()}")


def answer_seconds() -> float:
    """How soon a cancelled command must be gone: a second, on a machine that is not overloaded itself."""
    return 1.0 if os.getloadavg()[0] < 2 * (os.cpu_count() or 1) else 5.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_cancelled_run_leaves_at_once_and_nothing_behind(
    long_case: Path, tmp_path: Path, seconds: float, sent: signal.Signals, status: int
) -> None:
    before = listing(long_case)
    with long_run(long_case, tmp_path / "out.nii.gz") as process:
        worker = worker_of(process)
        time.sleep(seconds)
        assert process.poll() is None
        asked = time.monotonic()
        process.send_signal(sent)
        _, said = process.communicate(timeout=10)
        assert time.monotonic() - asked < answer_seconds()
    assert process.returncode == status
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
    assert listing(long_case) == before
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_killed_worker_costs_one_sentence(long_case: Path, tmp_path: Path) -> None:
    with long_run(long_case, tmp_path / "out.nii.gz") as process:
        worker = worker_of(process)
        time.sleep(0.5)
        os.kill(worker, signal.SIGKILL)
        out, said = process.communicate(timeout=10)
    refused(Ended(process.returncode, out, said), "killed", "nothing was written")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_killed_command_takes_its_worker_with_it(long_case: Path, tmp_path: Path) -> None:
    with long_run(long_case, tmp_path / "out.nii.gz") as process:
        worker = worker_of(process)
        time.sleep(0.5)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
    assert not (tmp_path / "out.nii.gz").exists()
