"""The page of a study: every case with its picture, those that need a look first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .marks import MARKS
from .markup import Html, element, fill_page, isolated, join, name
from .tables import dash

_SIGNS = {
    "no result": ("⊘", "bad"),
    "not run": ("…", "unknown"),
    "failed": ("✕", "bad"),
    "uncertain": ("!", "doubtful"),
    "not judged": ("?", "unknown"),
    "verified": ("✓", "good"),
}
_NUMBERS = (
    ("estimated_error_mm", "Estimated error", "mm", 2, "not estimated"),
    ("target_error_mm", "Target error", "mm", 2, "no targets"),
    ("moved_mm", "Moved", "mm", 1, "not known"),
    ("rotated_deg", "Rotated", "degrees", 1, "not known"),
)


def study_page(content: Mapping[str, Any]) -> str:
    """Make the page.

    Parameters
    ----------
    content : mapping
        As ``summary.json``: ``created``, ``software``, ``study``, ``counts`` by word, and ``cases`` in their order.
        Paths to files of a case start at the folder in which the page will be.

    Returns
    -------
    str
        HTML that loads nothing but the thumbnails beside it.
    """
    cases = content["cases"]
    parts = {
        "title": join("Study ", isolated(content["study"])),
        "study": name(content["study"]),
        "about": _about(content),
        "counts": join(
            _count("", "all cases", len(cases)), *(_count(word, word, n) for word, n in content["counts"].items())
        ),
        "numbers": join(
            *(
                element(
                    "th",
                    label,
                    element("span", " ", unit, class_="unit"),
                    scope="col",
                    role="columnheader",
                    class_="number",
                )
                for _, label, unit, _, _ in _NUMBERS
            )
        ),
        "rows": join(*(_row(case) for case in cases)),
    }
    # Browsers differ in whether a file is the 'self' of another one.
    sources = "'self' file:"
    return fill_page("study.html", parts, styles=("page.css", "study.css"), scripts=("study.js",), images=sources)


def _about(content: Mapping[str, Any]) -> Html:
    """How many a person has marked, how long it took, and when this was written."""
    marks = Counter(case["mark"]["mark"] for case in content["cases"] if case["mark"])
    marked = ", ".join(f"{marks[mark]} {mark}" for mark in MARKS if marks[mark])
    seconds = sum(case["seconds"] or 0 for case in content["cases"])
    software = ", ".join(" ".join(pair) for pair in content["software"].items())
    lines = [
        ("Marked by a person", f"{marks.total()} of {len(content['cases'])}{f': {marked}' if marked else ''}"),
        ("Computing", _duration(seconds)),
        ("Written", f"{content['created'][:16].replace('T', ' ')} UTC by {software}"),
    ]
    return element("dl", *(element("div", element("dt", term), element("dd", value)) for term, value in lines))


def _count(word: str, label: str, count: int) -> Html:
    """A button that shows the cases of one verdict, or all; without scripts, just the number."""
    return element(
        "button",
        element("span", count, class_="count"),
        element("span", _sign(word) if word else None, label, class_="of-count"),
        type="button",
        value=word,
        class_=_SIGNS[word][1] if word else None,
        aria_pressed="false" if word else "true",
        disabled=True,
    )


def _sign(word: str) -> Html:
    return element("span", _SIGNS[word][0], class_="sign", aria_hidden="true")


def _row(case: Mapping[str, Any]) -> Html:
    word = case["verdict"]
    inputs = None
    if case["fixed"] is not None:
        paths = ((role, case[role]) for role in ("fixed", "moving"))
        inputs = element("span", *(_path(path, f"{role} ") for role, path in paths), class_="inputs")
    title = element("span", name(case["name"]), class_="case")
    badge = element("span", _sign(word), word, class_="badge")
    numbers = (
        (label, dash(reason) if case[key] is None else f"{case[key]:.{decimals}f}")
        for key, label, _, decimals, reason in _NUMBERS
    )
    return element(
        "tr",
        _cell(_picture(case), class_="picture"),
        element("th", title, badge, inputs, scope="row", role="rowheader"),
        _cell(_reasons(case), class_="reasons"),
        *(_cell(text, class_="number", data_label=label) for label, text in (*numbers, ("Time", _time(case)))),
        _cell(_decision(case), class_="decision"),
        data_word=word,
        class_=_SIGNS[word][1],
        role="row",
    )


def _cell(content: object, **attributes: object) -> Html:
    # The role is that of any cell, but browsers forget it where a row is no row of a table to their layout.
    return element("td", content, role="cell", **attributes)


def _picture(case: Mapping[str, Any]) -> Html:
    if case["thumbnail"] is None:
        return element("p", "no picture", class_="none")
    image = element(
        "img",
        src=_url(case["thumbnail"]),
        alt=join("Planes of ", isolated(case["name"])),
        width=360,
        height=180,
        loading="lazy",
        decoding="async",
    )
    # A link to the report stands beside it as text.
    target, order = (case["thumbnail"], None) if case["report"] is None else (case["report"], -1)
    return element("a", image, href=_url(target), tabindex=order)


def _path(path: str, role: str = "") -> Html:
    """The last two parts of a path: files of different cases often have one name."""
    return element("span", role, name("/".join(re.split(r"[/\\]", path)[-2:])), title=isolated(path))


def _reasons(case: Mapping[str, Any]) -> Html:
    if case["verdict"] == "not run":
        return element("p", "It has not run, or not to its end.")
    if case["verdict"] == "verified" and not case["against"]:
        return element("p", "Nothing speaks against it.", class_="none")
    error, log = case["error"], case["log"]
    if error is None:
        return join(*(element("p", reason) for reason in case["against"]))
    return join(
        element("p", _path(error["subject"]), ": ", error["found"].rstrip("."), ". ", error["remedy"]),
        None if log is None else element("p", _link(log, "Log", case["name"])),
    )


def _time(case: Mapping[str, Any]) -> Html:
    if case["seconds"] is None:
        return dash("not known")
    attempts = case["attempts"]
    again = element("span", f"{attempts} attempts", class_="note") if attempts > 1 else None
    return join(_duration(case["seconds"]), again)


def _decision(case: Mapping[str, Any]) -> Html:
    mark, problem = case["mark"], case["mark_problem"]
    shown = None if case["report"] is None else element("p", "not marked", class_="none")
    if problem is not None:
        shown = element("p", f"Mark not read. {problem}", class_="problem")
    elif mark is not None:
        shown = element(
            "p",
            element("strong", mark["mark"], class_=f"mark-word {mark['mark']}", title=mark["when"]),
            join(" by ", name(mark["name"])) if mark["name"] else None,
            element("span", name(mark["comment"]), class_="comment") if mark["comment"] else None,
        )
    link = None if case["report"] is None else element("p", _link(case["report"], "Report", case["name"]))
    return join(link, shown)


def _link(path: str, text: str, of: str) -> Html:
    return element("a", text, element("span", " of ", name(of), class_="hidden"), href=_url(path))


def _url(path: str) -> str:
    """A path beside the page as a relative address."""
    return "/".join(quote(part, safe="", errors="surrogateescape") for part in path.split("/"))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
