"""Results sent back: sent only when confirmed; what is refused or unheard is told and tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from archive import Bench
from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

from pipelines.pacs.targets import Answer, StoreNode, StoreTarget, StowTarget, UnreachableError
from pipelines.problems import CommandError
from pipelines.reprocess.archive.deliver import deliver, target_of
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import State
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
