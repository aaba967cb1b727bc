"""The worker as a host sees it: a process, lines of JSON and job folders.

Well-behaved jobs run on the real engine. Misbehaviour that no engine shows on demand (a computation that does
not listen, one that crashes) is staged in its place, in the worker's own process.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worker_host import Host

import pgt
from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.job import read_result, write_job
from pgt.volume import LabelMap, Segment, Volume
from pgt.worker import EXIT_CANCELLED, PROTOCOL_VERSION

SHAPE_ONLY = {"method": "shape", "axis": 2}

STAGED = """
import os, sys, time
import numpy as np
import pgt.propagation.engine as engine
from pgt import worker
from pgt.progress import Progress

real = engine.propagate

def propagate(volume, annotation, settings, *, progress, cancelled, previous):
    progress(Progress(0, 1, 0.0, "started"))
{body}
    return real(volume, annotation, settings, progress=progress, cancelled=cancelled)

engine.propagate = propagate
worker.main()
"""


StartHost = Callable[..., Host]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartHost]:
    hosts = []

    def start_host(staged: str | None = None, script: Path | None = None) -> Host:
        command = [sys.executable, "-m", "pgt.worker"] if script is None else [sys.executable, str(script)]
        if staged is not None:
            script = tmp_path / "staged.py"
            script.write_text(STAGED.format(body=textwrap.indent(textwrap.dedent(staged), "    ")))
            command = [sys.executable, str(script)]
        hosts.append(Host(command))
        hosts[-1].next("ready")
        return hosts[-1]

    yield start_host
    for host in hosts:
        host.process.kill()
        host.process.wait()


@pytest.fixture
def job(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a cylinder that moves, drawn on three slices."""

    def write(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_job(folder, *cylinder(), SHAPE_ONLY)
        return folder

    return write


def cylinder() -> tuple[Volume, SparseAnnotation]:
    geometry = Geometry((24, 20, 13), (1.0, 1.5, 3.0), (-5.0, 7.0, 9.0))
    i, j, k = np.indices(geometry.shape)
    inside = (i - 8 - 0.5 * k) ** 2 + (1.5 * (j - 10)) ** 2 < 36
    volume = Volume(np.where(inside, 100, -50).astype(np.int16), geometry)
    labels = np.where(inside & np.isin(k, [1, 6, 11]), 3, 0).astype(np.uint8)
    label_map = LabelMap(labels, geometry, (Segment(3, "Cylinder", (0.5, 0.25, 1.0), "code^text"),))
    return volume, SparseAnnotation(label_map, {3: {2: (1, 6, 11)}})


def test_it_says_that_it_is_ready_and_answers(start: StartHost) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(pgt.__file__).parents[1])}
    answer = subprocess.run(
        [sys.executable, "-m", "pgt.worker"], input='{"id": "a", "command": "ping"}\n', capture_output=True,
        text=True, env=environment, timeout=30, check=True,
    )  # fmt: skip
    ready, pong = (json.loads(line) for line in answer.stdout.splitlines())
    assert ready.items() >= {"id": None, "event": "ready", "protocol": PROTOCOL_VERSION}.items()
    assert pong == {"id": "a", "event": "pong", "running": None}


def test_a_result_comes_back_as_the_engine_gives_it(start: StartHost, job: Callable[[str], Path]) -> None:
    from pgt.propagation.engine import PropagationSettings, propagate

    host, folder = start(), job("one")
    host.send(id="1", command="propagate", job=str(folder))
    assert host.next("result", "error") == {"id": "1", "event": "result", "job": str(folder)}
    result = read_result(folder)
    expected = propagate(*cylinder(), PropagationSettings(method="shape", axis=2))
    np.testing.assert_array_equal(result.label_map.voxels, expected.label_map.voxels)
    np.testing.assert_array_equal(result.uncertainty, expected.uncertainty)
    assert result.label_map.geometry == expected.label_map.geometry
    assert result.label_map.segments == expected.label_map.segments
    assert (result.slices, result.next_slice) == (expected.slices, expected.next_slice)
    assert (result.axis, result.annotated) == (2, (1, 6, 11))


def test_jobs_are_done_in_the_order_asked_by_one_process(
    start: StartHost, job: Callable[[str], Path]
) -> None:
    host = start()
    for name in ("a", "b", "c"):
        host.send(id=name, command="propagate", job=str(job(name)))
    assert [host.next("result")["id"] for _ in range(3)] == ["a", "b", "c"]
    assert host.process.poll() is None


def test_progress_is_reported(start: StartHost, job: Callable[[str], Path]) -> None:
    host = start()
    host.send(id="1", command="propagate", job=str(job("one")))
    event = host.next("progress")
    assert set(event) == {"id", "event", "done", "total", "seconds", "message"}
    assert event["id"] == "1"
    assert 0 <= event["done"] <= event["total"]


