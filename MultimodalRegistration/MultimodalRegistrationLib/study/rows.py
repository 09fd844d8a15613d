"""The rows of a study file, before anyone asks what they mean."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from ..core.errors import InputError, suggest
from ..io.input_files import read_text
from .columns import NAME, REPORT, all_columns
from .problems import Problems

__all__ = ["STUDY_SUFFIXES", "Row", "Value", "read_rows"]

STUDY_SUFFIXES = (".csv", ".tsv", ".json")
_SCHEMA = 1
_KIND = "study (CSV or JSON)"
_DELIMITERS = ",;\t"
_LIST_SEPARATOR = "|"

_WORDS = {dict: "an object", list: "a list", bool: "true or false"}

# A text, a list of texts, or whether a flag is set.
Value = str | list[str] | bool


@dataclass(frozen=True)
class Row:
    """A case as the file has it.

    Parameters
    ----------
    where : str
        ``"line 7"`` or ``"case 3"``.
    number : int
        From 1, among the cases.
    values : dict of str to value
        By column; those that are not given are missing.
    """

    where: str
    number: int
    values: dict[str, Value]

    @property
    def place(self) -> str:
        """Where it is and what it is called, for messages."""
        name = self.values.get(NAME)
        return self.where if name is None else f"{self.where} ({name})"


def read_rows(path: Path, problems: Problems) -> list[Row]:
    """Read the rows of a study file.

    Parameters
    ----------
    path : Path
        With one of :data:`STUDY_SUFFIXES`.
    problems : Problems
        Gets what is wrong in a row, which is then left out or incomplete.

    Raises
    ------
    InputError
        No file of this kind.
    """
    suffix = path.suffix.lower()
    if suffix not in STUDY_SUFFIXES:
        raise InputError(path, "this is no study file", f"Give a file with one of {', '.join(STUDY_SUFFIXES)}.")
    text = read_text(path, kind=_KIND)
    rows = _json_rows(path, text, problems) if suffix == ".json" else _csv_rows(path, text, problems)
    if not rows:
        # What is wrong with its only rows tells more.
        problems.raise_if_any(path)
        raise InputError(path, "there is no case in it", "Add one case to a row.")
    return rows


def _csv_rows(path: Path, text: str, problems: Problems) -> list[Row]:
    header: list[str] | None = None
    delimiter = ","
    rows: list[Row] = []
    for line_number, line in enumerate(text.split("\n"), start=1):
        # A comment, or what a spreadsheet leaves of an empty row.
        if line.lstrip().startswith("#") or not line.strip(_DELIMITERS + " "):
            continue
        where = f"line {line_number}"
        if header is None:
            delimiter = max(_DELIMITERS, key=line.count)
        try:
            # Each line by itself: a quote that is not closed must not swallow the rest of the study.
            cells = [
                cell.strip()
                for cell in next(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True))
            ]
        except csv.Error as error:
            if header is None:
                raise InputError(path, f"{where}: the header cannot be read ({error})", "Check its quotes.") from error
            problems.add(where, f"the row cannot be read ({error}). Check its quotes; a row is one line")
            continue
        if header is None:
            header = _header(cells, where, problems)
            continue
        if any(cells[len(header) :]):
            problems.add(where, f"{len(cells)} fields, but the header has {len(header)}")
            continue
        values: dict[str, Value] = {}
        for column, cell in zip(header, cells, strict=False):
            value = None if not cell or column not in _known() else _from_cell(column, cell, where, problems)
            if value is not None:
                values[column] = value
        rows.append(Row(where, len(rows) + 1, values))
    return rows


@cache
def _known() -> tuple[str, ...]:
    return (NAME, *all_columns(), REPORT)


def _header(cells: list[str], where: str, problems: Problems) -> list[str]:
    _check_names(cells, where, problems, kind="column")
    for name in {cell for cell in cells if cell and cells.count(cell) > 1}:
        problems.add(where, f"the column '{name}' is there {cells.count(name)} times. Leave one")
    return cells


def _check_names(names: list[str], where: str, problems: Problems, *, kind: str) -> None:
    for name in names:
        if name and name not in _known():
            problems.add(where, f"unknown {kind} '{name[:80]}'.{suggest(name[:80].lower().lstrip('-'), _known())}")


def _from_cell(column: str, cell: str, where: str, problems: Problems) -> Value | None:
    if _is_list(column):
        return [part for each in cell.split(_LIST_SEPARATOR) if (part := each.strip())]
    return _checked(column, cell, where, problems)


def _is_list(column: str) -> bool:
    return column in all_columns() and all_columns()[column].field.many


def _is_flag(column: str) -> bool:
    return column == REPORT or (column in all_columns() and all_columns()[column].is_flag)


def _checked(column: str, text: str, where: str, problems: Problems) -> Value | None:
    if not _is_flag(column):
        return text
    if text.lower() in ("yes", "true", "no", "false"):
        return text.lower() in ("yes", "true")
    problems.add(where, f"{column}: '{text[:80]}' is neither yes nor no")
    return None


def _json_rows(path: Path, text: str, problems: Problems) -> list[Row]:
    def refuse(found: str) -> NoReturn:
        example = '{"schema": 1, "defaults": {}, "cases": [{"fixed": "ct.nrrd", "moving": "mr.nrrd"}]}'
        raise InputError(path, found, f"Write it like {example}")

    content = _parse_json(path, text)
    if not isinstance(content, dict) or type(content.get("schema")) is not int or content["schema"] != _SCHEMA:
        refuse(f"this is no study of schema {_SCHEMA}")
    unknown = sorted(set(content) - {"schema", "defaults", "cases"})
    if unknown:
        refuse(f"unknown entries: {', '.join(map(ascii, unknown))}")
    defaults, cases = content.get("defaults", {}), content.get("cases")
    if not isinstance(cases, list):
        refuse("'cases' is no list")
    if not isinstance(defaults, dict):
        refuse("'defaults' is no object")
    if NAME in defaults:
        problems.add("defaults", "a name cannot be that of all cases")
    common = _from_object(defaults, "defaults", problems)
    rows = []
    for number, case in enumerate(cases, start=1):
        where = f"case {number}"
        if not isinstance(case, dict):
            problems.add(where, 'this is no object. Write it like {"fixed": ..., "moving": ...}')
            continue
        given = isinstance(case.get(NAME), str) and case[NAME]
        own = _from_object(case, f"{where} ({given})" if given else where, problems)
        # What a case gives as null takes the default away.
        rows.append(Row(where, number, {**{key: value for key, value in common.items() if key not in case}, **own}))
    return rows


def _parse_json(path: Path, text: str) -> Any:
    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for name, value in pairs:
            if name in content:
                raise InputError(path, f"the key {name!a} is there twice in one object", "Leave one of them.")
            content[name] = value
        return content

    def refuse_constant(word: str) -> NoReturn:
        raise InputError(path, f"the number {word} is not JSON", "Give a number, or leave it out.")

    try:
        return json.loads(text, object_pairs_hook=without_duplicates, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            path, f"not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}", "Correct it there."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(path, "a number is too long, or it is nested too deeply", "This is no study.") from error


def _from_object(content: dict[str, Any], where: str, problems: Problems) -> dict[str, Value]:
    _check_names(list(content), where, problems, kind="key")
    values: dict[str, Value] = {}
    for column in _known():
        given = content.get(column)
        value = None if given is None else _from_json(column, given, where, problems)
        if value is not None and value != [] and value != "":
            values[column] = value
    return values


def _from_json(column: str, given: Any, where: str, problems: Problems) -> Value | None:
    if isinstance(given, bool) and _is_flag(column):
        return given
    if _is_list(column):
        entries = given if isinstance(given, list) else [given]
        texts = [_text(entry) for entry in entries]
        if None not in texts:
            return [text for text in texts if text]
    elif (text := _text(given)) is not None:
        return _checked(column, text, where, problems) if text else None
    expected = "yes or no" if _is_flag(column) else "a list of texts" if _is_list(column) else "a text or a number"
    problems.add(where, f"{column}: {_WORDS.get(type(given), 'something else')} was given. Give {expected}")
    return None


def _text(given: Any) -> str | None:
    if isinstance(given, str):
        return given
    return str(given) if isinstance(given, (int, float)) and not isinstance(given, bool) else None
