"""`healthytwin receive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug


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
    debug: Debug = False,
) -> None:
    """Listen for images that a PACS or scanner sends by C-STORE, until Ctrl-C."""
    with guarded(debug=debug):
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
        )
        receiver.start()
        typer.echo(f"{title} listens at {host}:{receiver.port} for {', '.join(allow)}", err=True)
        try:
            while True:
                time.sleep(1)
                if receiver.settle_all():
                    numbers = ", ".join(
                        f"{number} {what}" for what, number in sorted(receiver.counts.items()) if number
                    )
                    typer.echo(f"so far: {numbers}", err=True)
        finally:
            receiver.stop()
