"""`healthytwin receive`: a C-STORE listener that fills a folder, study by study."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipelines.machine.files import sync
from pipelines.problems import CommandError

# DIMSE status codes of C-STORE (PS3.4 table B.2-1)
SUCCESS, OUT_OF_RESOURCES, REFUSED, NOT_UNDERSTOOD = 0x0000, 0xA700, 0x0124, 0xC000
_ARRIVING = ".arriving"  # hidden: `reprocess` passes it over
_NAME = 20
_WORDS = ("StudyInstanceUID", "SeriesInstanceUID")


class Receiver:
    """Takes images from known senders; a study that has been quiet for a while is moved to its place.

    An image is on the disk, synced, before it is confirmed. Names are hashes of UIDs. Images deflated as a whole are
    not accepted: how large they are shows only once they are unpacked.

    Args:
        inbox: the folder; a source for `reprocess`.
        title: own AE title; senders must call it by this.
        senders: AE titles that may send.
        address: (host, port) to listen at; port 0: any free one.
        settle: seconds without an image after which a study counts as complete.
        most_mb: size of an image.
        free_gb: of the disk that stay free.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not senders:
            msg = "name at least one AE title that may send"
            raise CommandError(msg)
        self.inbox, self.title, self.senders, self.address = inbox, title, list(senders), address
        self.settle, self.most_bytes, self.free_gb, self.clock = settle, int(most_mb * 1e6), free_gb, clock
        self.counts: Counter[str] = Counter()
        (inbox / _ARRIVING).mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._heard: dict[str, float] = {}
        for path in (inbox / _ARRIVING).iterdir():  # of an earlier start
            if path.is_dir():
                self._heard[path.name] = clock()
            else:
                path.unlink()
        self._server: Any = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen, in threads of its own.

        Raises:
            CommandError: the address cannot be listened at.
        """
        from pydicom.uid import AllTransferSyntaxes, DeflatedExplicitVRLittleEndian
        from pynetdicom import AE, AllStoragePresentationContexts, evt

        entity = AE(ae_title=self.title)
        entity.require_called_aet = True
        entity.require_calling_aet = self.senders
        entity.maximum_associations = 8
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        syntaxes = [uid for uid in AllTransferSyntaxes if uid != DeflatedExplicitVRLittleEndian]
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, syntaxes)
        entity.add_supported_context("1.2.840.10008.1.1")  # verification
        try:
            self._server = entity.start_server(self.address, block=False, evt_handlers=[(evt.EVT_C_STORE, self._take)])
        except OSError as error:
            msg = f"{self.address[0]}:{self.address[1]}: cannot be listened at: {error.strerror}"
            raise CommandError(msg) from error

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()

    def settle_all(self) -> int:
        """Move every study that has been quiet for long enough to its place; how many."""
        with self._lock:
            quiet = [name for name, heard in self._heard.items() if self.clock() - heard >= self.settle]
            for name in quiet:
                self._move(name)
                del self._heard[name]
        self.counts["studies"] += len(quiet)
        return len(quiet)

    def _move(self, name: str) -> None:
        """Bring a study to its place; images that come late join the others."""
        arriving, place = self.inbox / _ARRIVING / name, self.inbox / name
        if not place.exists():
            arriving.rename(place)
        else:
            for image in arriving.iterdir():
                image.replace(place / image.name)
            arriving.rmdir()
            sync(place)
        sync(self.inbox)

    def _take(self, event: Any) -> int:
        """Keep one image; gives its status."""
        status = self._status(event)
        self.counts["images" if status == SUCCESS else "refused"] += 1
        return status

    def _status(self, event: Any) -> int:
        from pydicom import dcmread

        if event.assoc.requestor.ae_title not in self.senders:
            return REFUSED
        if shutil.disk_usage(self.inbox).free / 1e9 < self.free_gb:
            return OUT_OF_RESOURCES
        content = event.encoded_dataset()
        if len(content) > self.most_bytes:
            return OUT_OF_RESOURCES
        try:
            head = dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=list(_WORDS))
            study, series = (str(head[word].value) for word in _WORDS)
        except Exception:  # pydicom raises many types on what is no DICOM
            return NOT_UNDERSTOOD
        name = _hashed(series, str(event.request.AffectedSOPInstanceUID))
        try:
            self._keep(_hashed(study), name, content)
        except OSError:
            return OUT_OF_RESOURCES
        return SUCCESS

    def _keep(self, study: str, name: str, content: bytes) -> None:
        """Write an image so that it is whole and on the disk."""
        partial = self.inbox / _ARRIVING / f".{name}.{threading.get_ident()}"
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with self._lock:
            folder = self.inbox / _ARRIVING / study
            folder.mkdir(exist_ok=True)
            partial.replace(folder / f"{name}.dcm")
            sync(folder)
            self._heard[study] = self.clock()


def _hashed(*uids: str) -> str:
    return hashlib.sha256("\0".join(uids).encode()).hexdigest()[:_NAME]
