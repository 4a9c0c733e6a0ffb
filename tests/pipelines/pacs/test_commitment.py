"""Storage commitment: an object counts as sent once the archive has given its word, where it gives one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from archive import dicom_series
from pydantic import ValidationError
from pydicom import Dataset, dcmread
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt

from pipelines.pacs.commitment import PUSH_MODEL, CommitmentRules, Reference
from pipelines.pacs.targets import Answer, StoreNode, StoreTarget, UnreachableError
from pipelines.pacs.tls import Tls

INSTANCE = "1.2.840.10008.1.20.1.1"
Reporter = Callable[[Any, Dataset], None]


class Archive:
    """A C-STORE provider that commits itself, or does not.

    Args:
        report: what it does with a request, given the event; None: it knows no commitment.
        lost: so many objects it has lost since it took them.
        status: that it answers the request with.
    """

    def __init__(self, report: Reporter | None, *, lost: int = 0, status: int = 0) -> None:
        self.report, self.lost, self.status = report, lost, status
        self.asked: list[Dataset] = []

    def act(self, event: Any) -> tuple[int, None]:
        told = event.action_information
        self.asked.append(told)
        if self.status == 0 and self.report is not None:
            threading.Thread(target=self.report, args=(event.assoc, self.word(told)), daemon=True).start()
        return self.status, None

    def word(self, told: Dataset) -> Dataset:
        word = Dataset()
        word.TransactionUID = told.TransactionUID
        items = list(told.ReferencedSOPSequence)
        word.ReferencedSOPSequence = items[self.lost :]
        if self.lost:
            word.FailedSOPSequence = items[: self.lost]
            for item in word.FailedSOPSequence:
                item.FailureReason = 0x0112
        return word


@contextmanager
def running(archive: Archive) -> Iterator[int]:
    entity = AE(ae_title="PACS")
    entity.supported_contexts = AllStoragePresentationContexts[:100]
    if archive.report is not None:
        entity.add_supported_context(PUSH_MODEL)
    handlers = [(evt.EVT_C_STORE, lambda _: 0), (evt.EVT_N_ACTION, archive.act)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def target(to: int, **rules: Any) -> StoreTarget:
    commitment = CommitmentRules(**{"seconds": 10, **rules})
    return StoreTarget(StoreNode(host="127.0.0.1", port=to, title="PACS", commitment=commitment), timeout=5)


def over_the_same(association: Any, word: Dataset) -> None:
    association.send_n_event_report(word, 1, PUSH_MODEL, INSTANCE)


def calling_back(port: int, title: str = "PACS") -> Reporter:
    def report(_: Any, word: Dataset) -> None:
        entity = AE(ae_title=title)
        entity.add_requested_context(PUSH_MODEL)
        association = entity.associate(
            "127.0.0.1", port, ae_title="HEALTHYTWIN", ext_neg=[build_role(PUSH_MODEL, scp_role=True)]
        )
        if association.is_established:
            association.send_n_event_report(word, 1, PUSH_MODEL, INSTANCE)
            association.release()

    return report


@pytest.fixture
def images(tmp_path: Path) -> list[Any]:
    return [dcmread(path) for path in sorted(dicom_series(tmp_path / "scan").iterdir())][:3]


def references(images: list[Any]) -> list[Reference]:
    return [Reference(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in images]


def free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_word_over_the_same_association(images: list[Any]) -> None:
    archive = Archive(over_the_same)
    with running(archive) as port:
        told = target(port)
        assert told.commits
        assert all(answer.accepted for answer in told.send(images).values())
        assert set(told.commit(references(images)).values()) == {Answer(True, "committed")}
    assert [item.ReferencedSOPInstanceUID for item in archive.asked[0].ReferencedSOPSequence] == [
        one.SOPInstanceUID for one in images
    ]


def test_a_word_over_an_association_of_the_archive_s(images: list[Any]) -> None:
    ours = free_port()
    with running(Archive(calling_back(ours))) as port:
        assert set(target(port, port=ours).commit(references(images)).values()) == {Answer(True, "committed")}


def test_what_the_archive_has_lost_is_not_sent(images: list[Any]) -> None:
    with running(Archive(over_the_same, lost=1)) as port:
        answers = list(target(port).commit(references(images)).values())
    assert answers == [Answer(False, "storage commitment failed: 0x0112"), *[Answer(True, "committed")] * 2]


def test_an_archive_that_offers_none_has_given_its_word(images: list[Any]) -> None:
    with running(Archive(None)) as port:
        answers = set(target(port).commit(references(images)).values())
    assert answers == {Answer(True, "no storage commitment is offered")}


def test_an_archive_that_refuses(images: list[Any]) -> None:
    with running(Archive(over_the_same, status=0x0110)) as port:
        answers = set(target(port).commit(references(images)).values())
    assert answers == {Answer(False, "storage commitment refused: status 0x0110")}


def test_an_archive_that_says_nothing_is_not_waited_for_without_end(images: list[Any]) -> None:
    begin = time.monotonic()
    with running(Archive(lambda *_: None)) as port, pytest.raises(UnreachableError, match="no report"):
        target(port, seconds=1).commit(references(images))
    assert time.monotonic() - begin < 20


def test_a_stranger_s_word_counts_for_nothing(images: list[Any]) -> None:
    ours = free_port()

    def foreign(association: Any, word: Dataset) -> None:
        calling_back(ours, title="STRANGER")(association, word)
        word.TransactionUID = "1.2.3"
        calling_back(ours)(association, word)

    with running(Archive(foreign)) as port, pytest.raises(UnreachableError, match="no report"):
        target(port, port=ours, seconds=3).commit(references(images))


def test_a_word_that_says_nothing_of_an_object(images: list[Any]) -> None:
    def half(association: Any, word: Dataset) -> None:
        word.ReferencedSOPSequence = word.ReferencedSOPSequence[:1]
        over_the_same(association, word)

    with running(Archive(half)) as port:
        answers = list(target(port).commit(references(images)).values())
    assert [answer.accepted for answer in answers] == [True, False, False]


def test_reports_are_not_taken_in_clear_where_tls_is_wanted() -> None:
    with pytest.raises(ValidationError, match=r"needs tls\.certificate"):
        StoreNode(host="a", port=1, title="A", tls=Tls(), commitment=CommitmentRules(port=11113))
