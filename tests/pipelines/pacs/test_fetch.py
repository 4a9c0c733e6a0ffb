"""Series from a DICOMweb service that is down, breaks off, or gives half of what it promised."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from archive import dicom_series
from pydicom import Dataset, dcmread

from pipelines.pacs import fetch as module
from pipelines.pacs.fetch import Fetched, fetch
from pipelines.problems import CommandError


class Service:
    """A DICOMweb client of one series, as `dicomweb_client` answers."""

    def __init__(self, images: list[Dataset]) -> None:
        self.images, self.given, self.error = images, len(images), None

    def search_for_series(self, **_: Any) -> list[dict[str, Any]]:
        first = self.images[0]
        told = {
            "0020000D": first.StudyInstanceUID,
            "0020000E": first.SeriesInstanceUID,
            "00201209": len(self.images),
        }
        return [{tag: {"Value": [value]} for tag, value in told.items()}]

    def iter_series(self, *_: Any, **__: Any) -> Iterator[Dataset]:
        yield from self.images[: self.given]
        if self.error is not None:
            raise self.error


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service([dcmread(path) for path in sorted(dicom_series(tmp_path / "scanner").iterdir())])
    monkeypatch.setattr(module, "web_client", lambda *_, **__: service)
    return service


def get(spool: Path, *, free_gb: float = 0) -> Fetched:
    return fetch("https://pacs.example.org/dicom-web", spool, modalities=["MR"], free_gb=free_gb)


@pytest.mark.parametrize("error", [None, requests.ConnectionError("reset"), ValueError("no multipart")])
def test_half_a_series_is_not_there_and_asked_for_again(
    service: Service, tmp_path: Path, error: Exception | None
) -> None:
    service.given, service.error = 5, error
    assert get(tmp_path / "spool") == Fetched(failed=1)
    assert [path for path in (tmp_path / "spool").iterdir() if not path.name.startswith(".")] == []
    service.given, service.error = 10, None
    assert get(tmp_path / "spool") == Fetched(fetched=1)
    (folder,) = [path for path in (tmp_path / "spool").iterdir() if not path.name.startswith(".")]
    assert len(list(folder.iterdir())) == 10
    assert get(tmp_path / "spool") == Fetched(known=1)


def test_a_service_that_is_down(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/dicom-web"  # bound, and nobody listens
        with pytest.raises(CommandError, match=r"cannot be asked for series \(ConnectionError\)"):
            fetch(url, tmp_path / "spool", modalities=["MR"], free_gb=0)


def test_the_disk_is_not_filled(service: Service, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="less than 1e"):
        get(tmp_path / "spool", free_gb=1e9)
    assert list((tmp_path / "spool").iterdir()) == []
