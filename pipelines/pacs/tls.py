"""TLS for DICOM (PS3.15 annex B): certificates of both sides."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.problems import CommandError


class Tls(BaseModel):
    """Files in PEM.

    A listener needs `certificate` and `key`; with `ca` a sender must show a certificate as well. For a sender, `ca`
    says who may have signed the listener's certificate; without it the system's authorities do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: Path | None = Field(default=None, description="our own, followed by the chain that signed it")
    key: Path | None = Field(default=None, description="of our certificate; not encrypted")
    ca: Path | None = Field(default=None, description="authorities that may have signed the other side's certificate")

    @model_validator(mode="after")
    def _both(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            msg = "name both certificate and key, or neither"
            raise ValueError(msg)
        return self

    def listener(self) -> ssl.SSLContext:
        """For what others connect to.

        Raises:
            CommandError: a file cannot be used, or there is no certificate.
        """
        if self.certificate is None:
            msg = "a listener with TLS needs a certificate and its key"
            raise CommandError(msg)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._filled(context)

    def caller(self) -> ssl.SSLContext:
        """For connections of ours; the other side's certificate must be for the host that is called.

        Raises:
            CommandError: a file cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is None:
            context.load_default_certs()
        return self._filled(context)

    def _filled(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca is not None:
            _load(self.ca, lambda: context.load_verify_locations(self.ca))
        if self.certificate is not None and self.key is not None:
            certificate, key = self.certificate, self.key
            _load(certificate, lambda: context.load_cert_chain(certificate, key, password=lambda: ""))
        return context


def _load(path: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        msg = f"{path}: cannot be used for TLS: {why}"
        raise CommandError(msg) from error
