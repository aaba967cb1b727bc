"""The worker's client against the real child process, and against children that misbehave."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest

from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.job import write_job
from pgt.volume import LabelMap, Segment, Volume
from PGTToolkitLib.worker import Failed, Finished, Progressed, Stopped, WorkerClient


def job(shape=(32, 32, 20)):
    geometry = Geometry(shape)
    labels = np.zeros(shape, np.uint8)
    labels[8:20, 8:20, 2] = labels[10:24, 8:20, 16] = 1
    label_map = LabelMap(labels, geometry, (Segment(1, "liver", (1.0, 0.0, 0.0)),))
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return Volume(image, geometry), SparseAnnotation.from_label_map(label_map, axis=2)


def propagate(client, settings):
    return client.submit("propagate", lambda folder: write_job(folder, *job(), settings))


def wait_for_end(client, seconds=90.0):
    """All events up to the one that ends the job."""
    events, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        events += client.poll()
        if events and not isinstance(events[-1], Progressed):
            return events
        time.sleep(0.02)
    raise AssertionError(f"the job did not end; until now: {events}")


def child(script):
    """A client whose child runs a script instead of the worker."""
    return WorkerClient(lambda: [sys.executable, "-c", script])


READ_JOB = "import sys, json; job = json.loads(sys.stdin.readline());"


@pytest.fixture
def client():
    client = WorkerClient()
    yield client
    client.close()


def test_a_job_ends_with_its_result(client):
    propagate(client, {"method": "shape"})
    assert client.busy
    finished = wait_for_end(client)[-1]
    assert isinstance(finished, Finished), finished
    assert not client.busy
    assert finished.result.label_map.voxels[12:18, 10:18, 9].all()


def test_the_process_stays_for_the_next_job(client):
    propagate(client, {"method": "shape"})
    wait_for_end(client)
    process = client.process_id
    propagate(client, {"method": "shape"})
    assert isinstance(wait_for_end(client)[-1], Finished)
    assert client.process_id == process


def test_a_killed_worker_costs_a_message_and_the_next_job_runs(client):
    propagate(client, {"method": "shape"})
    os.kill(client.process_id, signal.SIGKILL)
    failed = wait_for_end(client)[-1]
    assert isinstance(failed, Failed)
    assert "annotation is untouched" in failed.message
    propagate(client, {"method": "shape"})
    assert isinstance(wait_for_end(client)[-1], Finished)


def test_a_worker_killed_while_idle_is_started_again(client):
    propagate(client, {"method": "shape"})
    wait_for_end(client)
    os.kill(client.process_id, signal.SIGKILL)
    time.sleep(0.2)
    assert client.poll() == []
    propagate(client, {"method": "shape"})
    assert isinstance(wait_for_end(client)[-1], Finished)


def test_bad_input_is_one_sentence(client):
    propagate(client, {"method": "shape", "axis": 0})
    failed = wait_for_end(client)[-1]
    assert isinstance(failed, Failed)
    assert "annotated" in failed.message
    assert "Traceback" not in failed.message


def test_a_deaf_worker_is_ended_within_a_second():
    client = child(READ_JOB + "import time; time.sleep(60)")
    propagate(client, {})
    time.sleep(0.3)
    client.poll()
    started = time.monotonic()
    client.cancel()
    assert wait_for_end(client)[-1] == Stopped()
    assert time.monotonic() - started < 1.0
    assert not client.alive
    client.close()


def test_what_a_worker_said_before_it_died_is_kept():
    client = child(READ_JOB + "sys.stderr.write('CUDA error 77'); sys.exit(3)")
    propagate(client, {})
    failed = wait_for_end(client)[-1]
    assert isinstance(failed, Failed)
    assert "exit status 3" in failed.message
    assert "CUDA error 77" in failed.details
    client.close()


def test_chatter_and_events_of_other_jobs_are_passed_over():
    client = child(
        READ_JOB + "print('hello'); print('[]'); print(json.dumps({'id': '99', 'event': 'error'}));"
        "print(json.dumps({'id': job['id'], 'event': 'cancelled', 'exiting': False}))"
    )
    propagate(client, {})
    assert wait_for_end(client) == [Stopped()]
    client.close()


def test_the_job_folder_is_removed(client):
    from pathlib import Path

    propagate(client, {"method": "shape"})
    folder = Path(client._folder.name)
    assert folder.exists()
    wait_for_end(client)
    assert not folder.exists()


def test_one_job_at_a_time(client):
    propagate(client, {"method": "shape"})
    with pytest.raises(RuntimeError, match="busy"):
        propagate(client, {"method": "shape"})
