"""The C-STORE listener: who may send, what is kept, and when a study is complete."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive import FAMILY_NAME, Clock, dicom_series
from pydicom import dcmread
from pynetdicom import AE
from typer.testing import Result

from data_prep import discover
from pipelines.pacs import receive
from pipelines.pacs.receive import Receiver
from pipelines.problems import CommandError

SLICES = 10


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver(tmp_path: Path, clock: Clock) -> Iterator[Receiver]:
    receiver = Receiver(
        tmp_path / "inbox", title="HEALTHYTWIN", senders=["SCANNER"], address=("127.0.0.1", 0), settle=60, clock=clock
    )
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def images(tmp_path: Path) -> list[Any]:
    return [dcmread(path) for path in sorted(dicom_series(tmp_path / "scan", lesion=True).iterdir())]


def send(
    receiver: Receiver, images: list[Any], *, sender: str = "SCANNER", to: str = "HEALTHYTWIN"
) -> list[int] | None:
    """The statuses; None where the association was not accepted."""
    entity = AE(ae_title=sender)
    entity.add_requested_context(images[0].SOPClassUID)
    association = entity.associate("127.0.0.1", receiver.port, ae_title=to)
    if not association.is_established:
        return None
    statuses = [association.send_c_store(image).Status for image in images]
    association.release()
    return statuses


def test_a_study_is_complete_once_it_has_been_quiet(receiver: Receiver, clock: Clock, images: list[Any]) -> None:
    assert send(receiver, images[:6]) == [0] * 6
    clock.now = 59
    assert receiver.settle_all() == 0
    assert list(discover(receiver.inbox)) == []
    assert send(receiver, images[6:]) == [0] * 4
    clock.now = 118
    assert receiver.settle_all() == 0
    clock.now = 119
    assert receiver.settle_all() == 1
    (series,) = discover(receiver.inbox)
    assert (series.verdict, series.files) == ("ACCEPT", SLICES)
    assert series.volume().shape == (40, 48, SLICES)
    assert receiver.counts == {"images": SLICES, "studies": 1}


def test_images_that_come_late_or_twice_join_the_others(receiver: Receiver, clock: Clock, images: list[Any]) -> None:
    send(receiver, images[:6])
    clock.now += 60
    receiver.settle_all()
    send(receiver, images[4:])
    clock.now += 60
    assert receiver.settle_all() == 1
    (series,) = discover(receiver.inbox)
    assert series.files == SLICES


def test_names_tell_nothing_of_the_patient(receiver: Receiver, clock: Clock, images: list[Any]) -> None:
    send(receiver, images)
    clock.now += 60
    receiver.settle_all()
    for path in receiver.inbox.rglob("*"):
        assert FAMILY_NAME not in str(path)
        assert images[0].StudyInstanceUID not in str(path)


def test_strangers_are_turned_away(receiver: Receiver, images: list[Any]) -> None:
    assert send(receiver, images, sender="STRANGER") is None
    assert send(receiver, images, to="OTHER") is None
    assert receiver.counts == {}


def test_what_arrived_before_a_restart_is_not_lost(
    receiver: Receiver, clock: Clock, images: list[Any], tmp_path: Path
) -> None:
    send(receiver, images)
    (receiver.inbox / ".arriving" / ".half").write_bytes(b"half an image")
    again = Receiver(receiver.inbox, title="HEALTHYTWIN", senders=["SCANNER"], clock=clock)
    clock.now += 60
    assert again.settle_all() == 1
    (series,) = discover(receiver.inbox)
    assert series.files == SLICES
    assert list((receiver.inbox / ".arriving").iterdir()) == []


def test_bounds_are_kept(receiver: Receiver, images: list[Any]) -> None:
    receiver.most_bytes = 1000
    assert send(receiver, images[:1]) == [receive.OUT_OF_RESOURCES]
    receiver.most_bytes = 10**6
    receiver.free_gb = 1e6
    assert send(receiver, images[:1]) == [receive.OUT_OF_RESOURCES]
    receiver.free_gb = 0
    nameless = copy.deepcopy(images[0])
    del nameless.StudyInstanceUID
    assert send(receiver, [nameless]) == [receive.NOT_UNDERSTOOD]
    assert receiver.counts == {"refused": 3}
    assert send(receiver, images[:1]) == [0]


def test_a_listener_needs_senders_and_a_port_of_its_own(healthytwin: Any, receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="at least one"):
        Receiver(tmp_path / "other", title="A", senders=[])
    told: Result = healthytwin("receive", tmp_path / "other", "--allow", "A", "--port", receiver.port)
    assert told.exit_code == 2
    assert "cannot be listened at" in told.stderr
    assert healthytwin("receive", tmp_path / "other").exit_code == 2
