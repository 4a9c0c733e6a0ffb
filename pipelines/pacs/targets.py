"""Where results are sent: STOW-RS or C-STORE, and what the archive said of every object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

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
    """An archive that takes objects."""

    name: str

    def send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        """Send objects, and give the answer to each by SOPInstanceUID; raises `UnreachableError`."""


class StowTarget:
    """An archive that takes objects by STOW-RS (DICOM PS3.18 section 10.5).

    Args:
        url: of the DICOMweb service; a user's name and password come from `~/.netrc`.
        timeout: seconds.
    """

    def __init__(self, url: str, *, timeout: float = 60) -> None:
        self.name = f"stow {url}"
        self.client = web_client(url, timeout=timeout)

    def send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        """Send in one request; what the response does not name as stored is not taken to be."""
        import requests

        try:
            response = self.client.store_instances(list(objects))
        except (requests.ConnectionError, requests.Timeout) as error:
            raise UnreachableError(type(error).__name__) from error
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status >= 500 or status in (401, 403, 404, 408, 429):
                msg = f"HTTP {status}"
                raise UnreachableError(msg) from error
            return {str(one.SOPInstanceUID): Answer(False, f"HTTP {status}") for one in objects}
        stored = {item.ReferencedSOPInstanceUID for item in response.get("ReferencedSOPSequence") or ()}
        failed = {
            item.ReferencedSOPInstanceUID: f"failure reason 0x{int(item.get('FailureReason') or 0):04X}"
            for item in response.get("FailedSOPSequence") or ()
        }
        return {
            str(one.SOPInstanceUID): Answer(
                one.SOPInstanceUID in stored and one.SOPInstanceUID not in failed,
                "" if one.SOPInstanceUID in stored else failed.get(one.SOPInstanceUID, "not confirmed"),
            )
            for one in objects
        }


class StoreTarget:
    """An archive that takes objects by C-STORE (DICOM PS3.4 annex B).

    Args:
        node: its address and titles.
        timeout: seconds for every step.
    """

    def __init__(self, node: StoreNode, *, timeout: float = 60) -> None:
        self.node, self.timeout = node, timeout
        self.name = f"store {node.title}@{node.host}:{node.port}"

    def send(self, objects: Sequence[Dataset]) -> dict[str, Answer]:
        """Send over one association."""
        from pynetdicom import AE

        entity = AE(ae_title=self.node.calling_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.timeout
        entity.connection_timeout = self.timeout
        for kind in sorted({one.SOPClassUID for one in objects}):
            entity.add_requested_context(kind)
        association = entity.associate(self.node.host, self.node.port, ae_title=self.node.title)
        if not association.is_established:
            msg = "association rejected" if association.is_rejected else "no association"
            raise UnreachableError(msg)
        try:
            return {str(one.SOPInstanceUID): _stored(association, one) for one in objects}
        finally:
            association.release()


def web_client(url: str, *, timeout: float) -> Any:
    """A DICOMweb client that tries once: what fails is tried again by the next run."""
    from dicomweb_client.api import DICOMwebClient

    client = DICOMwebClient(url=url, timeout=timeout)
    client.set_http_retry_params(retry=False)
    return client


def _stored(association: Any, one: Dataset) -> Answer:
    try:
        status = association.send_c_store(one).get("Status")
    except ValueError:  # no context for its class was accepted
        return Answer(False, "the archive does not take objects of this class")
    except RuntimeError as error:  # the association has ended
        raise UnreachableError("association ended") from error
    if status is None:
        msg = "no answer"
        raise UnreachableError(msg)
    return Answer(True) if status == 0 or status in _WARNINGS else Answer(False, f"status 0x{status:04X}")
