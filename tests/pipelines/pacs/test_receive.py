"""The C-STORE listener: who may send, what is kept, and when a study is complete."""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive import FAMILY_NAME, Clock, dicom_series
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from typer.testing import Result

from data_prep import discover
from pipelines.pacs.receive import Receiver
from pipelines.pacs.spool import MISMATCH, NOT_UNDERSTOOD, OUT_OF_RESOURCES, Spool
from pipelines.problems import CommandError

SLICES = 10
MR = "1.2.840.10008.5.1.4.1.1.4"


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
    assert send(receiver, images[:1]) == [OUT_OF_RESOURCES]
    receiver.most_bytes = 10**6
    receiver.free_gb = 1e6
    assert send(receiver, images[:1]) == [OUT_OF_RESOURCES]
    receiver.free_gb = 0
    nameless = copy.deepcopy(images[0])
    del nameless.StudyInstanceUID
    assert send(receiver, [nameless]) == [NOT_UNDERSTOOD]
    assert receiver.counts == {"refused": 3}
    assert send(receiver, images[:1]) == [0]


def test_a_listener_needs_senders_and_a_port_of_its_own(healthytwin: Any, receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="at least one"):
        Receiver(tmp_path / "other", title="A", senders=[])
    told: Result = healthytwin("receive", tmp_path / "other", "--allow", "A", "--port", receiver.port)
    assert told.exit_code == 2
    assert "cannot be listened at" in told.stderr
    assert healthytwin("receive", tmp_path / "other").exit_code == 2


def stored(receiver: Receiver) -> list[Path]:
    return sorted(path for path in receiver.inbox.rglob("*.dcm"))


def with_uid(image: Any, **uids: str) -> Any:
    """A copy of an image with other UIDs."""
    other = copy.deepcopy(image)
    for name, uid in uids.items():
        setattr(other, name, uid)
    return other


def test_two_images_of_one_uid_are_both_kept_for_the_gate(receiver: Receiver, clock: Clock, images: list[Any]) -> None:
    other = copy.deepcopy(images[0])
    other.PixelData = b"\1" * len(other.PixelData)
    assert send(receiver, [*images, other]) == [0] * (SLICES + 1)
    clock.now += 60
    assert receiver.settle_all() == 1
    assert len(stored(receiver)) == SLICES + 1
    (series,) = discover(receiver.inbox)
    assert series.code == "DUPLICATE_CONFLICT"


def test_a_different_image_of_a_known_uid_replaces_nothing_later_either(
    receiver: Receiver, clock: Clock, images: list[Any]
) -> None:
    send(receiver, images)
    clock.now += 60
    receiver.settle_all()
    before = {path: path.read_bytes() for path in stored(receiver)}
    other = copy.deepcopy(images[0])
    other.PixelData = b"\1" * len(other.PixelData)
    send(receiver, [other])
    clock.now += 60
    receiver.settle_all()
    assert len(stored(receiver)) == SLICES + 1
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_image_again_is_the_same_file(receiver: Receiver, images: list[Any]) -> None:
    assert send(receiver, [images[0], images[0]]) == [0, 0]
    assert len(stored(receiver)) == 1


def encoded(association: Any, image: Any) -> bytes:
    """An image as it is sent."""
    return encode(image, association.accepted_contexts[0].transfer_syntax[0].is_implicit_VR, True) or b""


def say(association: Any, data: bytes, *, kind: str, instance: str) -> int:
    """Send an image under a command that may name another one; its status."""
    context = association.accepted_contexts[0]
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = kind, instance
    request.DataSet = io.BytesIO(data)
    association._reactor_checkpoint.clear()  # as pynetdicom's own `send_c_store`
    wait(lambda: association._is_paused)
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(answer.Status)


def test_the_uid_of_the_data_set_counts(receiver: Receiver, clock: Clock, images: list[Any]) -> None:
    association = begin(receiver, images[:1])
    first = images[0]
    for image in images:
        assert say(association, encoded(association, image), kind=MR, instance=first.SOPInstanceUID) == 0
    association.release()
    clock.now += 60
    receiver.settle_all()
    (series,) = discover(receiver.inbox)
    assert (series.verdict, series.files) == ("ACCEPT", SLICES)
    for path in stored(receiver):
        image = dcmread(path)
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("uid", [f"{FAMILY_NAME}^JANE", "../../../etc/x", "1..2", ""])
def test_what_is_no_uid_is_refused_and_not_repeated(
    receiver: Receiver, images: list[Any], name: str, uid: str, capfd: Any, caplog: Any
) -> None:
    first = images[0]
    association = begin(receiver, [])
    data = encoded(association, with_uid(first, **{name: uid}))
    caplog.clear()  # what pydicom said of making it
    assert say(association, data, kind=MR, instance=first.SOPInstanceUID) == NOT_UNDERSTOOD
    association.release()
    assert stored(receiver) == []
    assert FAMILY_NAME not in "".join((*capfd.readouterr(), caplog.text))