def test_it_answers_while_it_works(start: StartHost, job: Callable[[str], Path]) -> None:
    host = start("time.sleep(3)")
    host.send(id="1", command="propagate", job=str(job("one")))
    host.next("progress")
    host.send(id="p", command="ping")
    assert host.next("pong", within=1) == {"id": "p", "event": "pong", "running": "1"}


def test_a_listening_computation_is_cancelled_and_the_worker_stays(
    start: StartHost, job: Callable[[str], Path]
) -> None:
    host = start(
        """
        from pgt.errors import Cancelled
        while volume.voxels[0, 0, 0] != 7:
            time.sleep(0.02)
            if cancelled():
                raise Cancelled
        """
    )
    host.send(id="1", command="propagate", job=str(job("one")))
    host.next("progress")
    asked = time.monotonic()
    host.send(id="c", command="cancel", target="1")
    assert host.next("cancelled") == {"id": "1", "event": "cancelled", "exiting": False}
    assert time.monotonic() - asked < 1
    host.send(id="p", command="ping")
    assert host.next("pong")["running"] is None


@pytest.mark.parametrize("busy", ["time.sleep(60)", "np.linalg.svd(np.random.rand(3000, 3000))"])
def test_a_deaf_computation_is_cancelled_within_a_second_too(
    start: StartHost, job: Callable[[str], Path], busy: str
) -> None:
    host = start(busy)
    host.send(id="1", command="propagate", job=str(job("one")))
    host.next("progress")
    asked = time.monotonic()
    host.send(id="c", command="cancel", target="1")
    assert host.next("cancelled", "result") == {"id": "1", "event": "cancelled", "exiting": True}
    assert time.monotonic() - asked < 1
    assert host.exit_status() == EXIT_CANCELLED


def test_a_waiting_job_is_cancelled_and_the_running_one_is_not(
    start: StartHost, job: Callable[[str], Path]
) -> None:
    host = start("time.sleep(1)")
    host.send(id="1", command="propagate", job=str(job("one")))
    host.send(id="2", command="propagate", job=str(job("two")))
    host.send(id="c", command="cancel", target="2")
    assert host.next("cancelled", "result")["id"] == "2"
    assert host.next("cancelled", "result")["id"] == "1"
    host.send(id="p", command="ping")
    assert host.next("pong", "result")["event"] == "pong"


def test_cancelling_what_is_over_does_nothing(start: StartHost, job: Callable[[str], Path]) -> None:
    host = start()
    host.send(id="1", command="propagate", job=str(job("one")))
    host.next("result")
    host.send(id="c", command="cancel", target="1")
    host.send(id="p", command="ping")
    assert host.next("pong", "cancelled", "error")["event"] == "pong"


@pytest.mark.parametrize("end", ["shutdown", "host is gone"])
def test_it_ends_at_once_with_its_host_even_while_busy(
    start: StartHost, job: Callable[[str], Path], end: str
) -> None:
    host = start("time.sleep(60)")
    host.send(id="1", command="propagate", job=str(job("one")))
    host.next("progress")
    if end == "shutdown":
        host.send(id="s", command="shutdown")
    else:
        assert host.process.stdin is not None
        host.process.stdin.close()
    assert host.exit_status(within=1) == 0


def test_what_libraries_print_stays_out_of_the_protocol(start: StartHost, job: Callable[[str], Path]) -> None:
    host = start("print('from Python'); os.write(1, b'from C\\n'); os.system('echo from a child')")
    host.send(id="1", command="propagate", job=str(job("one")))
    assert host.next("result", "error")["event"] == "result"


def test_a_crash_ends_the_process_and_writes_no_result(start: StartHost, job: Callable[[str], Path]) -> None:
    host, folder = start("os.abort()"), job("one")
    host.send(id="1", command="propagate", job=str(folder))
    assert host.exit_status() != 0
    assert not (folder / "result.json").exists()


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("raise MemoryError", "memory", "not enough memory"),
        ("1 / 0", "internal", "ZeroDivisionError"),
        ("from pgt.errors import DeviceError; raise DeviceError('No GPU.')", "device", "No GPU."),
        ("from pgt.errors import CheckpointError; raise CheckpointError('Bad.')", "checkpoint", "Bad."),
    ],
)
def test_errors_name_their_kind_and_the_worker_goes_on(
    start: StartHost, job: Callable[[str], Path], fault: str, kind: str, said: str
) -> None:
    host = start(fault)
    for identifier in ("1", "2"):
        host.send(id=identifier, command="propagate", job=str(job(identifier)))
        error = host.next("error", "result")
        assert (error["id"], error["kind"]) == (identifier, kind)
        assert said in error["message"]
        assert "Traceback" in error["details"]


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[1, 2]",
        "{}",
        '{"id": "1"}',
        '{"id": "1", "command": "fly"}',
        '{"id": "1", "command": "cancel"}',
    ],
)
def test_a_request_that_is_none_is_answered_and_survived(start: StartHost, line: str) -> None:
    host = start()
    host.send_line(line)
    assert host.next("error")["kind"] == "protocol"
    host.send(id="p", command="ping")
    assert host.next("pong")["id"] == "p"


