"""Read a study file: all of its cases, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import FieldName, RegistrationError
from ..core.request import value_of_text
from ..engines.presets.preset import DEFAULT_PRESET, find_preset, names_preset_file
from .cases import Case, Step, Study
from .columns import NAME, PREPROCESS_PREFIX, REPORT, REQUESTS, Column, all_columns, measuring_columns
from .file_checks import StudyFiles, same_outputs
from .names import derived_name, name_problem, unique_name
from .problems import Problems
from .rows import Row, Value, read_rows


def read_study(path: str | Path, *, preset: str | None = None) -> Study:
    """Read and check a study.

    Parameters
    ----------
    path : str or Path
        CSV or JSON; see ``Resources/Docs/study-file.md``.
    preset : str, optional
        Name or file, for the cases that do not state theirs; a file is relative to the current folder.

    Returns
    -------
    Study
        Its cases in the order of the file.

    Raises
    ------
    InputError
        The file cannot be read, or something is wrong with its cases; the message has all of it.
    """
    path = Path(path).absolute()
    problems = Problems()
    return _checked(path, read_rows(path, problems), preset, problems)


def study_of_volumes(fixed: str, moving: Sequence[str], *, preset: str | None = None) -> Study:
    """A study of several volumes that are registered to the same one.

    Parameters
    ----------
    fixed : str
        The volume that stays, relative to the current folder.
    moving : sequence of str
        The others; cases are named after them.
    preset
        As for :func:`read_study`.

    Raises
    ------
    InputError
        Something is wrong with a volume; the message has all of it.
    """
    path = Path.cwd() / "--moving"
    names = [derived_name(Path(volume), Path(volume), folder=path.parent) for volume in moving]
    rows = [
        Row(f"volume {number}", number, {"fixed": fixed, "moving": volume, **({} if name is None else {NAME: name})})
        for number, (volume, name) in enumerate(zip(moving, names, strict=True), start=1)
    ]
    # Volumes of different folders may have one name.
    seen: set[str] = set()
    for row in rows:
        if isinstance(name := row.values.get(NAME), str):
            row.values[NAME] = unique_name(name, seen)
            seen.add(str(row.values[NAME]).lower())
    return _checked(path, rows, preset, Problems())


def _checked(path: Path, rows: list[Row], preset: str | None, problems: Problems) -> Study:
    if preset is not None:
        preset = str(Path(preset).absolute()) if names_preset_file(preset) else preset
        find_preset(preset)
    files = StudyFiles(path.parent)
    reader = _RowReader(files, preset, problems)
    names = _names(rows, files, problems)
    cases = [reader.case(row, name) for row, name in zip(rows, names, strict=True)]
    problems.raise_if_any(path)
    return Study(path, tuple(case for case in cases if case is not None))


def _names(rows: list[Row], files: StudyFiles, problems: Problems) -> list[str]:
    """Names of all cases; those that the file gives come first, so that a case without one cannot take them."""
    names: list[str | None] = []
    taken: dict[str, str] = {}
    for row in rows:
        name = row.values.get(NAME)
        words = name_problem(name) if isinstance(name, str) else None
        if words is not None:
            problems.add(row.where, words)
            name = None
        elif isinstance(name, str):
            first = taken.setdefault(name.lower(), row.where)
            if first != row.where:
                problems.add(row.where, f"the name '{name}' is that of {first} already (capitals do not count)")
        names.append(name if isinstance(name, str) else None)
    used = set(taken)
    return [_own_or_new(name, row, files, used) for name, row in zip(names, rows, strict=True)]


def _own_or_new(name: str | None, row: Row, files: StudyFiles, used: set[str]) -> str:
    if name is not None:
        return name
    pair = row.values.get("fixed"), row.values.get("moving")
    derived = None
    if isinstance(pair[0], str) and isinstance(pair[1], str):
        derived = derived_name(files.folder / pair[0], files.folder / pair[1], folder=files.folder)
    new = unique_name(derived or f"case-{row.number:03}", used)
    used.add(new.lower())
    return new


class _RowReader:
    """Makes cases of rows."""

    def __init__(self, files: StudyFiles, preset: str | None, problems: Problems) -> None:
        self._files = files
        self._preset = preset
        self._problems = problems

    def case(self, row: Row, name: str) -> Case | None:
        """The case of a row; None where something is wrong with it, which is noted."""
        given = dict(row.values)
        if self._preset is not None:
            given.setdefault("preset", self._preset)
        for role in ("fixed", "moving"):
            if role not in given:
                self._problems.add(row.place, f"{role}: no volume was given")
        fields: dict[str, dict[str, Any]] = {command: {} for command in REQUESTS}
        read: dict[str, Any] = {}
        for column in all_columns().values():
            value = given.get(column.name)
            checked = None if value is None else self._checked(row, column, value)
            if checked is None:
                continue
            read[column.name] = checked
            for command in column.commands:
                fields[command][column.field.name] = checked
        asked = given.get(REPORT, any(column in given for column in measuring_columns()))
        prepared = any(column.startswith(PREPROCESS_PREFIX) for column in given)
        # Something to look at, and to mark, where nobody said that there must be none.
        wanted = {"preprocess": prepared, "register": True, "qa": asked or REPORT not in given}
        self._check_together(row, given, read, [command for command in REQUESTS if wanted[command]])
        if self._problems.has(row.place) or "fixed" not in read or "moving" not in read:
            return None
        steps = [
            Step(command, request(**fields[command]), optional=command == "qa" and not asked)
            for command, request in REQUESTS.items()
            if wanted[command]
        ]
        return Case(name, row.where, Path(read["fixed"]), Path(read["moving"]), tuple(steps))

    def _checked(self, row: Row, column: Column, value: Value) -> Any:
        """The value of a field, with absolute paths; None where something is wrong with it, or it is the default."""
        field = column.field
        try:
            if column.is_flag:
                return None if not value else not field.default
            if field.option.kind == "value":
                assert not isinstance(value, bool), "flags were told apart"
                return value_of_text(field, value)
            if isinstance(value, list):
                return tuple(self._files.value(field, text) for text in value)
            return self._files.value(field, str(value))
        except RegistrationError as error:
            self._problems.add(row.place, f"{column.name}: {_message(error)}")
            return None

    def _check_together(
        self, row: Row, given: Mapping[str, Value], read: Mapping[str, Any], commands: Sequence[str]
    ) -> None:
        """Check what only several columns tell."""
        for command in commands:
            columns = {column.field.name: column for column in all_columns().values() if command in column.commands}
            name_of = {name: column.name for name, column in columns.items()}.__getitem__
            # What is wrong by itself was told already; here it counts as given.
            values = {
                name: read.get(column.name, given.get(column.name))
                for name, column in columns.items()
                if column.name in read or given.get(column.name)
            }
            for error in REQUESTS[command].conflicts(values):
                assert isinstance(error.subject, FieldName), "conflicts are between fields"
                self._problems.add(row.place, f"{error.subject.told(name_of)}: {_message(error)}")
        try:
            if "fixed" in read and "moving" in read:
                self._files.check_pair(Path(read["fixed"]), Path(read["moving"]))
            preset, engine = read.get("preset"), read.get("engine")
            # One that is wrong itself was told already.
            if (preset is None) == ("preset" not in given) and (engine is None) == ("engine" not in given):
                self._files.check_engine(str(preset or DEFAULT_PRESET), engine)
        except RegistrationError as error:
            self._problems.add(row.place, str(error))
        doubled = same_outputs([Path(one) for one in read.get("carry", ())])
        if doubled is not None:
            self._problems.add(row.place, f"carry: several files would become {doubled}. Rename one, or leave it out")


def _message(error: RegistrationError) -> str:
    """What is wrong; the column stands for the field."""
    if isinstance(error.subject, FieldName):
        return f"{error.found.rstrip('.')}. {error.remedy}"
    return str(error)
