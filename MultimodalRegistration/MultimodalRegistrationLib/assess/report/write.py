"""The report as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from .marks import mark_markup
from .markup import Html, element, fill_page, isolated, isolated_text, join, script_json
from .plots import bland_altman_plots, error_plots
from .sections import (
    about_inputs,
    comparisons_section,
    health_section,
    methods_section,
    repeat_section,
    structures_section,
    targets_section,
    verdict_section,
    warnings_section,
)
from .tables import bullets
from .viewer import make_pictures

MAX_METHODS_SHOWN = 4
# What one reads first: these sections of the page are not folded.
_ALWAYS_SHOWN = (("verdict", "Verdict"), ("pictures", "Before and after"), ("mark", "Your decision"))
_SCRIPTS = ("planes.js", "edges.js", "viewer.js", "mark.js")


def write_report(
    path: str | Path, content: Mapping[str, Any], fixed: Volume, moving: Volume, transforms: Sequence[SpatialTransform]
) -> None:
    """Write a report that shows everything offline: figures, plots and a viewer of both volumes.

    Parameters
    ----------
    path : str or Path
        The ``.html`` file; whoever calls sees to it that it appears whole, see ``io/outputs.py``.
    content : mapping
        JSON: ``created``, ``software``, ``command``, ``inputs``, ``settings``, ``volumes``, ``verdict``, ``warnings``,
        ``before``, ``methods``, ``comparisons`` and ``mark``. Scalars that are not known are shown, too.
    fixed, moving : Volume
        World coordinates.
    transforms : sequence of SpatialTransform
        ``fixed_to_moving_lps`` of each of the methods, in their order. The viewer shows the
        :data:`MAX_METHODS_SHOWN` that rank best.

    Raises
    ------
    ValueError
        The number of transforms is not that of the methods, or the content is not JSON.
    """
    before, methods = content["before"], content["methods"]
    if len(methods) != len(transforms):
        raise ValueError(f"{len(transforms)} transforms for {len(methods)} methods")
    by_rank = sorted(range(len(methods)), key=lambda i: (methods[i].get("rank") is None, methods[i].get("rank") or 0))
    shown = sorted(by_rank[:MAX_METHODS_SHOWN])
    geometry, sprites = make_pictures(fixed, moving, [transforms[index] for index in shown])
    viewer = {
        **geometry,
        "methods": [isolated_text(methods[index]["name"]) for index in shown],
        "before": isolated_text(before["name"]),
    }
    comparisons = content["comparisons"]
    details = {
        ("methods", "All measurements"): methods_section(before, methods),
        ("errors", "Errors at targets"): join(error_plots(before, methods), targets_section(before, methods)),
        ("comparisons", "Methods compared"): join(comparisons_section(comparisons), bland_altman_plots(comparisons)),
        ("structures", "Structures"): structures_section(before, methods),
        ("health", "Health of the transforms"): health_section(methods),
        ("repeat", "To repeat this measurement"): repeat_section(content),
    }
    filled = {place: markup for place, markup in details.items() if markup}
    parts: dict[str, Html | None] = {
        "title": join("Registration of ", isolated(moving.name), " to ", isolated(fixed.name)),
        "inputs": about_inputs(content, fixed.name, moving.name),
        "verdict": verdict_section(content["verdict"]),
        "warnings": warnings_section(content["warnings"]),
        "navigation": element(
            "nav",
            bullets(element("a", title, href=f"#{place}") for place, title in (*_ALWAYS_SHOWN, *filled)),
            aria_label="Sections",
        ),
        "left_out": None
        if len(shown) == len(methods)
        else element("p", f"The {len(shown)} best of {len(methods)} methods are shown.", class_="note"),
        "details": join(*(_folded(place, title, markup) for (place, title), markup in filled.items())),
        "mark": mark_markup(content["mark"], str(content["created"])),
        "viewer_data": element("script", script_json(viewer), type="application/json", id="viewer-data"),
        "content_data": element("script", script_json(content), type="application/json", id="report-content"),
        "sprites": join(*(element("img", src=Html(uri), alt="", id=f"sprite-{key}") for key, uri in sprites.items())),
    }
    page = fill_page("page.html", parts, styles=("page.css",), scripts=_SCRIPTS, images="data:")
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.write(page)


def _folded(place: str, title: str, markup: Html) -> Html:
    """A section that opens when it is asked for, or when a link leads into it."""
    heading = element("summary", element("h2", title, id=f"{place}-title"))
    section = element("section", markup, id=place, aria_labelledby=f"{place}-title")
    return element("details", heading, section, class_="folded")
