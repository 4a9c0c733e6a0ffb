"""MONAI Label's application, with its locks mended.

By itself it lets every web page that the user has open read its answers (`Access-Control-Allow-Origin: *`), and 0.8.5
does not start with `MONAI_LABEL_CORS_ORIGINS` set. OHIF as this server serves it is of the same origin, and 3D Slicer
is no page. It answers to any host name, and it makes paths of what clients say: see `pipelines.label.locks`. With
authentication on, it refuses every token: PyJWT 2 must be told the algorithm (RFC 8725, 3.1).
"""

from functools import partial
from types import SimpleNamespace

import jwt
from monailabel.config import settings

settings.MONAI_LABEL_CORS_ORIGINS = [f"http://127.0.0.1:{settings.MONAI_LABEL_SERVER_PORT}"]

from monailabel.app import app  # noqa: E402  it reads the setting
from monailabel.endpoints.user import auth  # noqa: E402

from pipelines.label.locks import lock  # noqa: E402

lock(app)
auth.jwt = SimpleNamespace(decode=partial(jwt.decode, algorithms=["RS256"]))  # what Keycloak signs with

__all__ = ["app"]
