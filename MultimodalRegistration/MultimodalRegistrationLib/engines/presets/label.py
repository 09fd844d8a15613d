"""What a preset is called, in a comment of the files that engines read, so that it comes back with an import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .model import SCHEMA_VERSION, Preset, preset_content

__all__ = ["find_label", "label_line", "label_of", "usable_label"]

_WORD = "multimodal-registration preset: "
_KINDS = {"name": str, "title": str, "description": str, "winsorize_percentiles": list}


def label_of(preset: Preset) -> dict[str, Any]:
    """The content of a preset without its engines."""
    return {key: value for key, value in preset_content(preset).items() if key != "engines"}


def label_line(comment: str, label: Mapping[str, Any]) -> str:
    """A comment line; ``comment`` is how the format begins one."""
    return f"{comment} {_WORD}{json.dumps(dict(label))}\n"


def find_label(text: str) -> dict[str, Any]:
    """The label in the text of a file; empty where there is none that can be used."""
    line = next((line for line in text.split("\n") if _WORD in line), "")
    try:
        return usable_label(json.loads(line.partition(_WORD)[2] or "{}"))
    except json.JSONDecodeError:
        return {}


def usable_label(content: object) -> dict[str, Any]:
    """A label as it is, or an empty one in place of what another version or hand wrote."""
    if not isinstance(content, dict) or content.get("schema") != SCHEMA_VERSION:
        return {}
    if not all(isinstance(content.get(key), kind) for key, kind in _KINDS.items()):
        return {}
    return {key: content[key] for key in (*_KINDS, "equalised_shares") if key in content}
