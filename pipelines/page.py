"""`render`: an HTML page from a template, in one file, without network."""

from __future__ import annotations

import base64
from typing import Any


def render(template: str, **values: Any) -> str:
    """Fill in one of `pipelines/templates`; values are escaped, PNG bytes go in through the filter `inline`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("pipelines"), autoescape=True, undefined=StrictUndefined)
    environment.filters["inline"] = _inline
    return environment.get_template(template).render(**values)


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
