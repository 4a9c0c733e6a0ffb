"""`healthytwin receive`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug

if TYPE_CHECKING:
    import threading

    from pipelines.pacs.tls import Tls


def receive(
    inbox: Annotated[Path, typer.Argument(metavar="INBOX", help="Folder for the studies; a SOURCE for `reprocess`.")],
    allow: Annotated[
        list[str], typer.Option(metavar="TITLE", help="An AE title that may send; may stand several times.")
    ],
    title: Annotated[str, typer.Option(metavar="TITLE", help="Own AE title.")] = "HEALTHYTWIN",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 11112,
    settle: Annotated[float, typer.Option(min=1, help="Seconds of quiet after which a study is complete.")] = 60,
    most_mb: Annotated[float, typer.Option("--max-mb", min=1, help="Size of an image, MB.")] = 512,
    free_gb: Annotated[float, typer.Option(min=0, help="Disk space to keep free, GB.")] = 2,
    take_broken: Annotated[
        bool,
        typer.Option("--take-broken", help="Also take studies whose association broke. [default: hold them back]"),
    ] = False,
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Own certificate and its chain, PEM: listen with TLS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Key of the certificate, PEM.")] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Authorities, PEM: senders must show a certificate that one of them signed."),
    ] = None,
    site: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Site settings, YAML; `receive.tls` names certificates.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Listen for images that a PACS or scanner sends by C-STORE, until Ctrl-C."""
    with guarded(debug=debug), _private(debug=debug):
        import time

        from pipelines.machine.files import writable_folder
        from pipelines.pacs.receive import Receiver

        receiver = Receiver(
            writable_folder(inbox),
            title=title,
            senders=allow,
            address=(host, port),
            settle=settle,
            most_mb=most_mb,
            free_gb=free_gb,
            hold=not take_broken,
            tls=_certificates(tls_certificate, tls_key, tls_ca, site),
        )
        receiver.start()
        typer.echo(f"{title} listens at {host}:{receiver.port} for {', '.join(allow)}", err=True)
        try:
            held = 0
            while True:
                time.sleep(1)
                moved, before, held = receiver.settle_all(), held, receiver.held
                if moved:
                    numbers = ", ".join(
                        f"{number} {what}" for what, number in sorted(receiver.counts.items()) if number
                    )
                    typer.echo(f"so far: {numbers}", err=True)
                if held > before:
                    typer.echo(f"held back: {held} studies whose association broke or was refused an image", err=True)
        finally:
            receiver.stop()


@contextmanager
def _private(*, debug: bool) -> Iterator[None]:
    """What is written is for the owner alone, and nothing of a header is printed, be it in a warning or an error."""
    import os
    import threading
    import warnings

    mask, hook = os.umask(0o077), threading.excepthook
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
                threading.excepthook = _only_type
            yield
    finally:
        os.umask(mask)
        threading.excepthook = hook


def _only_type(raised: threading.ExceptHookArgs) -> None:
    typer.echo(f"a connection failed ({raised.exc_type.__name__})", err=True)


def _certificates(certificate: Path | None, key: Path | None, ca: Path | None, site: Path | None) -> Tls | None:
    """Those of the options, else those of the site file."""
    from pydantic import ValidationError

    from pipelines.pacs.tls import Tls
    from pipelines.problems import CommandError
    from pipelines.reprocess.site import load_site

    if certificate is key is ca is None:
        return load_site(site).receive.tls
    try:
        return Tls(certificate=certificate, key=key, ca=ca)
    except ValidationError as error:
        msg = "--tls-certificate and --tls-key go together"
        raise CommandError(msg) from error