def spoil_nothing_there(folder: Path) -> None:
    (folder / "job.json").unlink()


def spoil_json(folder: Path) -> None:
    (folder / "job.json").write_text("{")


def spoil_schema(folder: Path) -> None:
    text = (folder / "job.json").read_text()
    (folder / "job.json").write_text(text.replace('"schema": 1', '"schema": 99'))


def spoil_array(folder: Path) -> None:
    content = (folder / "image.npy").read_bytes()
    (folder / "image.npy").write_bytes(content[: len(content) // 2])


def spoil_shape(folder: Path) -> None:
    np.save(folder / "labels.npy", np.zeros((2, 3, 4), np.uint8))


@pytest.mark.parametrize(
    "spoil",
    [spoil_nothing_there, spoil_json, spoil_schema, spoil_array, spoil_shape],
    ids=lambda f: f.__name__,
)
def test_a_spoilt_job_folder_is_refused(
    start: StartHost, job: Callable[[str], Path], spoil: Callable[[Path], None]
) -> None:
    host, folder = start(), job("one")
    spoil(folder)
    host.send(id="1", command="propagate", job=str(folder))
    error = host.next("error", "result")
    assert error["kind"] == "input"
    assert str(folder) in error["message"]


def test_code_hidden_in_an_array_is_not_run(
    start: StartHost, job: Callable[[str], Path], tmp_path: Path
) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "harmed"),)

    host, folder = start(), job("one")
    (folder / "image.npy").write_bytes(pickle.dumps(Payload()))
    host.send(id="1", command="propagate", job=str(folder))
    assert host.next("error", "result")["kind"] == "input"
    np.save(folder / "image.npy", np.array([Payload()], dtype=object), allow_pickle=True)
    host.send(id="2", command="propagate", job=str(folder))
    assert host.next("error", "result")["kind"] == "input"
    assert not (tmp_path / "harmed").exists()


def test_the_result_that_is_refined_is_still_known(start: StartHost, job: Callable[[str], Path]) -> None:
    host = start("progress(Progress(0, 1, 0.0, f'knows {previous.axis if previous else None}'))")
    host.send(id="1", command="propagate", job=str(job("1")))
    host.next("progress")
    assert host.next("progress")["message"] == "knows None"
    host.next("result")
    for identifier, previous, knows in (("2", "1", "2"), ("3", "1", "None")):
        host.send(id=identifier, command="propagate", job=str(job(identifier)), previous=previous)
        host.next("progress")
        assert host.next("progress")["message"] == f"knows {knows}"
        host.next("result")


COUNTING = """
import sys
from pathlib import Path
from pgt import worker
from pgt.job_kinds import KINDS, JobKind
from pgt.progress import Progress

def run(folder, report, cancelled, state):
    report(Progress(state.previous or 0, 9, 0.0, "counted so far"))
    state.keep((state.previous or 0) + 1)
    if (folder / "fail").exists():
        raise MemoryError

if __name__ == "__main__":
    KINDS["count"] = KINDS["count again"] = JobKind("count", "counting")
    worker.main()
"""


def test_each_kind_of_job_refines_its_own_newest_success(
    start: StartHost, job: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    host = start(script=tmp_path / "counting.py")
    (tmp_path / "failing").mkdir()
    (tmp_path / "failing" / "fail").touch()

    def counted(identifier: str, kind: str, previous: str | None, folder: Path = tmp_path) -> Any:
        host.send(id=identifier, command=kind, job=str(folder), previous=previous)
        return host.next("progress")["done"]

    assert counted("1", "count", None) == 0
    assert counted("2", "count", "1") == 1
    assert counted("3", "count again", "2") == 0
    assert counted("4", "count", "2", tmp_path / "failing") == 2
    assert host.next("error")["message"] == "There is not enough memory for this count."
    assert counted("5", "count", "2") == 2
    assert counted("6", "count", "2") == 0


def test_temporary_files_lie_where_the_host_removes_them(
    start: StartHost, job: Callable[[str], Path]
) -> None:
    host, folder = (
        start("import tempfile; open(tempfile.mkdtemp() + '/left', 'w').close(); os.abort()"),
        job("one"),
    )
    host.send(id="1", command="propagate", job=str(folder))
    assert host.exit_status() != 0
    assert list(folder.rglob("left"))
