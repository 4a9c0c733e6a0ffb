"""Where results are sent: STOW-RS or C-STORE, and what the archive said of every object."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.pacs.commitment import PUSH_MODEL, CommitmentRules, Reference, Reports, ask, listening
from pipelines.pacs.tls import Tls

if TYPE_CHECKING:
    from pydicom import Dataset

_WARNINGS = (0xB000, 0xB006, 0xB007)  # stored, with a remark (PS3.4 table B.2-1)


class StoreNode(BaseModel):
    """A C-STORE provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1)
    port: Annotated[int, Field(ge=1, le=65535)]
    title: str = Field(min_length=1, max_length=16, description="its AE title")
    calling_title: str = Field(default="HEALTHYTWIN", min_length=1, max_length=16, description="ours")
    tls: Tls | None = Field(default=None, description="certificates; null: without TLS")
    commitment: CommitmentRules | None = Field(default=None, description="null: it is not asked for")

    @model_validator(mode="after")
    def _reports_are_secure(self) -> StoreNode:
        called = self.commitment is not None and self.commitment.port is not None
        if called and self.tls is not None and self.tls.certificate is None:
            msg = "with tls, commitment.port needs tls.certificate and tls.key"
            raise ValueError(msg)
        return self


class Answer(NamedTuple):
    """What an archive said of one object.

    Args:
        accepted: it has confirmed that it keeps the object.
        reason: otherwise, why not.
    """

    accepted: bool
    reason: str = ""


class UnreachableError(RuntimeError):
    """The archive does not answer; the message holds no address."""


class Target(Protocol):
    """An archive that takes objects.

    Args:
        name: by which the ledger knows it.
        commits: is it asked for storage commitment?
    """

    name: str
    commits: bool

    def send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        """Send objects, and give the answer to each by SOPInstanceUID; raises `UnreachableError`."""

    def commit(self, references: Sequence[Reference]) -> dict[str, Answer]:
        """Ask it to commit itself to objects that it has accepted; raises `UnreachableError`."""


class StowTarget:
    """An archive that takes objects by STOW-RS (DICOM PS3.18 section 10.5).

    Args:
        url: of the DICOMweb service; a user's name and password come from `~/.netrc`.
        timeout: seconds.
    """

    commits = False

    def __init__(self, url: str, *, timeout: float = 60) -> None:
        from pipelines.pacs.web import web_client

        self.name = f"stow {url}"
        self.client = web_client(url, timeout=timeout)

    def send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        """Send in one request; what the response does not name as stored is not taken to be.

        Where the service has a fault, they are sent again one by one: it may be a fault with one of them.
        """
        try:
            return self._send(objects)
        except ServerFaultError:
            if len(objects) == 1:
                raise
        answers: dict[str, Answer] = {}
        for one in objects:
            try:
                answers |= self._send([one])
            except ServerFaultError as error:
                fault = error
                answers[str(one.SOPInstanceUID)] = Answer(False, str(error))
        if not any(answer.accepted for answer in answers.values()):
            raise fault
        return answers

    def _send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        import requests

        try:
            response = self.client.store_instances(list(objects))
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status >= 500:
                msg = f"HTTP {status}"
                raise ServerFaultError(msg) from error
            if status in (401, 403, 404, 408, 429):
                msg = f"HTTP {status}"
                raise UnreachableError(msg) from error
            return {str(one.SOPInstanceUID): Answer(False, f"HTTP {status}") for one in objects}
        except requests.RequestException as error:
            raise UnreachableError(type(error).__name__) from error
        except Exception as error:  # what a stranger answers may make the client raise anything
            msg = "its answer cannot be understood"
            raise UnreachableError(msg) from error
        return _stow_answers(objects, response)

    def commit(self, references: Sequence[Reference]) -> dict[str, Answer]:
        """There is none in DICOMweb as we speak it."""
        return {one.instance: Answer(True) for one in references}


class ServerFaultError(UnreachableError):
    """The service has a fault, perhaps with this object alone."""


