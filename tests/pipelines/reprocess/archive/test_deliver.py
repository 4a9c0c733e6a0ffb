"""Results sent back: sent only when confirmed; what is refused or unheard is told and tried again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from archive import Bench
from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from sqlalchemy import select

from pipelines.pacs.commitment import Reference
from pipelines.pacs.targets import Answer, StoreNode, StoreTarget, StowTarget, UnreachableError
from pipelines.problems import CommandError
from pipelines.reprocess.archive.deliver import deliver, target_of
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import State
from pipelines.reprocess.ledger.tables import deliveries
from pipelines.reprocess.site import SendRules, load_site

SEG = "1.2.840.10008.5.1.4.1.1.66.4"


@contextmanager
def archive_of_images(answer: Callable[[Any], int]) -> Iterator[StoreTarget]:
    """A C-STORE provider on this machine, and the target that sends to it."""
    entity = AE(ae_title="PACS")
    entity.require_called_aet = True
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield StoreTarget(StoreNode(host="127.0.0.1", port=server.server_address[1], title="PACS"), timeout=10)
    finally:
        server.shutdown()


def test_an_archive_that_refuses_half_and_then_takes_it(bench: Bench, source: Path) -> None:
    bench.work(source)
    store, rows = Store(bench.archive), bench.ledger.rows(State.DONE)
    refuse = True
    seen: list[str] = []

    def answer(event: Any) -> int:
        seen.append(event.request.AffectedSOPInstanceUID)
        return 0xA900 if refuse and event.request.AffectedSOPClassUID == SEG else 0x0000

    with archive_of_images(answer) as target:
        counts, problem = deliver(bench.ledger, store, target, rows)
        assert (dict(counts), problem) == ({"sent": 2, "refused": 1}, "")
        refuse = False
        assert dict(deliver(bench.ledger, store, target, rows)[0]) == {"sent": 3}
        assert dict(deliver(bench.ledger, store, target, rows)[0]) == {"sent": 3}
    assert len(seen) == 4  # three objects, the refused one twice
    assert len(set(seen)) == 3


def test_an_archive_that_is_down_or_takes_no_calls_loses_nothing(bench: Bench, source: Path) -> None:
    bench.work(source)
    store, rows = Store(bench.archive), bench.ledger.rows(State.DONE)
    with archive_of_images(lambda _: 0) as target:
        node = target.node
        stranger = StoreTarget(node.model_copy(update={"title": "OTHER"}), timeout=10)
        counts, problem = deliver(bench.ledger, store, stranger, rows)
        assert dict(counts) == {"waiting": 3}
        assert problem == "the archive that results are sent to does not answer (association rejected)"
    down = StoreTarget(node, timeout=10)
    assert dict(deliver(bench.ledger, store, down, rows)[0]) == {"waiting": 3}
    stow = StowTarget(f"http://127.0.0.1:{node.port}/dicom-web", timeout=5)
    assert dict(deliver(bench.ledger, store, stow, rows)[0]) == {"waiting": 3}


def objects() -> list[Dataset]:
    made = []
    for uid in ("1.2.3", "1.2.4"):
        one = Dataset()
        one.SOPInstanceUID = uid
        made.append(one)
    return made


def response(stored: list[str], failed: list[str]) -> Dataset:
    told = Dataset()
    told.ReferencedSOPSequence, told.FailedSOPSequence = [], []  # Orthanc writes both, even where they are empty
    for uid in (*stored, *failed):
        item = Dataset()
        item.ReferencedSOPInstanceUID = uid
        if uid in failed:
            item.FailureReason = 0xA700
        (told.FailedSOPSequence if uid in failed else told.ReferencedSOPSequence).append(item)
    return told


@pytest.mark.parametrize(
    ("stored", "failed", "answers"),
    [
        (["1.2.3", "1.2.4"], [], [Answer(True), Answer(True)]),
        (["1.2.3"], ["1.2.4"], [Answer(True), Answer(False, "failure reason 0xA700")]),
        (["1.2.3"], [], [Answer(True), Answer(False, "not confirmed")]),
    ],
)
def test_stow_counts_only_what_is_named_as_stored(
    monkeypatch: pytest.MonkeyPatch, stored: list[str], failed: list[str], answers: list[Answer]
) -> None:
    target = StowTarget("http://127.0.0.1:9/dicom-web")
    monkeypatch.setattr(target.client, "store_instances", lambda _: response(stored, failed))
    assert list(target.send(objects()).values()) == answers


@pytest.mark.parametrize(("status", "reachable"), [(409, True), (503, False), (401, False)])
def test_stow_errors(monkeypatch: pytest.MonkeyPatch, status: int, reachable: bool) -> None:
    told = requests.Response()
    told.status_code = status

    def refuse(_: object) -> None:
        raise requests.HTTPError(response=told)

    target = StowTarget("http://127.0.0.1:9/dicom-web")
    monkeypatch.setattr(target.client, "store_instances", refuse)
    if reachable:
        assert set(target.send(objects()).values()) == {Answer(False, f"HTTP {status}")}
    else:
        with pytest.raises(UnreachableError, match=str(status)):
            target.send(objects())


def test_the_site_file_names_one_target(tmp_path: Path) -> None:
    assert target_of(SendRules(stow="http://pacs/dicom-web")).name == "stow http://pacs/dicom-web"
    path = tmp_path / "site.yaml"
    for text in (
        "send: {}",
        "send: {stow: 'http://a', store: {host: a, port: 1, title: A}}",
        "send: {stow: 'http://a@b'}",
    ):
        path.write_text(text)
        with pytest.raises(CommandError, match="send"):
            load_site(path)


class Peculiar:
    """A target that has a fault with some objects, and notes what it was sent.

    Args:
        faulty: numbers of the requests that it does not answer to.
        kept: does it commit itself to what it took? None: it is not asked.
    """

    name = "peculiar"

    def __init__(self, *faulty: int, kept: bool | None = None) -> None:
        self.faulty, self.kept, self.commits = faulty, kept, kept is not None
        self.requests = 0
        self.asked: list[list[str]] = []

    def send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        self.requests += 1
        if self.requests in self.faulty:
            raise UnreachableError("HTTP 500")
        return {str(one.SOPInstanceUID): Answer(True) for one in objects}

    def commit(self, references: Sequence[Reference]) -> dict[str, Answer]:
        self.asked.append([one.instance for one in references])
        return {one.instance: Answer(bool(self.kept), "word") for one in references}


def states(bench: Bench) -> list[tuple[str, str | None]]:
    with bench.ledger.read() as connection:
        return sorted((row.state, row.reason) for row in connection.execute(select(deliveries)))


def test_a_fault_with_the_first_case_does_not_stop_the_others(bench: Bench, source: Path) -> None:
    bench.work(source)
    store, rows = Store(bench.archive), bench.ledger.rows(State.DONE)
    target = Peculiar(1)
    counts, problem = deliver(bench.ledger, store, target, rows)
    assert counts["sent"] > 0
    assert counts["waiting"] > 0
    assert sum(counts.values()) == 3
    assert "HTTP 500" in problem
    assert ("waiting", "HTTP 500") in states(bench)
    assert deliver(bench.ledger, store, target, rows) == ({"sent": 3}, "")


def test_a_target_that_fails_in_a_row_is_asked_no_more(bench: Bench, source: Path) -> None:
    bench.work(source)
    target = Peculiar(*range(100))
    deliver(bench.ledger, Store(bench.archive), target, bench.ledger.rows(State.DONE), give_up_after=1)
    assert target.requests == 1


def test_a_lost_result_does_not_stop_the_others(bench: Bench, source: Path) -> None:
    bench.work(source)
    store, rows = Store(bench.archive), bench.ledger.rows(State.DONE)
    lost = next(row for row in rows if "sr" in row["outputs"])
    (store.place(lost["key"]) / lost["outputs"]["sr"]).unlink()
    counts, problem = deliver(bench.ledger, store, Peculiar(), rows)
    assert (dict(counts), problem) == ({"sent": 2, "refused": 1}, "")
    assert ("refused", "the file is missing") in states(bench)


def test_a_damaged_result_does_not_stop_the_others(bench: Bench, source: Path) -> None:
    bench.work(source)
    store, rows = Store(bench.archive), bench.ledger.rows(State.DONE)
    damaged = next(row for row in rows if "sr" in row["outputs"])
    (store.place(damaged["key"]) / damaged["outputs"]["sr"]).write_bytes(b"DICM")
    assert dict(deliver(bench.ledger, store, Peculiar(), rows)[0]) == {"sent": 2, "refused": 1}


@pytest.mark.parametrize(("kept", "state"), [(True, "sent"), (False, "refused")])
def test_what_is_to_be_committed_is_sent_when_it_is(bench: Bench, source: Path, kept: bool, state: str) -> None:
    bench.work(source)
    target = Peculiar(kept=kept)
    counts, _ = deliver(bench.ledger, Store(bench.archive), target, bench.ledger.rows(State.DONE))
    assert dict(counts) == {state: 3}
    assert states(bench) == [(state, "word")] * 3
    assert [len(asked) for asked in target.asked] == [3]


def test_one_object_that_a_service_chokes_on_does_not_stop_those_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = requests.Response()
    told.status_code = 500

    def choke(given: list[Dataset]) -> Dataset:
        if any(one.SOPInstanceUID == "1.2.4" for one in given):
            raise requests.HTTPError(response=told)
        return response([str(one.SOPInstanceUID) for one in given], [])

    target = StowTarget("http://127.0.0.1:9/dicom-web")
    monkeypatch.setattr(target.client, "store_instances", choke)
    assert list(target.send(objects()).values()) == [Answer(True), Answer(False, "HTTP 500")]
    with pytest.raises(UnreachableError, match="HTTP 500"):
        target.send(objects()[1:])


@pytest.mark.parametrize("error", [ValueError("JSON"), KeyError("x"), requests.TooManyRedirects(), RecursionError()])
def test_an_answer_that_cannot_be_understood_confirms_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    target = StowTarget("http://127.0.0.1:9/dicom-web")
    monkeypatch.setattr(target.client, "store_instances", fail)
    with pytest.raises(UnreachableError):
        target.send(objects())


@pytest.mark.parametrize("half", [b"", b"\x02\0\0\0", b"\x02\0\0\0\1\0" + bytes(10)])
def test_an_archive_that_says_half_a_word_is_not_waited_for_without_end(half: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            peer.recv(4096)
            peer.sendall(half)
            peers.append(peer)

        peers: list[socket.socket] = []
        thread = threading.Thread(target=answer)
        thread.start()
        target = StoreTarget(StoreNode(host="127.0.0.1", port=server.getsockname()[1], title="PACS"), timeout=1)
        one = objects()[0]
        one.SOPClassUID = SEG
        begin = time.monotonic()
        with pytest.raises(UnreachableError):
            target.send([one])
        assert time.monotonic() - begin < 20
        thread.join()
        for peer in peers:
            peer.close()
