"""The server with authentication on, behind a realm of our own: `python authenticated.py FOLDER BUNDLE`, as JSON.

A process of its own, since MONAI Label reads the switch when it is imported.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Realm(BaseHTTPRequestHandler):
    """Gives the public key as Keycloak does."""

    def do_GET(self) -> None:
        body = json.dumps({"public_key": "".join(PUBLIC.decode().splitlines()[1:-1])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def token(role: str, *, key: Any = KEY, algorithm: str = "RS256", lasts: float = 600) -> str:
    """Of a user with one role."""
    claims = {"preferred_username": "reader", "realm_access": {"roles": [role]}, "exp": time.time() + lasts}
    return jwt.encode(claims, key, algorithm=algorithm)


def main(folder: Path, bundle: Path) -> dict[str, int]:
    """The status that each token brings."""
    realm = HTTPServer(("127.0.0.1", 0), Realm)
    threading.Thread(target=realm.serve_forever, daemon=True).start()
    (folder / "studies").mkdir()
    os.environ |= {
        "XDG_CONFIG_HOME": str(folder),
        "MONAI_LABEL_AUTH_ENABLE": "true",
        "MONAI_LABEL_AUTH_REALM_URI": f"http://127.0.0.1:{realm.server_port}/realms/monailabel",
        "MONAI_LABEL_STUDIES": str(folder / "studies"),
        "MONAI_LABEL_APP_CONF": json.dumps({"bundle": str(bundle)}),
        "MONAI_LABEL_SESSION_PATH": str(folder / "sessions"),
    }
    from pipelines.label.server import app_folder

    os.environ["MONAI_LABEL_APP_DIR"] = str(app_folder())
    from fastapi.testclient import TestClient

    from pipelines.label.asgi import app

    told = {}
    with TestClient(app, base_url="http://127.0.0.1") as client:

        def ask(name: str, bearer: str, **more: Any) -> None:
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            told[name] = client.request(**{"method": "GET", "url": "/info/", **more}, headers=headers).status_code

        ask("none", "")
        ask("user", token("monailabel-user"))
        ask("user who trains", token("monailabel-user"), method="POST", url="/train/train")
        ask("other role", token("visitor"))
        ask("other key", token("monailabel-user", key=OTHER))
        ask("expired", token("monailabel-user", lasts=-60))
        ask("unsigned", token("monailabel-user", key=None, algorithm="none"))
    return told


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