def test_an_image_of_another_class_than_announced_is_refused(receiver: Receiver, images: list[Any]) -> None:
    first = images[0]
    first.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    association = begin(receiver, [])
    data = encoded(association, first)
    assert say(association, data, kind=MR, instance=first.SOPInstanceUID) == MISMATCH
    association.release()


def begin(receiver: Receiver, images: list[Any]) -> Any:
    """An association that has sent some images, and is still there."""
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(MR)
    association = entity.associate("127.0.0.1", receiver.port, ae_title="HEALTHYTWIN")
    assert [association.send_c_store(image).Status for image in images] == [0] * len(images)
    return association


def wait(condition: Any, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("ending", ["abort", "cut"])
def test_a_study_whose_association_broke_waits_for_its_sender(
    receiver: Receiver, clock: Clock, images: list[Any], ending: str
) -> None:
    association = begin(receiver, images[:6])
    if ending == "abort":
        association.abort()
    else:
        association.dul.socket.socket.shutdown(2)
    wait(lambda: not receiver._server.peers)
    clock.now += 60
    assert (receiver.settle_all(), receiver.held) == (0, 1)
    assert list(discover(receiver.inbox)) == []
    again = Receiver(receiver.inbox, title="HEALTHYTWIN", senders=["SCANNER"], settle=60, clock=clock)
    clock.now += 60
    assert (again.settle_all(), again.held) == (0, 1)  # not forgotten by a restart
    send(receiver, images)
    clock.now += 60
    assert (receiver.settle_all(), receiver.held) == (1, 0)
    (series,) = discover(receiver.inbox)
    assert (series.verdict, series.files) == ("ACCEPT", SLICES)
    assert [path.name for path in receiver.inbox.rglob("*") if path.is_file() and path.suffix != ".dcm"] == []


def test_one_that_ends_well_does_not_speak_for_one_that_breaks_later(
    receiver: Receiver, clock: Clock, images: list[Any]
) -> None:
    first = begin(receiver, images[:3])
    second = begin(receiver, images[3:6])
    clock.now += 10
    first.abort()
    wait(lambda: len(receiver._server.peers) == 1)
    second.release()
    clock.now += 60
    assert (receiver.settle_all(), receiver.held) == (0, 1)


def test_an_open_association_keeps_its_study(receiver: Receiver, clock: Clock, images: list[Any]) -> None:
    association = begin(receiver, images[:6])
    clock.now += 60
    assert (receiver.settle_all(), receiver.held) == (0, 0)
    association.release()
    assert receiver.settle_all() == 1


def test_a_study_of_which_an_image_was_refused_waits(receiver: Receiver, clock: Clock, images: list[Any]) -> None:
    association = begin(receiver, images[:6])
    receiver.free_gb = 1e6
    assert association.send_c_store(images[6]).Status == OUT_OF_RESOURCES
    association.release()
    receiver.free_gb = 0
    wait(lambda: not receiver._server.peers)
    clock.now += 60
    assert (receiver.settle_all(), receiver.held) == (0, 1)
    send(receiver, images)
    clock.now += 60
    assert receiver.settle_all() == 1


def test_who_does_not_want_to_wait_takes_what_broke(tmp_path: Path, clock: Clock, images: list[Any]) -> None:
    receiver = Receiver(
        tmp_path / "in", title="HEALTHYTWIN", senders=["SCANNER"], address=("127.0.0.1", 0), hold=False, clock=clock
    )
    receiver.start()
    begin(receiver, images[:6]).abort()
    wait(lambda: not receiver._server.peers)
    clock.now += 60
    assert receiver.settle_all() == 1
    receiver.stop()


def test_an_image_that_is_too_large_is_refused_while_it_comes(receiver: Receiver, images: list[Any]) -> None:
    receiver.most_bytes = 2_000_000
    large = copy.deepcopy(images[0])
    large.PixelData = bytes(6_000_000)
    sizes: list[int] = []

    class Watched(Spool):
        def write(self, data: bytes) -> None:
            super().write(data)
            sizes.append(sum(path.stat().st_size for path in receiver.studies.arriving.glob(".*") if path.is_file()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.pacs.receive.Spool", Watched)
        assert send(receiver, [large, images[1]]) == [OUT_OF_RESOURCES, 0]
    assert max(sizes) < 2_100_000
    assert sizes[len(sizes) // 2] == 0  # long before its end nothing of it is left
    assert len(stored(receiver)) == 1


def test_an_image_without_end_is_cut_off(receiver: Receiver, images: list[Any]) -> None:
    receiver.most_bytes = 1_000_000
    endless = copy.deepcopy(images[0])
    endless.PixelData = bytes(30_000_000)
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(endless.SOPClassUID)
    association = entity.associate("127.0.0.1", receiver.port, ae_title="HEALTHYTWIN")
    assert "Status" not in association.send_c_store(endless)
    wait(lambda: not receiver._server.peers)
    assert [path for path in receiver.studies.arriving.iterdir() if path.is_file()] == []


def test_what_is_kept_is_private(receiver: Receiver, images: list[Any]) -> None:
    send(receiver, images)
    paths = list(receiver.inbox.rglob("*"))
    assert len(paths) > SLICES
    assert [path for path in paths if path.stat().st_mode & 0o077] == []
