"""A real Orthanc for tests. It listens at every address, and so it runs in a network of its own and in no other."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import requests

from pipelines.pacs.targets import StoreNode

if TYPE_CHECKING:
    from pydicom import Dataset

Array = np.ndarray
ROOT, WEB = "http://127.0.0.1:18042", "http://127.0.0.1:18042/dicom-web"
NODE = StoreNode(host="127.0.0.1", port=14242, title="TESTPACS")
ISOLATED = ["unshare", "-n", "bash", "-c", 'ip link set lo up && exec "$@"', "bash"]  # begins a command
_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_CONFIG = {
    "Name": NODE.title,
    "Plugins": [str(_PLUGIN)],
    "RemoteAccessAllowed": False,
    "AuthenticationEnabled": False,
    "HttpPort": 18042,
    "DicomAet": NODE.title,
    "DicomPort": NODE.port,
    "DicomAlwaysAllowStore": True,
    "OverwriteInstances": False,
    "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "Ssl": False},
}


def missing() -> str:
    """Why there can be no Orthanc in a network of its own here; "" where there can."""
    if shutil.which("Orthanc") is None or not _PLUGIN.is_file():
        return "Orthanc is not installed: apt-get install orthanc orthanc-dicomweb"
    if subprocess.run([*ISOLATED, "true"], capture_output=True, check=False).returncode:
        return "a network of one's own can be made by root alone"
    return ""


def is_isolated() -> bool:
    """Does this process see no network but loopback?"""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def start(folder: Path, **settings: Any) -> subprocess.Popen[bytes]:
    """Start Orthanc, and wait until it answers.

    Args:
        folder: for its database, configuration and log; one that was used before goes on.
        settings: of its configuration, beside or instead of ours.

    Raises:
        RuntimeError: this process is not in a network of its own, or Orthanc does not start.
    """
    if not is_isolated():
        msg = "Orthanc listens at every address: it must not run in the machine's own network"
        raise RuntimeError(msg)
    told = {**_CONFIG, "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), **settings}
    (folder / "orthanc.json").write_text(json.dumps(told))
    with (folder / "orthanc.log").open("a") as log:
        server = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    for _ in range(600):
        try:
            requests.get(f"{ROOT}/system", timeout=1).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
            continue
        return server
    server.kill()
    raise RuntimeError((folder / "orthanc.log").read_text())


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[None]:
    """Orthanc for the time of the body; see `start`."""
    server = start(folder, **settings)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def instances() -> int:
    """How many objects Orthanc has."""
    return int(_session().get(f"{ROOT}/statistics", timeout=10).json()["CountInstances"])


@cache
def _session() -> requests.Session:
    """One connection for many questions."""
    return requests.Session()


def stored() -> Iterator[Dataset]:
    """Every object that Orthanc has, as it gives it back."""
    from pydicom import dcmread

    for name in requests.get(f"{ROOT}/instances", timeout=60).json():
        yield dcmread(BytesIO(requests.get(f"{ROOT}/instances/{name}/file", timeout=60).content))


def voxel_places(mask: Array, affine: Array) -> Array:
    """Where the voxels of a mask are, in mm, `(voxels, 3)` in an order that does not depend on the grid's."""
    places = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return places[np.lexsort(places.round(2).T)]


def farthest(segmentation: Any, mask: Any) -> float:
    """Farthest that a voxel of a DICOM segmentation is from the same voxel of a NIfTI mask, in mm.

    Args:
        segmentation: of highdicom, with one segment.
        mask: of nibabel.
    """
    volume = segmentation.get_volume(combine_segments=False, segment_numbers=[1])
    one = voxel_places(np.squeeze(volume.array) > 0, np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine)
    other = voxel_places(np.asarray(mask.dataobj) > 0, mask.affine)
    return float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")
