"""Read a study file: all of its cases, or everything that is wrong with them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.errors import RegistrationError
from ..engines.presets.store import DEFAULT_PRESET, find_preset, names_preset_file
from .cases import Case, Step, Study
from .columns import NAME, PREPROCESS_PREFIX, QA_ONLY, REPORT, Column, Kind, all_columns
from .file_checks import FileKind, StudyFiles, same_outputs
from .names import derived_name, name_problem, unique_name
from .preset_checks import StudyPresets
from .problems import Problems
from .rows import Row, Value, read_rows
from .value_checks import StudyValues, option_arguments

__all__ = ["read_study", "study_of_volumes"]

_FILE_KINDS: Mapping[Kind, FileKind] = {
    "volume": "volume",
    "mask": "mask",
    "automatic-mask": "mask",
    "segmentation": "segmentation",
    "carried": "carried",
    "file": "file",
}
_LANDMARKS = ("fixed-landmarks", "moving-landmarks")
_PAIRS = (
    _LANDMARKS,
    ("targets-fixed", "targets-moving"),
    ("fixed-segmentation", "moving-segmentation"),
    (PREPROCESS_PREFIX + _LANDMARKS[0], PREPROCESS_PREFIX + _LANDMARKS[1]),
)
_NEEDS = {
    "preprocess.segment-label": "preprocess.segment",
    "preprocess.fixed-mask-labels": "preprocess.mask",
    "preprocess.moving-mask-labels": "preprocess.moving-mask",
}
_ONE_OF = (
    ("preprocess.roi", "preprocess.segment", "preprocess.region-landmarks"),
    ("preprocess.isotropic", "preprocess.spacing-factor"),
    ("preprocess.initial-transform", "preprocess.fixed-landmarks"),
    ("require", "no-verdict"),
)


def read_study(path: str | Path, *, parsers: Mapping[str, argparse.ArgumentParser], preset: str | None = None) -> Study:
    """Read and check a study.

    Parameters
    ----------
    path : str or Path
        CSV or JSON; see ``Resources/Docs/study-file.md``.
    parsers : mapping of str to argparse.ArgumentParser
        Of the commands ``preprocess``, ``register`` and ``qa``.
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
    return _checked(path, read_rows(path, problems), parsers, preset, problems)


def study_of_volumes(
    fixed: str, moving: Sequence[str], *, parsers: Mapping[str, argparse.ArgumentParser], preset: str | None = None
) -> Study:
    """A study of several volumes that are registered to the same one.

    Parameters
    ----------
    fixed : str
        The volume that stays, relative to the current folder.
    moving : sequence of str
        The others; cases are named after them.
    parsers, preset
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
    return _checked(path, rows, parsers, preset, Problems())


def _checked(
    path: Path,
    rows: list[Row],
    parsers: Mapping[str, argparse.ArgumentParser],
    preset: str | None,
    problems: Problems,
) -> Study:
    if preset is not None:
        preset = str(Path(preset).absolute()) if names_preset_file(preset) else preset
        find_preset(preset)
    files = StudyFiles(path.parent)
    reader = _RowReader(files, StudyPresets(files), StudyValues(parsers), preset, problems)
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


def _misfits(given: Mapping[str, Value]) -> list[str]:
    """Columns of a row that need or exclude each other."""
    found = [
        f"{one}: given without {other}. Give both, or none"
        for pair in _PAIRS
        for one, other in (pair, pair[::-1])
        if one in given and other not in given
    ]
    found += [
        f"{one}: given without {other}. Give that too, or leave this out"
        for one, other in _NEEDS.items()
        if one in given and (other not in given or given[other] in ("auto", "none"))
    ]
    for columns in _ONE_OF:
        # A flag that says no is as good as left out.
        together = [column for column in columns if given.get(column, False) is not False]
        if len(together) > 1:
            found.append(f"{together[0]}: given together with {together[1]}. Leave one of them out")
    return found


class _RowReader:
    """Makes cases of rows."""

    def __init__(
        self, files: StudyFiles, presets: StudyPresets, values: StudyValues, preset: str | None, problems: Problems
    ) -> None:
        self._files = files
        self._presets = presets
        self._values = values
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
        for words in _misfits(given):
            self._problems.add(row.place, words)
        arguments: dict[str, list[str]] = {"preprocess": [], "register": [], "qa": []}
        read: dict[str, Value] = {}
        for column in all_columns().values():
            value = given.get(column.name)
            checked = None if value is None else self._checked(row, column, value)
            if checked is None:
                continue
            read[column.name] = checked
            for command in column.commands:
                arguments[command] += option_arguments(column.option, checked, repeated=column.kind == "then")
        self._check_together(row, given, read)
        if "fixed" not in read or "moving" not in read:
            return None
        asked = given.get(REPORT, any(column in given for column in QA_ONLY))
        prepared = any(column.startswith(PREPROCESS_PREFIX) for column in given)
        wanted = {"preprocess": prepared, "register": True, "qa": asked}
        steps = [Step(command, tuple(arguments[command])) for command, is_wanted in wanted.items() if is_wanted]
        if not asked and REPORT not in given:
            # Something to look at, and to mark.
            steps.append(Step("qa", (*arguments["qa"], "--no-maps"), optional=True))
        return Case(name, row.where, Path(str(read["fixed"])), Path(str(read["moving"])), tuple(steps))

    def _checked(self, row: Row, column: Column, value: Value) -> Value | None:
        """A value with absolute paths; None where something is wrong with it."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._checked_text(row, column, value)
        if column.kind == "values":
            return value if self._is_valid(row, column, value) else None
        texts = [self._checked_text(row, column, text) for text in value]
        return [text for text in texts if text is not None]

    def _is_valid(self, row: Row, column: Column, value: str | list[str]) -> bool:
        words = self._values.problem(column.commands[0], column.option, value)
        if words is not None:
            self._problems.add(row.place, f"{column.name}: {words}")
        return words is None

    def _checked_text(self, row: Row, column: Column, text: str) -> str | None:
        try:
            if column.kind == "value":
                return text if self._is_valid(row, column, text) else None
            if column.kind == "preset":
                return self._presets.preset(text)
            if column.kind == "then":
                return self._presets.then(text)
            if column.kind == "steps":
                return self._presets.steps(text)
            if column.kind == "automatic-mask" and text in ("auto", "none"):
                return text
            path = self._files.absolute(text)
            self._files.check(path, _FILE_KINDS[column.kind])
            return str(path)
        except RegistrationError as error:
            self._problems.add(row.place, f"{column.name}: {error}")
            return None

    def _check_together(self, row: Row, given: dict[str, Value], read: dict[str, Value]) -> None:
        """Check what only several columns tell."""
        try:
            if "fixed" in read and "moving" in read:
                self._files.check_pair(Path(str(read["fixed"])), Path(str(read["moving"])))
            preset, engine = read.get("preset"), read.get("engine")
            # One that is wrong itself was told already.
            if (preset is None) == ("preset" not in given) and (engine is None) == ("engine" not in given):
                self._presets.engine(str(preset or DEFAULT_PRESET), None if engine is None else str(engine))
        except RegistrationError as error:
            self._problems.add(row.place, str(error))
        carried = read.get("carry")
        doubled = same_outputs([Path(one) for one in carried]) if isinstance(carried, list) else None
        if doubled is not None:
            self._problems.add(row.place, f"carry: several files would become {doubled}. Rename one, or leave it out")
