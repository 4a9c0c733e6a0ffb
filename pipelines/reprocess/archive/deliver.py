"""Results sent back: each object until the archive has confirmed it, and then never again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from pipelines.outputs.table import TO_SEND
from pipelines.pacs.commitment import Reference
from pipelines.pacs.targets import Answer, StoreTarget, StowTarget, Target, UnreachableError
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import Ledger, Row, now
from pipelines.reprocess.ledger.tables import deliveries
from pipelines.reprocess.site import SendRules

if TYPE_CHECKING:
    from pydicom import Dataset

SENT, REFUSED, WAITING = "sent", "refused", "waiting"
_MOST_AT_ONCE = 100  # objects that commitment is asked for


def deliver(
    ledger: Ledger, store: Store, target: Target, rows: Iterable[Row], *, give_up_after: int = 5
) -> tuple[Counter[str], str]:
    """Send the DICOM objects of finished jobs that the target has not confirmed yet.

    What fails with one case stops no other; a target that fails with several in a row is asked no more.

    Args:
        ledger: remembers every answer.
        store: of the archive.
        target: where they go.
        rows: jobs that are done.
        give_up_after: cases in a row that the target did not answer to.

    Returns:
        How many objects are sent, refused, and waiting (the target did not answer); and why it did not.
    """
    sending = _Sending(ledger, store, target, give_up_after)
    sent = _sent(ledger, target)
    for row in rows:
        kinds = [kind for kind in TO_SEND if kind in row["outputs"]]
        sending.counts[SENT] += sum((row["key"], kind) in sent for kind in kinds)
        if open_kinds := [kind for kind in kinds if (row["key"], kind) not in sent]:
            sending.send(row, open_kinds)
    sending.commit()
    return +sending.counts, sending.problem


class _Sending:
    """One run of deliveries to a target; see `deliver`."""

    def __init__(self, ledger: Ledger, store: Store, target: Target, give_up_after: int) -> None:
        self.ledger, self.store, self.target, self.give_up_after = ledger, store, target, give_up_after
        self.counts: Counter[str] = Counter()
        self.problem = ""
        self._in_a_row = 0
        self._accepted: list[tuple[Row, str, Reference]] = []

    def send(self, row: Row, kinds: list[str]) -> None:
        """Send a case's objects of some kinds."""
        if self._in_a_row >= self.give_up_after:
            self.counts[WAITING] += len(kinds)
            return
        objects, answers = _objects(self.store, row, kinds)
        if objects:
            try:
                given = self.target.send(list(objects.values()))
            except UnreachableError as error:
                self._failed(error, dict.fromkeys(objects, row))
            else:
                self._in_a_row = 0
                unheard = Answer(False, "not confirmed")
                answers |= {kind: given.get(str(one.SOPInstanceUID), unheard) for kind, one in objects.items()}
        if self.target.commits:
            accepted = [kind for kind, answer in answers.items() if answer.accepted]
            for kind in accepted:
                one = objects[kind]
                self._accepted.append((row, kind, Reference(str(one.SOPClassUID), str(one.SOPInstanceUID))))
                del answers[kind]
        self._note(row, answers)
        if len(self._accepted) >= _MOST_AT_ONCE:
            self.commit()

    def commit(self) -> None:
        """Ask the target to commit itself to what it has accepted; what it does not is not sent."""
        accepted, self._accepted = self._accepted, []
        if not accepted:
            return
        try:
            given = self.target.commit([reference for _, _, reference in accepted])
        except UnreachableError as error:
            for row, kind, _ in accepted:
                self._failed(error, {kind: row})
            return
        for row, kind, reference in accepted:
            self._note(row, {kind: given.get(reference.instance, Answer(False, "not committed"))})

    def _failed(self, error: UnreachableError, kinds: dict[str, Row]) -> None:
        self._in_a_row += 1
        self.problem = f"the archive that results are sent to does not answer ({error})"
        self.counts[WAITING] += len(kinds)
        for kind, row in kinds.items():
            _note(self.ledger, self.target, row, {kind: Answer(False, str(error))}, refused=WAITING)

    def _note(self, row: Row, answers: dict[str, Answer]) -> None:
        _note(self.ledger, self.target, row, answers)
        self.counts.update(SENT if answer.accepted else REFUSED for answer in answers.values())


def delivered(ledger: Ledger) -> Counter[str]:
    """How many objects are sent, refused, and waiting, as far as anything was ever sent."""
    query = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
    with ledger.read() as connection:
        return Counter({row[0]: int(row[1]) for row in connection.execute(query)})


def _sent(ledger: Ledger, target: Target) -> set[tuple[str, str]]:
    query = select(deliveries.c.key, deliveries.c.kind)
    with ledger.read() as connection:
        rows = connection.execute(query.where(deliveries.c.target == target.name, deliveries.c.state == SENT))
        return {(row.key, row.kind) for row in rows}


def _objects(store: Store, row: Row, kinds: list[str]) -> tuple[dict[str, Dataset], dict[str, Answer]]:
    """A case's objects, and an answer of our own for each that is lost."""
    from pydicom import dcmread

    objects: dict[str, Dataset] = {}
    answers: dict[str, Answer] = {}
    for kind in kinds:
        try:
            objects[kind] = dcmread(store.place(row["key"]) / row["outputs"][kind])
        except FileNotFoundError:
            answers[kind] = Answer(False, "the file is missing")
        except Exception as error:  # a damaged file makes pydicom raise almost anything
            answers[kind] = Answer(False, f"the file cannot be read ({type(error).__name__})")
    return objects, answers


def _note(ledger: Ledger, target: Target, row: Row, answers: dict[str, Answer], *, refused: str = REFUSED) -> None:
    if not answers:
        return
    with ledger.write(alone=True) as connection:
        for kind, answer in answers.items():
            where = (deliveries.c.key == row["key"], deliveries.c.kind == kind, deliveries.c.target == target.name)
            connection.execute(deliveries.delete().where(*where))
            connection.execute(
                deliveries.insert().values(
                    key=row["key"],
                    kind=kind,
                    target=target.name,
                    state=SENT if answer.accepted else refused,
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
