"""When a lease may be taken over."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipelines.reprocess.ledger import Lease, Ledger
from pipelines.reprocess.owner import is_dead

TAKEN_OVER = "WORKER_DIED"
REASON = "the worker that had this case ended without a result"


class LeaseWatch:
    """Takes leases over from workers that are dead or silent.

    No two clocks are compared, so a clock that is set back or forward changes nothing: a lease is silent when this
    process has seen the same token and beat for long enough by its own monotonic clock. A worker of this machine
    whose process is gone is not waited for.

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
        held = self.ledger.leases()
        seen = {(lease.key, lease.token): self._since(lease) for lease in held}
        self._seen = seen
        return [lease.key for lease in held if self._is_over(lease) and self._end(lease)]

    def _since(self, lease: Lease) -> tuple[int, float]:
        """The last beat, and when this process saw it first."""
        beat, since = self._seen.get((lease.key, lease.token), (-1, 0.0))
        return (beat, since) if beat == lease.beat else (lease.beat, self.clock())

    def _is_over(self, lease: Lease) -> bool:
        if is_dead(lease.owner, one_machine=self.ledger.one_machine):
            return True
        return self.clock() - self._seen[lease.key, lease.token][1] > self.patience

    def _end(self, lease: Lease) -> bool:
        return self.ledger.fail(lease, code=TAKEN_OVER, reason=REASON, most=self.most) is not None
