"""What a person decided about a registration, kept beside its report and shown in it.

A page that is opened from a file cannot write beside itself. It downloads ``<name of the report>.mark.json`` instead,
which belongs into the folder of the report, and programs call :func:`write_mark`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...io.outputs import OutputFiles, write_json
from ...io.special_files import refuse_special_files
from .markup import Html, element, join, name, script_json

__all__ = ["MARKS", "mark_file", "mark_markup", "read_mark", "write_mark"]

MARKS = ("approved", "doubtful", "rejected")
_KEYS = ("mark", "name", "comment", "when")
_BEGIN, _END = "<!--mark-->", "<!--/mark-->"
_JSON = re.compile(r'<script type="application/json" id="mark-data">(.*?)</script>', re.DOTALL)
_REPORT = "report_created"


def mark_file(report_path: str | Path) -> Path:
    """Where the mark of a report is kept."""
    path = Path(report_path)
    return path.with_name(f"{path.stem}.mark.json")


def read_mark(report_path: str | Path) -> dict[str, str] | None:
    """Read the mark of a report: the file beside it, or else what is in the page.

    Parameters
    ----------
    report_path : str or Path
        The ``.html`` file.

    Returns
    -------
    dict or None
        ``mark``, ``name``, ``comment`` and ``when``; None when nobody has marked it.

    Raises
    ------
    InputError
        No such report, not a report of this library, not a mark, or the mark of an earlier report of this name.
    """
    path = Path(report_path)
    embedded = _embedded(path, _read(path))
    beside = mark_file(path)
    if not beside.exists():
        return None if embedded["mark"] is None else _checked(embedded["mark"], path)
    refuse_special_files(beside)
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(beside, f"this is not JSON ({error})", "Mark the report again.") from error
    except OSError as error:
        raise _unreadable(beside, error) from error
    mark = _checked(content, beside)
    marked = content.get(_REPORT, embedded[_REPORT])
    if marked != embedded[_REPORT]:
        raise InputError(
            beside,
            f"this mark was given to the report of {marked}, but the report is of {embedded[_REPORT]}",
            "Look at the new report and mark it again.",
        )
    return mark


def write_mark(report_path: str | Path, mark: Mapping[str, str]) -> None:
    """Keep a mark beside a report and show it in the report: both or neither.

    Parameters
    ----------
    report_path : str or Path
        The ``.html`` file.
    mark : mapping
        ``mark`` is one of :data:`MARKS`; ``name``, ``comment`` and ``when`` (ISO 8601) are text.

    Raises
    ------
    InputError
        No such report, not a mark, or a file cannot be written.
    """
    path = Path(report_path)
    checked = _checked(mark, "the mark")
    text = _read(path)
    created = _embedded(path, text)[_REPORT]
    begin, end = text.index(_BEGIN), text.index(_END) + len(_END)
    with OutputFiles() as outputs:
        page = outputs.add(path, (".html",))
        beside = outputs.add(mark_file(path), (".json",))
        with page.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text[:begin] + mark_markup(checked, created) + text[end:])
        write_json(beside, {**checked, _REPORT: created})
        outputs.commit()


def mark_markup(mark: Mapping[str, str] | None, created: str) -> Html:
    """What a report shows of its mark; ``created`` is the time of the report."""
    data = script_json({"mark": None if mark is None else _checked(mark, "the mark"), _REPORT: created})
    if mark is None:
        shown = element("p", "Nobody has marked this registration yet.", id="mark-shown")
    else:
        comment = element("span", name(mark["comment"]), class_="comment") if mark["comment"] else None
        shown = element(
            "p",
            element("strong", mark["mark"].capitalize(), class_=f"mark-word {mark['mark']}"),
            join(" by ", name(mark["name"])) if mark["name"] else None,
            join(", ", name(mark["when"])),
            comment,
            id="mark-shown",
        )
    return join(Html(_BEGIN), shown, element("script", data, type="application/json", id="mark-data"), Html(_END))


def _read(path: Path) -> str:
    refuse_special_files(path)
    if not path.is_file():
        raise InputError(path, "no such report", "Check the spelling and the folder.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _no_report(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(path, f"the file cannot be read ({error.strerror})", "Check its permissions.")


def _no_report(path: Path) -> InputError:
    return InputError(path, "this is not a report of this program", "Give the .html file of a registration report.")


def _embedded(path: Path, text: str) -> dict[str, Any]:
    found = _JSON.search(text)
    if found is None or _BEGIN not in text or _END not in text:
        raise _no_report(path)
    try:
        content: dict[str, Any] = json.loads(found[1])
        return {"mark": content["mark"], _REPORT: content[_REPORT]}
    except (ValueError, KeyError, TypeError) as error:
        raise _no_report(path) from error


def _checked(mark: object, subject: str | Path) -> dict[str, str]:
    if not isinstance(mark, Mapping) or mark.get("mark") not in MARKS:
        found = mark.get("mark") if isinstance(mark, Mapping) else mark
        raise InputError(subject, f"{found!r} is not a mark", f"A mark is one of {', '.join(MARKS)}.")
    for key in _KEYS:
        if not isinstance(mark.get(key), str):
            raise InputError(subject, f"{key!r} of the mark is {mark.get(key)!r}", "Give text, which may be empty.")
    return {key: mark[key] for key in _KEYS}
