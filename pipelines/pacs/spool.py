"""Images written to the disk while they arrive, and refused while they arrive."""

from __future__ import annotations

import hashlib
import io
import os
import queue
import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu_primitives import P_DATA

# DIMSE status codes of C-STORE (PS3.4 table B.2-1)
SUCCESS, OUT_OF_RESOURCES, REFUSED, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0xA700, 0x0124, 0xA900, 0xC000
_MOST_COMMAND = 2**16  # bytes; of a command, and of the data of what is not an image
_MOST_WAITING = 4  # messages sent without waiting for an answer, which was not negotiated
_PATIENCE = 4  # times the size of an image, after which the sender is not listened to any more
_LOOK = 0.05  # seconds
_OFTEN = 2**23  # bytes between looks at the disk


class Spool:
    """One image on its way: a whole DICOM file as soon as its last byte is here.

    Args:
        folder: where to.
        kind: SOPClassUID, as the command says.
        instance: SOPInstanceUID, as the command says.
        syntax: transfer syntax that was negotiated.
        most_bytes: of the data set.
        free_gb: of the disk that stay free.
    """

    def __init__(self, folder: Path, *, kind: str, instance: str, syntax: str, most_bytes: int, free_gb: float) -> None:
        from data_prep.dicom.parser import valid_uid

        self.kind, self.instance, self.syntax = kind, instance, syntax
        self.most_bytes, self.free_gb, self.folder = most_bytes, free_gb, folder
        self.status, self.size, self._looked = SUCCESS, 0, -_OFTEN
        self._digest = hashlib.sha256(syntax.encode())
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        if not (valid_uid(kind) and valid_uid(instance) and valid_uid(syntax)):
            self.refuse(NOT_UNDERSTOOD)
            return
        try:
            handle, name = tempfile.mkstemp(prefix=".", dir=folder)  # readable for the owner alone
            self.path, self._file = Path(name), os.fdopen(handle, "wb")
            self._file.write(_preamble(kind, instance, syntax))
        except OSError:
            self.refuse(OUT_OF_RESOURCES)

    @property
    def digest(self) -> str:
        """Of transfer syntax and data set."""
        return self._digest.hexdigest()

    @property
    def is_hopeless(self) -> bool:
        """Has so much come that it will never be an image?"""
        return self.size > _PATIENCE * self.most_bytes

    def refuse(self, status: int) -> None:
        """Keep nothing of it."""
        self.status = status
        self.discard()

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        if self._file is None:
            return
        if self.size > self.most_bytes or not self._has_room():
            self.refuse(OUT_OF_RESOURCES)
            return
        self._digest.update(data)
        try:
            self._file.write(data)
        except OSError:
            self.refuse(OUT_OF_RESOURCES)

    def _has_room(self) -> bool:
        if self.size - self._looked > _OFTEN:
            self._looked = self.size
            return shutil.disk_usage(self.folder).free / 1e9 >= self.free_gb
        return True

    def close(self) -> None:
        """Bring it to the disk; raises OSError."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def name(self, instance: str) -> None:
        """Let the file's meta information name the data set's own instance, where the command named another."""
        if instance == self.instance or self.path is None:
            return
        old, start = self.path, len(_preamble(self.kind, self.instance, self.syntax))
        handle, name = tempfile.mkstemp(prefix=".", dir=self.folder)
        self.path = Path(name)
        with old.open("rb") as source, os.fdopen(handle, "wb") as target:
            source.seek(start)
            target.write(_preamble(self.kind, instance, self.syntax))
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        old.unlink()

    def discard(self) -> None:
        """Remove what is there."""
        file, path, self._file, self.path = self._file, self.path, None, None
        if file is not None:
            file.close()
        if path is not None:
            path.unlink(missing_ok=True)


class Arriving(DIMSEServiceProvider):
    """pynetdicom's DIMSE provider of one association, whose data sets go to a `Spool` instead of into memory.

    pynetdicom's own `STORE_RECV_CHUNKED_DATASET` knows no bound, and holds for all of a process.

    Args:
        association: of pynetdicom.
        begin: makes the spool of an image, from (kind, instance, syntax).
    """

    def __init__(self, association: Any, begin: Any) -> None:
        super().__init__(association)
        self._begin = begin
        self._spool: Spool | None = None
        self._other = 0
        self._whole: dict[int, Spool] = {}

    def take(self, message: int) -> Spool | None:
        """The image of a message that is whole."""
        return self._whole.pop(message, None)

    def get_msg(self, block: bool = False) -> Any:
        """The next message; where there is none, the loop that asks a thousand times a second waits for a while."""
        if block:
            return super().get_msg(block)
        try:
            return self.msg_queue.get(timeout=_LOOK)
        except queue.Empty:
            return None, None

    def receive_primitive(self, primitive: Any) -> None:
        """Take one PDU's worth of messages, fragment by fragment."""
        for context, value in primitive.presentation_data_value_list:
            if not value or self.msg_queue.qsize() > _MOST_WAITING:
                self._abort()
                return
            if value[0] & 1:
                self._other += len(value)
            elif self.message is None or self.message.context_id is None:  # data without a command
                self._abort()
                return
            else:
                self._data(context, value)
                value = value[:1] if isinstance(self.message, C_STORE_RQ) else value
            if self._other > _MOST_COMMAND or (self._spool is not None and self._spool.is_hopeless):
                self._abort()
                return
            single = P_DATA()
            single.presentation_data_value_list = [[context, value]]
            super().receive_primitive(single)
            if self.message is None:
                self._other = 0
                self.assoc.peer.advance()

    def _data(self, context: int, value: bytes) -> None:
        message = self.message
        if not isinstance(message, C_STORE_RQ):
            self._other += len(value)
            return
        command = message.command_set
        if self._spool is None:
            syntaxes = {one.context_id: one.transfer_syntax[0] for one in self.assoc.accepted_contexts}
            kind, instance = (str(command.get(name, "")) for name in ("AffectedSOPClassUID", "AffectedSOPInstanceUID"))
            self._spool = self._begin(kind, instance, str(syntaxes.get(context, "")))
        self._spool.write(value[1:])
        if value[0] & 2:
            self._whole[command.get("MessageID", -1)] = self._spool
            self._spool = None

    def _abort(self) -> None:
        self.discard()
        self.dul.event_queue.put("Evt19")  # an invalid PDU (PS3.8 section 9.2): what pynetdicom does with a bad message

    def discard(self) -> None:
        """Remove what is not whole, or was not taken."""
        spools = [*self._whole.values(), *([self._spool] if self._spool else [])]
        self._spool = None
        self._whole.clear()
        for spool in spools:
            spool.discard()


def _preamble(kind: str, instance: str, syntax: str) -> bytes:
    """What stands before a data set in a file (PS3.10 section 7.1)."""
    from pydicom.filewriter import write_file_meta_info
    from pynetdicom.dsutils import create_file_meta

    stream = io.BytesIO()
    stream.write(bytes(128) + b"DICM")
    meta = create_file_meta(sop_class_uid=kind, sop_instance_uid=instance, transfer_syntax=syntax)  # type: ignore[arg-type]
    write_file_meta_info(stream, meta)  # type: ignore[arg-type]
    return stream.getvalue()
