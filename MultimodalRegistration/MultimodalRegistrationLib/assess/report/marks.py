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
from ...io.input_files import refuse_special_files
from ...io.outputs import OutputFiles, write_json
from .markup import Html, element, join, name, script_json

MARKS = ("approved", "doubtful", "rejected")
_KEYS = ("mark", "name", "comment", "when")
_BEGIN, _END = "<!--mark-->", "<!--/mark-->"
_EMBEDDED = re.compile(f'{_BEGIN}.*?<script type="application/json" id="mark-data">(.*?)</script>{_END}', re.DOTALL)
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
    embedded = _read_report(path)[0]
    beside = mark_file(path)
    if not beside.exists():
        return None if embedded["mark"] is None else _checked(embedded["mark"], path)
    try:
        content = json.loads(_read(beside))
    except ValueError as error:
        raise InputError(beside, f"this is not JSON ({error})", "Mark the report again.") from error
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
    embedded, before, after = _read_report(path)
    created = embedded[_REPORT]
    with OutputFiles() as outputs:
        page = outputs.add(path, (".html",))
        beside = outputs.add(mark_file(path), (".json",))
        with page.open("w", encoding="utf-8", newline="\n") as file:
            file.write(before + mark_markup(checked, created) + after)
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
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(path, f"the file cannot be read ({error.strerror})", "Check its permissions.") from error


def _read_report(path: Path) -> tuple[dict[str, Any], str, str]:
    """The mark of a report with the time of the report, and the text of the page before and after the mark."""
    if not path.is_file():
        refuse_special_files(path)
        raise InputError(path, "no such report", "Check the spelling and the folder.")
    try:
        # Too few parts where there is no mark.
        before, embedded, after = _EMBEDDED.split(_read(path), 1)
        content = json.loads(embedded)
        return {key: content[key] for key in ("mark", _REPORT)}, before, after
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            path, "this is not a report of this program", "Give the .html file of a registration report."
        ) from error


def _checked(mark: object, subject: str | Path) -> dict[str, str]:
    if not isinstance(mark, Mapping) or mark.get("mark") not in MARKS:
        found = mark.get("mark") if isinstance(mark, Mapping) else mark
        raise InputError(subject, f"{found!r} is not a mark", f"A mark is one of {', '.join(MARKS)}.")
    for key in _KEYS:
        if not isinstance(mark.get(key), str):
            raise InputError(subject, f"{key!r} of the mark is {mark.get(key)!r}", "Give text, which may be empty.")
    return {key: mark[key] for key in _KEYS}
