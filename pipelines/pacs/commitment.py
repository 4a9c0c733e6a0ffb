"""Storage commitment: an archive's word that it keeps what was sent to it (DICOM PS3.4 annex J)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pipelines.pacs.tls import Tls

PUSH_MODEL = "1.2.840.10008.1.20.1"
_INSTANCE = "1.2.840.10008.1.20.1.1"  # well-known
_REQUEST = 1  # action type
_ANSWER = 2.0  # seconds until a report is answered
_UNKNOWN_TRANSACTION = 0x0110  # processing failure


class CommitmentRules(BaseModel):
    """That an archive is asked for storage commitment, and where it may report to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on for reports")
    port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="null: reports come over the association that asks for them"
    )
    seconds: Annotated[float, Field(gt=0, le=86400)] = Field(default=60, description="to wait for a report")


class Reference(NamedTuple):
    """An object that was sent.

    Args:
        kind: SOPClassUID.
        instance: SOPInstanceUID.
    """

    kind: str
    instance: str


class Report(NamedTuple):
    """What an archive has committed itself to, by SOPInstanceUID.

    Args:
        kept: it keeps these.
        failed: not these, with the failure reason.
    """

    kept: frozenset[str]
    failed: dict[str, int]


class Reports:
    """Reports that come, over whatever association, for one transaction."""

    def __init__(self) -> None:
        from pydicom.uid import generate_uid

        self.transaction = str(generate_uid())  # random: who does not know it can report nothing
        self._came, self._answered = threading.Event(), threading.Event()
        self._report: Report | None = None

    def handle(self, event: Any) -> tuple[int, None]:
        """Take an N-EVENT-REPORT; gives its status."""
        try:
            report = event.event_information
            if str(report.get("TransactionUID", "")) != self.transaction:
                return _UNKNOWN_TRANSACTION, None
            kept = [str(one.ReferencedSOPInstanceUID) for one in report.get("ReferencedSOPSequence") or ()]
            failed = {
                str(one.ReferencedSOPInstanceUID): int(one.get("FailureReason") or 0)
                for one in report.get("FailedSOPSequence") or ()
            }
        except Exception:  # of a stranger's data set
            return _UNKNOWN_TRANSACTION, None
        self._report = Report(frozenset(kept) - failed.keys(), failed)
        self._came.set()
        return 0x0000, None

    def sent(self, event: Any) -> None:
        """A PDU has been sent; after a report it is the answer, and the association may end."""
        if self._came.is_set():
            self._answered.set()

    def wait(self, seconds: float, *, alive: Callable[[], bool]) -> Report | None:
        """The report; None where none comes in time, or can come any more."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and alive():
            if self._came.wait(0.1):
                self._answered.wait(_ANSWER)
                break
        return self._report


@contextmanager
def listening(rules: CommitmentRules, reports: Reports, *, title: str, archive: str, tls: Tls | None) -> Iterator[None]:
    """Listen for reports during the body, where the rules name a port; they come from the archive's title alone."""
    if rules.port is None:
        yield
        return
    from pynetdicom import AE, evt

    from pipelines.pacs.server import listen

    entity = AE(ae_title=title)
    entity.require_called_aet = True
    entity.require_calling_aet = [archive]
    entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    server = listen(
        entity,
        (rules.host, rules.port),
        context=tls.listener() if tls is not None and tls.certificate is not None else None,
        handlers=[(evt.EVT_N_EVENT_REPORT, reports.handle), (evt.EVT_PDU_SENT, reports.sent)],
    )
    try:
        yield
    finally:
        server.shutdown()


def ask(association: Any, reports: Reports, references: Sequence[Reference]) -> int | None:
    """Ask for commitment to some objects; the status of the answer, None where there is none."""
    from pydicom import Dataset

    request = Dataset()
    request.TransactionUID = reports.transaction
    request.ReferencedSOPSequence = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(request, _REQUEST, PUSH_MODEL, _INSTANCE)
    answer: int | None = status.get("Status")
    return answer
