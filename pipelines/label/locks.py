"""Locks on MONAI Label's endpoints: names are checked before they become paths, and only known hosts are answered."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache, wraps
from inspect import signature
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from monailabel.endpoints import datastore, infer, session
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, Response

from pipelines.label import checks
from pipelines.label.refusals import refusals
from pipelines.label.server import HOSTS

_UNUSED = ("/model/", "/wsi_infer/", "/logs/gpu")  # endpoints that change weights, or that no bundle of ours answers
Scope = MutableMapping[str, Any]


@cache
def check_names() -> None:
    """Check what clients name in a request, once in a process, before MONAI Label makes paths of it."""
    _check(datastore, "add_image", image=_if_given(checks.image_id), file=_upload(checks.IMAGES))
    _check(
        datastore, "save_label", image=checks.image_id, tag=_if_given(checks.label_tag), label=_upload(checks.IMAGES)
    )
    sent = {"file": _upload(checks.IMAGES), "label": _upload(checks.LABELS)}
    _check(infer, "run_inference", session_id=_if_given(checks.session_id), **sent)
    _check(session, "create_session", files=_uploads)
    for name in ("get_session", "remove_session"):
        _check(session, name, session_id=checks.session_id)


def lock(app: FastAPI) -> None:
    """Answer requests for known hosts alone, and offer nothing that the app has no use for."""
    app.add_middleware(Door, hosts=known_hosts())
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=known_hosts(), www_redirect=False)


def known_hosts() -> list[str]:
    """Names that a browser or viewer may call this server by; a page can make any other one lead here."""
    named = [name.strip() for name in os.environ.get(HOSTS, "").split(",")]
    return list(filter(None, ["127.0.0.1", "localhost", socket.gethostname(), *named]))


class Door:
    """Refuses what pages of other servers send, and endpoints without a use.

    A browser says whose page it was; 3D Slicer says nothing.

    Args:
        app: that answers the rest.
        hosts: whose pages may send.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], *, hosts: list[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request."""
        answer = self.app if scope["type"] != "http" else self._refusal(scope) or self.app
        await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        origin = Headers(scope=scope).get("origin")
        if origin is not None and urlsplit(origin).hostname not in self.hosts:
            return PlainTextResponse("a page of another server must not send this", status_code=403)
        if scope["path"].startswith(_UNUSED):
            return PlainTextResponse("this server does not offer it", status_code=404)
        return None


def _check(module: Any, name: str, **rules: Callable[[Any], Any]) -> None:
    """Let a function of an endpoint see its arguments only once rules have let them through."""
    inner = getattr(module, name)
    parameters = signature(inner)

    @wraps(inner)
    def checked(*arguments: Any, **named: Any) -> Any:
        given = parameters.bind(*arguments, **named).arguments
        with refusals():
            for argument, rule in rules.items():
                rule(given.get(argument))
        return inner(*arguments, **named)

    setattr(module, name, checked)


def _if_given(rule: Callable[[str], str]) -> Callable[[str | None], Any]:
    return lambda value: rule(value) if value else None


def _upload(extensions: tuple[str, ...]) -> Callable[[Any], Any]:
    return lambda file: checks.file_name(file.filename, extensions) if file is not None else None


def _uploads(files: list[Any]) -> None:
    for file in files:
        checks.file_name(file.filename, checks.SESSIONS)
