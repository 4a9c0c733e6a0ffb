"""Results sent back: each object until the archive has confirmed it, and then never again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import select

from pipelines.outputs.table import TO_SEND
from pipelines.pacs.targets import Answer, StoreTarget, StowTarget, Target, UnreachableError
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import Ledger, Row, now
from pipelines.reprocess.ledger.tables import deliveries
from pipelines.reprocess.site import SendRules

if TYPE_CHECKING:
    from pydicom import Dataset

SENT, REFUSED, WAITING = "sent", "refused", "waiting"


def deliver(ledger: Ledger, store: Store, target: Target, rows: Iterable[Row]) -> tuple[Counter[str], str]:
    """Send the DICOM objects of finished jobs that the target has not confirmed yet.

    Args:
        ledger: remembers every answer.
        store: of the archive.
        target: where they go.
        rows: jobs that are done.

    Returns:
        How many objects are sent, refused, and waiting (the target did not answer); and why it did not.
    """
    sent = _sent(ledger, target)
    counts: Counter[str] = Counter()
    problem = ""
    for row in rows:
        kinds = [kind for kind in TO_SEND if kind in row["outputs"]]
        counts[SENT] += sum((row["key"], kind) in sent for kind in kinds)
        open_kinds = [kind for kind in kinds if (row["key"], kind) not in sent]
        if not open_kinds:
            continue
        if not problem:
            try:
                answers = _send(store, target, row, open_kinds)
            except UnreachableError as error:
                problem = f"the archive that results are sent to does not answer ({error})"
            else:
                _note(ledger, target, row, answers)
                counts.update(SENT if answer.accepted else REFUSED for answer in answers.values())
        if problem:
            counts[WAITING] += len(open_kinds)
    return +counts, problem


def _sent(ledger: Ledger, target: Target) -> set[tuple[str, str]]:
    query = select(deliveries.c.key, deliveries.c.kind)
    with ledger.read() as connection:
        rows = connection.execute(query.where(deliveries.c.target == target.name, deliveries.c.state == SENT))
        return {(row.key, row.kind) for row in rows}


def _send(store: Store, target: Target, row: Row, kinds: list[str]) -> dict[str, Answer]:
    """The answers by kind of object."""
    from pydicom import dcmread

    objects: dict[str, Dataset] = {kind: dcmread(store.place(row["key"]) / row["outputs"][kind]) for kind in kinds}
    answers = target.send(list(objects.values()))
    unheard = Answer(False, "not confirmed")
    return {kind: answers.get(str(one.SOPInstanceUID), unheard) for kind, one in objects.items()}


def _note(ledger: Ledger, target: Target, row: Row, answers: dict[str, Answer]) -> None:
    with ledger.write(alone=True) as connection:
        for kind, answer in answers.items():
            where = (deliveries.c.key == row["key"], deliveries.c.kind == kind, deliveries.c.target == target.name)
            connection.execute(deliveries.delete().where(*where))
            connection.execute(
                deliveries.insert().values(
                    key=row["key"],
                    kind=kind,
                    target=target.name,
                    state=SENT if answer.accepted else REFUSED,
                    reason=answer.reason or None,
                    changed=now(),
                )
            )


def target_of(rules: SendRules) -> Target:
    """The target that a site file names."""
    if rules.stow is not None:
        return StowTarget(rules.stow)
    assert rules.store is not None  # the site file has one of them
    return StoreTarget(rules.store)
