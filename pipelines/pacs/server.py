"""A DICOM listener that half-open, slow and crowding peers cannot keep from others."""

from __future__ import annotations

import copy
import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from pynetdicom import AE, evt
from pynetdicom.transport import AssociationServer

from pipelines.pacs.peers import Patience, Peer, PlainSocket, SecureSocket
from pipelines.problems import CommandError

if TYPE_CHECKING:
    import ssl

_POLL = 0.03  # seconds between looks at who has asked
_PAUSE = 0.05
_COLLECT = 30.0  # seconds between collections of what pynetdicom leaves
_JOIN = 5.0


class Server(AssociationServer):
    """pynetdicom's server, with a place for those alone that ask for an association.

    A connection costs a socket until its request is here whole, and threads only then; the oldest of the address that
    has most of them gives way to a new one. Associations have a number of places, in all and for one address. Where all
    are taken, the slowest of those that have delivered nothing gives way; where there is none, a newcomer waits and is
    then turned away for now (PS3.8 section 9.3.4). What takes longer than `Patience` allows is closed.
    """

    request_queue_size = 128
    patience = Patience()
    on_end: Callable[[Peer], None] = staticmethod(lambda peer: None)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.peers: dict[int, Peer] = {}
        self._lock = threading.Lock()
        self._numbers, self._collected, self._looked = count(), time.monotonic(), 0.0
        self._negotiating: set[int] = set()
        super().__init__(*arguments, **options)
        self.contexts: list[Any] = _Contexts(self.contexts)
        if self.ssl_context is not None:
            self.ssl_context.sslsocket_class = SecureSocket
        self.bind(evt.EVT_CONN_OPEN, self._opened)
        self.bind(evt.EVT_REQUESTED, self._requested)
        self.bind(evt.EVT_PDU_RECV, lambda event: self.peer(event.assoc).parsed())

    def peer(self, association: Any) -> Peer:
        """The other end of an association."""
        found: Peer = association.peer
        return found

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; nothing is waited for here."""
        client, address = self.socket.accept()
        client.setblocking(False)
        if self.ssl_context is None:
            plain = PlainSocket(fileno=client.detach())
            plain.setblocking(False)
            return plain, address
        return self.ssl_context.wrap_socket(client, server_side=True, do_handshake_on_connect=False), address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Give a connection a number; the oldest of those that crowd gives way."""
        peer = Peer(number=next(self._numbers), address=client_address[0], request=request, remote=client_address)
        request.peer = peer
        pending = [one for one in self.peers.values() if one.association is None]
        if len(pending) >= self.patience.pending:
            ((crowd, _),) = Counter(one.address for one in pending).most_common(1)
            self._forget(next(one for one in pending if one.address == crowd))
        with self._lock:
            self.peers[peer.number] = peer
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        """Its turn comes in `service_actions`."""

    def _look(self) -> None:
        """Hand those to pynetdicom whose request is here."""
        for peer in [one for one in self.peers.values() if one.association is None]:
            try:
                if peer.request.has_request() and self._has_room():
                    self._negotiating.add(peer.number)
                    peer.request.settimeout(self.patience.idle_seconds)
                    self.finish_request(peer.request, peer.remote)
            except Exception:  # of a stranger, whose words are repeated nowhere
                self._forget(peer)

    def _has_room(self) -> bool:
        """May threads begin? Those of what we have ended count until they are gone."""
        begun = sum(one.association is not None for one in self.peers.values())
        most = self.patience.associations + self.patience.negotiating
        return len(self._negotiating) < self.patience.negotiating and begun < most

    def _opened(self, event: Any) -> None:
        association = event.assoc
        peer: Peer = association.dul.socket.socket.peer
        association.peer = peer
        peer.association = association

    def _requested(self, event: Any) -> None:
        """Give a request of a known caller a place; pynetdicom turns others away."""
        peer = self.peer(event.assoc)
        known = [title.strip() for title in self.ae.require_calling_aet]
        if not known or event.assoc.requestor.primitive.calling_ae_title in known:
            until = time.monotonic() + self.patience.wait_seconds
            while not self._admit(peer):
                if time.monotonic() > until:
                    event.assoc.acse.send_reject(0x02, 0x03, 0x02)  # for now: local limit exceeded
                    event.assoc.kill()
                    break
                time.sleep(_PAUSE)
        with self._lock:
            self._negotiating.discard(peer.number)

    def _admit(self, peer: Peer) -> bool:
        with self._lock:
            places = [one for one in self.peers.values() if one.admitted is not None and not (one.ended or one.is_over)]
            same = [one for one in places if one.address == peer.address]
            crowd = same if len(same) >= self.patience.per_address else places
            if len(crowd) >= (self.patience.per_address if crowd is same else self.patience.associations):
                now, spared = time.monotonic(), self.patience.spared_seconds
                weak = [one for one in crowd if not one.delivered and now - (one.admitted or 0) > spared]
                if not weak:
                    return False
                min(weak, key=lambda one: one.rate).end()
            peer.admit()
            return True

    def service_actions(self) -> None:
        """Called by the serving loop: close what has had its time, and forget what is over."""
        if time.monotonic() - self._looked < _POLL:
            return
        self._looked = time.monotonic()
        self._look()
        for peer in list(self.peers.values()):
            overdue = not peer.ended and peer.is_overdue(self.patience)
            if peer.is_over or (overdue and peer.association is None):
                self._forget(peer)
            elif overdue:
                peer.end()
        if time.monotonic() - self._collected > _COLLECT:
            gc.collect()
            self._collected = time.monotonic()

    def _forget(self, peer: Peer) -> None:
        with self._lock:
            self.peers.pop(peer.number, None)
            self._negotiating.discard(peer.number)
        if peer.association is not None:
            peer.association.dul.kill_dul()
        peer.request.close()
        self.on_end(peer)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is printed: it could hold what a stranger wrote."""

    def shutdown(self) -> None:
        """Listen no more, and close all connections."""
        super().shutdown()
        for peer in list(self.peers.values()):
            peer.end()
        until = time.monotonic() + _JOIN
        for peer in list(self.peers.values()):
            if peer.association is not None and peer.association.ident is not None:
                peer.association.join(max(until - time.monotonic(), 0))
            self._forget(peer)


class _Contexts(list[Any]):
    """Contexts that pynetdicom copies for every association; their lists of syntaxes, which nobody changes, are shared.

    A deep copy of all storage classes takes 40 ms, and a crowd asks for many.
    """

    def __deepcopy__(self, memo: Any) -> list[Any]:
        return [copy.copy(context) for context in self]


def listen(
    entity: AE,
    address: tuple[str, int],
    *,
    context: ssl.SSLContext | None = None,
    patience: Patience | None = None,
    handlers: Sequence[Any] = (),
    on_end: Callable[[Peer], None] | None = None,
) -> Server:
    """Start a server in a thread of its own.

    Args:
        entity: with its titles and contexts.
        address: (host, port); port 0: any free one.
        context: None: without TLS.
        patience: None: the defaults.
        handlers: of pynetdicom's events.
        on_end: called with every connection that is over.

    Raises:
        CommandError: the address cannot be listened at.
    """
    entity.maximum_associations = 2**20  # the server counts itself, and those alone that have been let in
    patience = patience or Patience()
    entity.acse_timeout = patience.request_seconds
    entity.dimse_timeout = entity.network_timeout = patience.idle_seconds
    made = type("BoundServer", (Server,), {"patience": patience, "on_end": staticmethod(on_end or (lambda _: None))})
    try:
        server: Server = entity.make_server(
            address, ssl_context=context, evt_handlers=list(handlers), server_class=made
        )
    except OSError as error:
        msg = f"{address[0]}:{address[1]}: cannot be listened at: {error.strerror}"
        raise CommandError(msg) from error
    entity._servers.append(server)  # where its shutdown looks for it
    threading.Thread(target=server.serve_forever, args=(_POLL,), daemon=True, name="Listener").start()
    return server
