"""`healthytwin label` as a process of its own, spoken to by MONAI Label's client as 3D Slicer does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
from conftest import phantom

from tests.hostile.folder import imported, make_hostile
from tests.label.conftest import AFFINE

TINY = {"epochs": 1, "steps": 2, "batch_size": 1}


def until(done: Callable[[], Any], *, seconds: float = 240) -> Any:
    """Wait for something to be true; gives it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := done():
            return result
        time.sleep(0.5)
    raise TimeoutError


@pytest.fixture(scope="module")
def server(
    studies: Path, bright_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process, and its port. It starts in a folder in which modules of every name lie."""
    for index in range(3):
        array = phantom(spatial=(40, 48, 10), seed=index)[0]
        nib.save(nib.Nifti1Image(array, AFFINE), studies / f"phantom{index}.nii.gz")
    home = tmp_path_factory.mktemp("home")
    make_hostile(home / "here", home / "imported")
    with started(studies, bright_bundle, home, home / "here") as (process, port):
        yield process, port
    assert imported(home / "imported") == []


@contextmanager
def started(studies: Path, bundle: Path, home: Path, here: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`healthytwin label` in the folder `here`, until it answers; and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "import sys; from pipelines.cli.app import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", program, "label", "--studies", str(studies), "--bundle", str(bundle)]
    command += ["--device", "cpu", "--port", str(port)]
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    log = home / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=here, env=environment, stdout=stream, stderr=stream)
    try:
        until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, log.read_text()
        yield process, port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/info/", timeout=30).ok
    except requests.ConnectionError:
        return False


def is_taken(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_its_parent(
    studies: Path, bright_bundle: Path, tmp_path: Path, end: signal.Signals
) -> None:
    with started(studies, bright_bundle, tmp_path, tmp_path) as (process, port):
        process.send_signal(end)
        process.wait()
        until(lambda: not is_taken(port), seconds=20)


@pytest.fixture
def client(server: tuple[Any, int], tmp_path: Path) -> Any:
    """Puts its files into a folder of its own: server and client would write over each other's."""
    from monailabel.client import MONAILabelClient

    return MONAILabelClient(f"http://127.0.0.1:{server[1]}", tmpdir=str(tmp_path))


def ended(client: Any, task: str) -> dict[str, Any]:
    """What became of a task that runs in the background, once it has ended."""

    def told() -> dict[str, Any] | None:
        answer = requests.get(f"{client.get_server_url()}/{task}", timeout=60).json()
        return answer if answer["status"] in ("DONE", "ERROR") else None

    return until(told)


def test_it_listens_at_this_machines_own_address_alone(server):
    import psutil

    process, port = server
    (child,) = psutil.Process(process.pid).children()
    listening = [one.laddr for one in child.net_connections() if one.status == psutil.CONN_LISTEN]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", port)]


def test_a_page_from_elsewhere_may_not_read_the_answers(server):
    url = f"http://127.0.0.1:{server[1]}"
    for origin, allowed in (("http://elsewhere.example", None), (url, url)):
        answer = requests.get(f"{url}/info/", headers={"Origin": origin}, timeout=60)
        assert answer.headers.get("access-control-allow-origin") == allowed


def test_every_study_is_scored_in_the_background_and_the_most_abnormal_comes_first(client):
    assert client.info()["name"] == "HealthyTwin"
    told = ended(client, "scoring/")
    assert told["status"] == "DONE", told
    objects = client.datastore()["objects"]
    seen = {image: entry["image"]["info"]["healthytwin"] for image, entry in objects.items()}
    assert len(seen) == 7
    assert seen["broken"]["refused"] == "NOT_AN_IMAGE"
    first = client.next_sample("most_abnormal", {})
    assert first["id"] == max((image for image in seen if image != "broken"), key=lambda image: seen[image]["score"])
    assert first["p_value"] == seen[first["id"]]["p_value"]


@pytest.mark.parametrize("image", ["ill", "series"])
def test_infer(client, studies, image):
    file, told = client.infer("detect", image, {"result_extension": ".nii.gz"})
    mask = nib.load(file)
    assert np.asarray(mask.dataobj).sum() > 0
    assert told["abnormal"]
    assert told["score"] > told["finding"]["thresholds"]["image"]
    if image == "ill":
        source = nib.load(studies / "ill.nii.gz")
        assert mask.shape == source.shape
        assert np.allclose(mask.affine, source.affine, atol=1e-5)


def test_batch_and_labels(client, tmp_path):
    requests.post(f"{client.get_server_url()}/batch/infer/detect", json={"max_workers": 1}, timeout=60)
    told = ended(client, "batch/infer")
    assert told["status"] == "DONE", told
    until(lambda: client.info()["datastore"]["label_tags"].get("original") == 6, seconds=20)
    mask = client.download_label("ill", "original")
    client.save_label("ill", mask, "final")
    assert client.info()["datastore"]["completed"] == 1
    assert "ill" not in [client.next_sample("most_abnormal", {})["id"] for _ in range(7)]


def test_training_on_what_was_declared_healthy_makes_another_model(client, tmp_path):
    for index in range(3):
        info = {"info": json.dumps({"healthy": True})}
        url = f"{client.get_server_url()}/datastore/image/info"
        requests.put(url, params={"image": f"phantom{index}"}, data=info, timeout=60).raise_for_status()
    client.train_start("train", TINY)
    told = ended(client, "train/")
    assert told["status"] == "DONE", told
    info = client.info()
    assert info["train_stats"]["train"]["trained-1"]["training"] == 2
    assert info["models"]["trained-1"]["description"].startswith("trained_1 0.1.0")
    file, told = client.infer("trained-1", "ill", {"result_extension": ".nii.gz"})
    assert told["finding"]["bundle"]["name"] == "trained_1"
    assert nib.load(file).shape == (40, 48, 10)