class StoreTarget:
    """An archive that takes objects by C-STORE (DICOM PS3.4 annex B).

    Args:
        node: its address and titles.
        timeout: seconds for every step.
    """

    def __init__(self, node: StoreNode, *, timeout: float = 60) -> None:
        self.node, self.timeout = node, timeout
        self.name = f"store {node.title}@{node.host}:{node.port}"
        self.commits = node.commitment is not None
        self._context = node.tls.caller() if node.tls is not None else None

    def send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        """Send over one association."""
        kinds = sorted({one.SOPClassUID for one in objects})
        with self._association(kinds, steps=len(objects)) as association:
            if association is None:
                return {str(one.SOPInstanceUID): _NOT_TAKEN for one in objects}
            return {str(one.SOPInstanceUID): _stored(association, one) for one in objects}

    def commit(self, references: Sequence[Reference]) -> dict[str, Answer]:
        """Over an association of its own; an archive that offers no commitment has given its word by accepting."""
        from pynetdicom import evt

        rules, node, reports = self.node.commitment or CommitmentRules(), self.node, Reports()
        heard = [(evt.EVT_N_EVENT_REPORT, reports.handle), (evt.EVT_PDU_SENT, reports.sent)]
        with (
            listening(rules, reports, title=node.calling_title, archive=node.title, tls=node.tls),
            self._association([PUSH_MODEL], handlers=heard, seconds=rules.seconds) as association,
        ):
            if association is None:
                return {one.instance: Answer(True, "no storage commitment is offered") for one in references}
            try:
                status = ask(association, reports, references)
            except RuntimeError as error:  # the association has ended
                raise UnreachableError("association ended") from error
            if status is None:
                msg = "no answer"
                raise UnreachableError(msg)
            if status != 0:
                why = Answer(False, f"storage commitment refused: status 0x{status:04X}")
                return {one.instance: why for one in references}
            listens = rules.port is not None
            report = reports.wait(rules.seconds, alive=lambda: listens or association.is_established)
        if report is None:
            msg = "no report of storage commitment"
            raise UnreachableError(msg)
        missing = Answer(False, "storage commitment says nothing of it")
        answers = {one.instance: missing for one in references}
        answers |= {uid: Answer(False, f"storage commitment failed: 0x{why:04X}") for uid, why in report.failed.items()}
        return answers | {uid: Answer(True, "committed") for uid in report.kept}

    @contextmanager
    def _association(
        self, kinds: Sequence[str], *, steps: int = 1, seconds: float = 0, handlers: Sequence[Any] = ()
    ) -> Iterator[Any]:
        """An association for some classes, None where the archive takes none of them; it ends in time in any case."""
        from pynetdicom import AE, evt

        entity = AE(ae_title=self.node.calling_title)
        entity.acse_timeout = entity.dimse_timeout = self.timeout
        entity.network_timeout = self.timeout + seconds
        entity.connection_timeout = self.timeout
        for kind in kinds:
            entity.add_requested_context(kind)
        sockets: list[Any] = []
        handlers = [*handlers, (evt.EVT_CONN_OPEN, lambda event: sockets.append(event.assoc.dul.socket.socket))]
        most = threading.Timer((steps + 3) * self.timeout + seconds, _cut, [sockets])  # pynetdicom waits for half a PDU
        most.daemon = True
        most.start()
        tls = None if self._context is None else (self._context, self.node.host)
        try:
            association = entity.associate(
                self.node.host, self.node.port, ae_title=self.node.title, tls_args=tls, evt_handlers=handlers
            )
            if not association.is_established:
                if association.rejected_contexts and not association.accepted_contexts:
                    yield None
                    return
                msg = "association rejected" if association.is_rejected else "no association"
                raise UnreachableError(msg)
            keep_answers(association)
            try:
                yield association
            finally:
                association.release()
        finally:
            most.cancel()


def keep_answers(association: Any) -> None:
    """Leave answers to who waits for them: pynetdicom 3.0.4's own loop takes one away in some thousands, by a race."""
    ask = association.dimse.get_msg
    association.dimse.get_msg = lambda block=False: ask(block=True) if block else (None, None)


_NOT_TAKEN = Answer(False, "the archive does not take objects of this class")


def _cut(sockets: Sequence[Any]) -> None:
    for one in sockets:
        try:
            one.shutdown(2)
        except OSError:
            continue


def _stow_answers(objects: Sequence[Dataset], response: Any) -> dict[str, Answer]:
    stored = {str(item.get("ReferencedSOPInstanceUID")) for item in response.get("ReferencedSOPSequence") or ()}
    failed = {
        str(item.get("ReferencedSOPInstanceUID")): f"failure reason 0x{int(item.get('FailureReason') or 0):04X}"
        for item in response.get("FailedSOPSequence") or ()
    }
    return {
        str(one.SOPInstanceUID): Answer(
            one.SOPInstanceUID in stored and one.SOPInstanceUID not in failed,
            "" if one.SOPInstanceUID in stored else failed.get(one.SOPInstanceUID, "not confirmed"),
        )
        for one in objects
    }


def _stored(association: Any, one: Dataset) -> Answer:
    try:
        status = association.send_c_store(one).get("Status")
    except ValueError:  # no context for its class was accepted
        return _NOT_TAKEN
    except RuntimeError as error:  # the association has ended
        raise UnreachableError("association ended") from error
    if status is None:
        msg = "no answer"
        raise UnreachableError(msg)
    return Answer(True) if status == 0 or status in _WARNINGS else Answer(False, f"status 0x{status:04X}")
