"""HTML and SVG from Python, safe by construction: whatever is not :class:`Html` is escaped.

Names of files and nodes may hold anything, also characters that reorder the text around them. Those and control
characters are shown by their number instead; letters that run from right to left keep their order within the name.
"""

from __future__ import annotations

import html
import json
import unicodedata
from typing import Any

__all__ = ["Html", "element", "isolated", "isolated_text", "join", "name", "script_json", "visible"]

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
