"""Series from a DICOMweb service that is down, hostile, breaks off, or gives half of what it promised."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from archive import dicom_series
from pydicom import dcmread

from data_prep import discover
from pipelines.pacs.fetch import Fetched, fetch
from pipelines.pacs.retrieve import Limits
from pipelines.pacs.web import Bounds
from pipelines.problems import CommandError
from tests.attack.evil_web import BEHAVIOURS, Answer, Service, running, whole

SLICES = 10
QUICK = Limits(
    object_bytes=4_000_000,
    objects=100,
    answer=Bounds(most_bytes=20_000_000, seconds=20, grace=0.5, slowest=20_000),
)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    with running(service):
        yield service


def get(service: Service, spool: Path, *, free_gb: float = 0, limits: Limits = QUICK) -> Fetched:
    return fetch(service.url, spool, modalities=["MR"], free_gb=free_gb, limits=limits)


def folders(spool: Path) -> list[Path]:
    return sorted(spool.iterdir())  # hidden ones too: nothing may be left


def test_half_a_series_is_not_there_and_asked_for_again(service: Service, tmp_path: Path) -> None:
    given = [slice(0, 5)]
    service.add(lambda answer: answer.begin()(whole(answer.images[given[0]])) and None, dicom_series(tmp_path / "a"))
    told = get(service, tmp_path / "spool")
    assert told == Fetched(failed=1)
    assert told.reasons == {"images missing": 1}
    assert folders(tmp_path / "spool") == []
    given[0] = slice(None)
    assert get(service, tmp_path / "spool") == Fetched(fetched=1)
    (folder,) = folders(tmp_path / "spool")
    assert len(list(folder.iterdir())) == SLICES
    assert get(service, tmp_path / "spool") == Fetched(known=1)
    (series,) = discover(tmp_path / "spool")
    assert (series.verdict, series.files) == ("ACCEPT", SLICES)


@pytest.mark.parametrize(("behaviour", "why"), BEHAVIOURS.items(), ids=[one.__name__ for one in BEHAVIOURS])
def test_a_bad_answer_costs_one_series(
    service: Service, tmp_path: Path, behaviour: Callable[[Answer], None], why: str
) -> None:
    service.add(behaviour, dicom_series(tmp_path / "bad"))
    service.add(Answer.good, dicom_series(tmp_path / "good", seed=1))
    begin = time.monotonic()
    told = get(service, tmp_path / "spool")
    assert told == Fetched(fetched=1, failed=1)
    assert told.reasons == {why: 1}
    assert time.monotonic() - begin < 20
    assert len(folders(tmp_path / "spool")) == 1


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "series",
        {},
        {"0020000E": {"Value": ["1.2.3"]}},
        {"0020000D": {"Value": ["1.2"]}, "0020000E": {"Value": ["../../../etc"]}},
        {"0020000D": {"Value": [None]}, "0020000E": {"Value": "1"}},
        {"0020000D": {"Value": ["1.2"]}, "0020000E": {"Value": [{"Alphabetic": "X"}]}},
    ],
)
def test_a_list_with_a_broken_entry(tmp_path: Path, entry: Any) -> None:
    service = Service([entry])
    service.add(Answer.good, dicom_series(tmp_path / "good"))
    with running(service):
        assert get(service, tmp_path / "spool") == Fetched(fetched=1, failed=1)


@pytest.mark.parametrize("number", ["ten", [10], 10.5, "9" * 40, -1])
def test_a_number_of_images_that_is_none(service: Service, tmp_path: Path, number: Any) -> None:
    service.add(Answer.good, dicom_series(tmp_path / "good"))
    service.entries[0]["00201209"]["Value"] = [number]
    assert get(service, tmp_path / "spool") == Fetched(fetched=1)


@pytest.mark.parametrize("content", [b"<html>", b"[" * 100_000, b'{"a": 1', b"null", b"7", b" " * 20_000_000])
def test_a_list_of_series_that_is_none(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(service, "handle", lambda handler: Answer(handler, []).begin(kind="application/json")(content))
    with pytest.raises(CommandError, match="cannot be asked for series"):
        get(service, tmp_path / "spool")


def test_a_service_that_knows_no_pages_is_asked_twice(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add(Answer.good, dicom_series(tmp_path / "good"))
    real = service.handle

    def handle(handler: Any) -> None:
        handler.path = handler.path.replace("offset=1", "offset=0")
        real(handler)

    monkeypatch.setattr(service, "handle", handle)
    assert get(service, tmp_path / "spool") == Fetched(fetched=1)
    assert len(service.seen) == 3


def test_two_images_of_one_uid_stay_two(service: Service, tmp_path: Path) -> None:
    folder = dicom_series(tmp_path / "a")
    first, second = sorted(folder.iterdir())[:2]
    image = dcmread(second)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = dcmread(first).SOPInstanceUID
    image.save_as(second)
    service.add(Answer.good, folder)
    assert get(service, tmp_path / "spool") == Fetched(fetched=1)
    (series,) = discover(tmp_path / "spool")
    assert series.code == "DUPLICATE_CONFLICT"


def test_a_single_object_may_come_without_parts(service: Service, tmp_path: Path) -> None:
    folder = dicom_series(tmp_path / "a")
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    service.add(lambda one: one.begin(kind="application/dicom")(one.images[0]) and None, folder)
    assert get(service, tmp_path / "spool") == Fetched(fetched=1)


def test_what_is_fetched_is_private(service: Service, tmp_path: Path) -> None:
    service.add(Answer.good, dicom_series(tmp_path / "a"))
    get(service, tmp_path / "spool")
    paths = [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_a_service_that_is_down(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/dicom-web"  # bound, and nobody listens
        with pytest.raises(CommandError, match=r"cannot be asked for series \(ConnectionError\)"):
            fetch(url, tmp_path / "spool", modalities=["MR"], free_gb=0)


def test_the_disk_is_not_filled(service: Service, tmp_path: Path) -> None:
    service.add(Answer.good, dicom_series(tmp_path / "a"))
    with pytest.raises(CommandError, match="less than 1e"):
        get(service, tmp_path / "spool", free_gb=1e9)
    assert folders(tmp_path / "spool") == []


def test_a_disk_that_cannot_be_written_to_is_no_fault_of_a_series(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.pacs import retrieve

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(retrieve, "sync", full)
    service.add(Answer.good, dicom_series(tmp_path / "a"))
    with pytest.raises(CommandError, match="No space left"):
        get(service, tmp_path / "spool")


def test_the_standard_library_still_answers_as_is_built_on() -> None:
    assert http.client.HTTPConnection.response_class is http.client.HTTPResponse


def test_a_service_that_gives_nothing_is_told(healthytwin: Any, identity_bundle: Path, tmp_path: Path) -> None:
    service = Service()
    fails = next(one for one in BEHAVIOURS if BEHAVIOURS[one] == "HTTP 500")
    service.add(fails, dicom_series(tmp_path / "a"))
    with running(service) as url:
        told = healthytwin("reprocess", url, "-o", tmp_path / "archive", "--bundle", identity_bundle)
    assert told.exit_code == 3, told.stderr
    assert "1 series did not come in full (1 x HTTP 500)" in told.stderr
    assert "nothing to do" not in told.stderr
