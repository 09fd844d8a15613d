"""HTML and SVG from Python, safe by construction: whatever is not :class:`Html` is escaped.

Names of files and nodes may hold anything, also characters that reorder the text around them. Those and control
characters are shown by their number instead; letters that run from right to left keep their order within the name.

Pages are made from the files of ``page/``: one self-contained text that may run and load nothing but what is its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PAGE = Path(__file__).with_name("page")
_HEAD = "head.html"
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}")
# Joiners are part of the spelling in some scripts.
_KEPT = "\t\n\u200c\u200d"
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_VOID = ("br", "col", "hr", "img", "input", "link", "meta")


class Html(str):
    """Markup that is complete and safe."""

    __slots__ = ()


def visible(value: object) -> str:
    """Text in which every invisible or reordering character is written as its number."""
    return "".join(
        f"[U+{ord(c):04X}]" if unicodedata.category(c) in _HIDDEN_CATEGORIES and c not in _KEPT else c
        for c in str(value)
    )


def isolated_text(value: object) -> str:
    """A name, as text that is not escaped yet, that cannot reorder its surroundings."""
    return f"{_FIRST_STRONG_ISOLATE}{visible(value)}{_POP_ISOLATE}"


def isolated(value: object) -> Html:
    """The same as markup, where elements cannot stand, as in an SVG or an attribute."""
    return Html(html.escape(isolated_text(value)))


def name(value: object) -> Html:
    """A name within HTML that cannot reorder its surroundings."""
    return Html(f"<bdi>{html.escape(visible(value))}</bdi>")


def element(tag: str, *children: object, **attributes: object) -> Html:
    """Make an element.

    Parameters
    ----------
    tag : str
        Its name.
    *children : object
        What it holds: :class:`Html` as it is, None left out, anything else as escaped text.
    **attributes : object
        Underscores stand for hyphens, one at the end is dropped (``class_``); True gives the attribute without a
        value, None and False leave it out.
    """
    parts = [tag]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        parts.append(attribute if value is True else f'{attribute}="{join(value)}"')
    opening = f"<{' '.join(parts)}>"
    return Html(opening if tag in _VOID else f"{opening}{join(*children)}</{tag}>")


def join(*children: object) -> Html:
    """Put markup and text in a row; text is escaped, None left out."""
    return Html(
        "".join(
            child if isinstance(child, Html) else html.escape(visible(child)) for child in children if child is not None
        )
    )


def script_json(content: Any) -> Html:
    """JSON that can stand within a script element: nothing in it can end the element or a line."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(text)


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
