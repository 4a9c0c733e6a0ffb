"""When a lease may be taken over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pipelines.reprocess.ledger.identity import is_dead
from pipelines.reprocess.ledger.ledger import Lease, Ledger
from pipelines.reprocess.ledger.reasons import OUT_OF_MEMORY, meaning

TAKEN_OVER = "WORKER_DIED"


def end_leases(ledger: Ledger, leases: Sequence[Lease], *, most: int) -> list[str]:
    """End what a dead worker had; the keys of the jobs that were still its own.

    Which of several cases its death is owed to cannot be known: their attempts do not count, and each is done alone
    from then on (`is_suspect`).

    Args:
        ledger: that holds the leases.
        leases: all that the worker had.
        most: attempts that a job has.
    """
    if len(leases) > 1:
        return [lease.key for lease in leases if ledger.give_back(lease, code=TAKEN_OVER)]
    why = meaning(TAKEN_OVER)
    return [lease.key for lease in leases if ledger.fail(lease, code=TAKEN_OVER, reason=why, most=most) is not None]


def is_suspect(ledger: Ledger, key: str) -> bool:
    """Should a job have its worker to itself, because it may have ended one, or memory was too short for it?"""
    return ledger.has_ended_with(key, (TAKEN_OVER, OUT_OF_MEMORY))


class LeaseWatch:
    """Takes leases over from workers that are dead or silent.

    No two clocks are compared, so a clock that is set back or forward changes nothing: a lease is silent when this
    process has seen the same token and beat for long enough by its own monotonic clock. A worker of this machine
    whose process is gone is not waited for. A worker is over when all of its leases are.

    Args:
        ledger: whose leases are watched.
        patience: seconds of silence.
        most: attempts that a job has.
        clock: monotonic, in seconds.
    """

    def __init__(
        self, ledger: Ledger, *, patience: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ledger, self.patience, self.most, self.clock = ledger, patience, most, clock
        self._seen: dict[tuple[str, int], tuple[int, float]] = {}

    def take_over(self) -> list[str]:
        """Keys of the jobs whose leases were ended now; they are pending again, or quarantined."""
        of_owner: dict[str, list[Lease]] = {}
        for lease in self.ledger.leases():
            of_owner.setdefault(lease.owner, []).append(lease)
        held = [lease for leases in of_owner.values() for lease in leases]
        self._seen = {(lease.key, lease.token): self._since(lease) for lease in held}
        over = [leases for leases in of_owner.values() if all(map(self._is_over, leases))]
        return [key for leases in over for key in end_leases(self.ledger, leases, most=self.most)]

    def _since(self, lease: Lease) -> tuple[int, float]:
        """The last beat, and when this process saw it first."""
        beat, since = self._seen.get((lease.key, lease.token), (-1, 0.0))
        return (beat, since) if beat == lease.beat else (lease.beat, self.clock())

    def _is_over(self, lease: Lease) -> bool:
        if is_dead(lease.owner, one_machine=self.ledger.one_machine):
            return True
        return self.clock() - self._seen[lease.key, lease.token][1] > self.patience
