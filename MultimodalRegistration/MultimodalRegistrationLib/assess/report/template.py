"""Pages from the files of ``page/``: one self-contained text that may run and load nothing but what is its own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .markup import Html, element

__all__ = ["fill_page"]

_PAGE = Path(__file__).with_name("page")
_HEAD = "head.html"
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}")


def fill_page(
    template: str, parts: Mapping[str, Html | None], *, styles: Sequence[str], scripts: Sequence[str], images: str
) -> str:
    """Put parts into a template.

    Parameters
    ----------
    template : str
        A file of ``page/``: what follows the head, with the place ``script`` and those of the parts.
    parts : mapping of str to Html or None
        What stands at each place; None for nothing. ``title`` is that of the page.
    styles, scripts : sequence of str
        Files of ``page/``, which are put into the page one after the other.
    images : str
        Where pictures may come from, as a Content Security Policy says it.

    Returns
    -------
    str
        The page.
    """
    style, script = ("\n".join(_read(file) for file in files) for files in (styles, scripts))
    policy = (
        f"default-src 'none'; img-src {images}; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    filled = {
        **parts,
        "policy": element("meta", http_equiv="Content-Security-Policy", content=Html(policy)),
        "style": element("style", Html(style)),
        "script": element("script", Html(script)),
    }
    # One pass: what is put in is never looked at again.
    return _PLACE.sub(lambda match: filled[match[1]] or "", _read(_HEAD) + _read(template))


def _read(file: str) -> str:
    return (_PAGE / file).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
