"""`healthytwin receive`: a C-STORE listener that fills a folder, study by study."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.pacs.identity import IdentityError, identify
from pipelines.pacs.spool import (
    MISMATCH,
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    REFUSED,
    SUCCESS,
    Arriving,
    Spool,
)
from pipelines.pacs.studies import Studies
from pipelines.problems import CommandError

if TYPE_CHECKING:
    from pipelines.pacs.peers import Patience, Peer
    from pipelines.pacs.tls import Tls

_NAME = 20
_CONTENT = 12


class Receiver:
    """Takes images from known senders; a study that is whole and quiet is moved to its place.

    An image is on the disk, synced, before it is confirmed. Names are hashes of the data set's own UIDs and of its
    content: the same image sent twice is one file, and two images of one UID are two, for the gate to judge. Images
    deflated as a whole are not accepted: how large they are shows only once they are unpacked.

    Args:
        inbox: the folder; a source for `reprocess`.
        title: own AE title; senders must call it by this.
        senders: AE titles that may send.
        address: (host, port) to listen at; port 0: any free one.
        settle: seconds without an image after which a study counts as complete.
        most_mb: size of an image.
        free_gb: of the disk that stay free.
        hold: hold a study back whose association broke, until it has come again.
        tls: certificates; None: without TLS.
        patience: with peers; None: the defaults.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        inbox: Path,
        *,
        title: str,
        senders: Sequence[str],
        address: tuple[str, int] = ("127.0.0.1", 11112),
        settle: float = 60,
        most_mb: float = 512,
        free_gb: float = 2,
        hold: bool = True,
        tls: Tls | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not senders:
            msg = "name at least one AE title that may send"
            raise CommandError(msg)
        self.inbox, self.title, self.senders, self.address = inbox, title, list(senders), address
        self.most_bytes, self.free_gb, self.clock = int(most_mb * 1e6), free_gb, clock
        self.patience, self.context = patience, tls.listener() if tls else None
        self.counts: Counter[str] = Counter()
        self.studies = Studies(inbox, settle=settle, hold=hold, clock=clock)
        self._begun: dict[int, float] = {}
        self._unclean: set[int] = set()
        self._server: Any = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def held(self) -> int:
        """How many studies are held back."""
        return self.studies.held

    def start(self) -> None:
        """Listen, in threads of its own.

        Raises:
            CommandError: the address cannot be listened at.
        """
        from pydicom.uid import AllTransferSyntaxes, DeflatedExplicitVRLittleEndian
        from pynetdicom import AE, AllStoragePresentationContexts, evt

        from pipelines.pacs.server import listen

        entity = AE(ae_title=self.title)
        entity.require_called_aet = True
        entity.require_calling_aet = self.senders
        syntaxes = [uid for uid in AllTransferSyntaxes if uid != DeflatedExplicitVRLittleEndian]
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, syntaxes)
        entity.add_supported_context("1.2.840.10008.1.1")  # verification
        handlers = [
            (evt.EVT_REQUESTED, self._begin),
            (evt.EVT_C_STORE, self._take),
            (evt.EVT_ACSE_SENT, self._said),
            (evt.EVT_ABORTED, lambda event: self.studies.broken(event.assoc.peer.number)),
        ]
        self._server = listen(
            entity, self.address, context=self.context, patience=self.patience, handlers=handlers, on_end=self._end
        )

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()

    def settle_all(self) -> int:
        """Move every study that is whole and has been quiet for long enough to its place; how many."""
        moved = self.studies.settle_all()
        self.counts["studies"] += moved
        return moved

    def _begin(self, event: Any) -> None:
        def spool(kind: str, instance: str, syntax: str) -> Spool:
            return Spool(
                self.studies.arriving,
                kind=kind,
                instance=instance,
                syntax=syntax,
                most_bytes=self.most_bytes,
                free_gb=self.free_gb,
            )

        event.assoc.dimse = Arriving(event.assoc, spool)
        self._begun[event.assoc.peer.number] = self.clock()

    def _said(self, event: Any) -> None:
        """The answer to a release is about to be sent: before the sender knows, so do we."""
        from pynetdicom.pdu_primitives import A_RELEASE

        number = event.assoc.peer.number
        if isinstance(event.primitive, A_RELEASE) and number not in self._unclean:
            self.studies.released(number, begun=self._begun.get(number, self.clock()))

    def _end(self, peer: Peer) -> None:
        """A connection is over."""
        self.studies.broken(peer.number)
        self._begun.pop(peer.number, None)
        self._unclean.discard(peer.number)
        if peer.association is not None and isinstance(peer.association.dimse, Arriving):
            peer.association.dimse.discard()

    def _take(self, event: Any) -> int:
        """Keep one image; gives its status."""
        peer: Peer = event.assoc.peer
        spool = event.assoc.dimse.take(event.request.MessageID)
        status = NOT_UNDERSTOOD if spool is None else self._status(event, spool)
        if spool is not None:
            spool.discard()
        if status == SUCCESS:
            peer.delivered += 1
        else:
            self._unclean.add(peer.number)
        peer.advance()
        self.counts["images" if status == SUCCESS else "refused"] += 1
        return status

    def _status(self, event: Any, spool: Spool) -> int:
        if event.assoc.requestor.ae_title not in self.senders:
            return REFUSED
        if spool.status != SUCCESS or spool.path is None:
            return spool.status
        if shutil.disk_usage(self.inbox).free / 1e9 < self.free_gb:
            return OUT_OF_RESOURCES
        try:
            spool.close()
            who = identify(spool.path)
            if who.sop_class != spool.kind:
                return MISMATCH
            spool.name(who.instance)
            name = f"{_hashed(who.series, who.instance)}-{spool.digest[:_CONTENT]}.dcm"
            self.studies.keep(spool.path, _hashed(who.study), name, event.assoc.peer.number)
        except IdentityError:
            return NOT_UNDERSTOOD
        except OSError:
            return OUT_OF_RESOURCES
        spool.path = None  # it has found its place
        return SUCCESS


def _hashed(*uids: str) -> str:
    return hashlib.sha256("\0".join(uids).encode()).hexdigest()[:_NAME]
