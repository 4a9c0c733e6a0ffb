"""The archive's folder: outputs all at once, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import Lease

LEASE = Lease(key="ab" * 32, token=3, owner="one")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def sealed(store: Store, lease: Lease, text: str) -> None:
    folder = store.begin(lease)
    (folder / "a_mask.nii.gz").write_text(text)
    store.seal(folder, {"key": lease.key, "result": {"score": 0.5}})


def test_nothing_is_in_its_place_before_it_is_published(store: Store) -> None:
    sealed(store, LEASE, "mask")
    assert not store.place(LEASE.key).exists()
    assert store.published(LEASE.key) is None
    store.publish(LEASE)
    manifest = store.published(LEASE.key)
    assert manifest is not None
    assert manifest["result"] == {"score": 0.5}
    assert list(manifest["files"]) == ["a_mask.nii.gz"]
    assert store.partials() == []


def test_what_is_not_whole_does_not_count_and_is_replaced(store: Store) -> None:
    sealed(store, LEASE, "mask")
    store.publish(LEASE)
    (store.place(LEASE.key) / "a_mask.nii.gz").write_text("mas")
    assert store.published(LEASE.key) is None
    again = Lease(key=LEASE.key, token=4, owner="two")
    sealed(store, again, "mask")
    store.publish(again)
    assert store.published(LEASE.key) is not None
    assert store.partials() == []


def test_orphans_are_swept_and_those_with_a_lease_are_not(store: Store) -> None:
    other = Lease(key="cd" * 32, token=1, owner="two")
    for lease in (LEASE, other):
        sealed(store, lease, "mask")
    assert store.sweep(store.partials(), [other]) == 1
    store.publish(other)
    assert store.published(other.key) is not None
