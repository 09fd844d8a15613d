"""Sections of the report in words: the inputs, the verdict, warnings, and what a repetition needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markup import Html, element, join, name
from .quantities import brief, value_text
from .tables import definitions, is_scalar

__all__ = ["about_inputs", "repeat_section", "verdict_section", "warnings_section"]

_SIGNS = {"good": "✓", "doubtful": "!", "bad": "✕", "unknown": "?"}
_ELSEWHERE = (
    "schema",
    "created",
    "command",
    "inputs",
    "settings",
    "software",
    "volumes",
    "verdict",
    "warnings",
    "before",
    "methods",
    "comparisons",
    "mark",
)


def about_inputs(content: Mapping[str, Any], fixed_name: str, moving_name: str) -> Html:
    """Which volumes, of what size, and when."""
    lines: list[tuple[object, object]] = []
    for role, title in (("fixed", fixed_name), ("moving", moving_name)):
        volume = content["volumes"].get(role) or {}
        size = " × ".join(map(str, volume["size"])) if volume.get("size") else None
        spacing = " × ".join(brief(s) for s in volume["spacing_mm"]) if volume.get("spacing_mm") else None
        details = ", ".join(filter(None, [size and f"{size} voxels", spacing and f"{spacing} mm"]))
        lines.append((f"{role.capitalize()} volume", f"{title}{f' ({details})' if details else ''}"))
    return definitions([*lines, ("Report made", content["created"])])


def verdict_section(verdict: Mapping[str, Any]) -> Html:
    """The verdict: a word, a sentence, and what it rests on."""
    word = verdict["word"] if verdict["word"] in _SIGNS else "unknown"
    method = verdict.get("method")
    head = element(
        "p",
        element("span", _SIGNS[word], class_="sign", aria_hidden="true"),
        element("strong", str(verdict["word"]).capitalize()),
        None if method is None else element("span", name(method), class_="of"),
        class_="word",
    )
    others = [
        (key, value)
        for key, value in verdict.items()
        if key not in ("word", "method", "sentence", "reasons", "facts") and is_scalar(value)
    ]
    measured = join(_list("Measured", verdict.get("facts")), definitions(others) if others else None)
    return element(
        "div",
        head,
        element("p", verdict["sentence"], class_="sentence"),
        _list("Why", verdict.get("reasons")),
        element("details", element("summary", "What it rests on"), measured) if measured else None,
        class_=f"verdict {word}",
    )


def _list(title: str, sentences: Sequence[str] | None) -> Html | None:
    if not sentences:
        return None
    return element(
        "div", element("h3", title), element("ul", *(element("li", s) for s in sentences)), class_="evidence"
    )


def warnings_section(warnings: Sequence[str]) -> Html | None:
    """Warnings, one by one; None when there are none."""
    if not warnings:
        return None
    lines = element("ul", *(element("li", warning) for warning in warnings))
    return element("div", element("h3", "Warnings"), lines, class_="warnings")


def repeat_section(content: Mapping[str, Any]) -> Html:
    """Command, inputs, settings and versions."""
    others = [(key, value) for key, value in content.items() if key not in _ELSEWHERE]
    return join(
        element("h3", "Command"),
        element("pre", element("code", content["command"]), tabindex=0),
        element("h3", "Inputs"),
        definitions([(role, value) for role, value in content["inputs"].items()]),
        element("h3", "Settings"),
        definitions(_flat(content["settings"])) if content["settings"] else element("p", "None.", class_="none"),
        element("h3", "Versions"),
        definitions(list(content["software"].items())),
        join(element("h3", "More"), definitions(_flat(dict(others)))) if others else None,
    )


def _flat(settings: Mapping[str, Any], above: str = "") -> list[tuple[object, object]]:
    lines: list[tuple[object, object]] = []
    for key, value in settings.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            lines += _flat(value, f"{path} › ")
        else:
            lines.append((path, value_text("", value)))
    return lines
