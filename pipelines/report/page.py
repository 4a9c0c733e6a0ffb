"""`render`: an HTML page from a template, in one file, without network."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

_LARGE = 250_000  # bytes of a picture
_WEBP = 16_383  # pixels of a side; the format knows no more


def render(template: str, **values: Any) -> str:
    """Fill in one of `pipelines/report/templates`; values are escaped.

    Filters: `inline` for PNG bytes; `base64` for others; `policy` for the Content-Security-Policy source of a script;
    `coded` for a sentence in which backquotes mark code.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("pipelines.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"inline": _inline, "base64": _base64, "policy": _policy, "coded": _coded}
    return environment.get_template(template).render(**values)


def _inline(png: bytes) -> str:
    """A picture's address; a large one as WebP, in which no difference is seen and which is a quarter of the size."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png))
    if len(png) <= _LARGE or max(picture.size) > _WEBP:
        return f"data:image/png;base64,{_base64(png)}"
    small = io.BytesIO()
    picture.convert("RGB").save(small, format="webp", quality=88)
    return f"data:image/webp;base64,{_base64(small.getvalue())}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _coded(sentence: str) -> str:
    """A sentence, escaped, whose parts between backquotes are code."""
    from markupsafe import Markup, escape

    code, parts = Markup("<code>{}</code>"), sentence.split("`")
    return Markup("").join(code.format(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def _policy(script: str) -> str:
    """What lets this very script run and no other."""
    return f"'sha256-{_base64(hashlib.sha256(script.encode()).digest())}'"
