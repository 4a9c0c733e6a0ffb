"""The command `healthytwin label`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Bundle, BundleSha256, Debug, Device


def label(
    studies: Annotated[
        str | None, typer.Option(metavar="DIR|URL", help="Folder of NIfTI or NRRD files, or a DICOMweb address.")
    ] = None,
    bundle: Bundle = None,
    bundle_sha256: BundleSha256 = None,
    device: Device = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A host name that clients use for this machine; may be repeated."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    print_app: Annotated[
        bool, typer.Option("--print-app", help="Print the app's folder for `monailabel start_server`, and end.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Serve studies to 3D Slicer and OHIF through MONAI Label, until Ctrl-C."""
    with guarded(debug=debug):
        from pipelines.bundles import pinned
        from pipelines.label.server import app_folder, serve
        from pipelines.problems import CommandError

        if print_app:
            folder = app_folder()
        elif studies is None:
            msg = "name the studies: healthytwin label --studies DIR"
            raise CommandError(msg)
        else:
            code = serve(
                studies,
                bundle=pinned(bundle, bundle_sha256),
                device=device,
                host=host,
                port=port,
                names=allow_host or (),
            )
    if print_app:
        typer.echo(folder)
        return
    raise typer.Exit(code)
