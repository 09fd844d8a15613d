"""What a study names, each looked at once: files, never further than their headers, presets and engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from ..core.errors import InputError, RegistrationError
from ..core.grid import VolumeGrid
from ..core.request import RequestField
from ..engines.catalogue import require_engine
from ..engines.presets.preset import find_preset, names_preset_file
from ..io.input_files import refuse_special_files
from ..io.volume_checks import check_pair, check_placement
from ..io.volumes import VOLUME_SUFFIXES, open_image_file
from ..io.voxel_source import open_source
from ..preprocess.steps import find_steps
from ..register.plan import select_engine
from ..register.request import STAGE_FILES, Stage
from ..transforms.apply import output_name

FileKind = Literal["volume", "mask", "segmentation", "any file", "file"]


class StudyFiles:
    """Finds the files of a study and checks them.

    Parameters
    ----------
    folder : Path
        Of the study file, absolute: paths are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checked: dict[tuple[Path, FileKind], InputError | None] = {}
        self._grids: dict[Path, VolumeGrid] = {}
        self._found: dict[tuple[str, ...], str | RegistrationError] = {}

    def value(self, field: RequestField, text: str) -> Any:
        """The value of a field that names files: with absolute paths, checked.

        Raises
        ------
        RegistrationError
            A file is missing or no such file; no such preset; a stage that cannot run.
        """
        kind = field.option.kind
        if kind == "preset":
            return self._preset(text)
        if kind == "stage":
            return self._stage(text)
        if kind in ("steps", "automatic mask") and text in ("auto", "none"):
            return text
        path = self.absolute(text)
        file_kind = {"steps": "file", "automatic mask": "mask"}.get(kind, kind)
        self.check(path, next(one for one in get_args(FileKind) if one == file_kind))
        if kind == "steps":
            self._once(("steps", str(path)), lambda: str(find_steps(str(path))))
        return str(path)

    def _preset(self, text: str) -> str:
        where = str(self.absolute(text)) if names_preset_file(text) else text
        return self._once(("preset", where), lambda: str(find_preset(where) and where))

    def _stage(self, text: str) -> Stage:
        stage = Stage.from_text(text)
        paths = {name: self.absolute(path) for name in STAGE_FILES if (path := getattr(stage, name)) is not None}
        for name, path in paths.items():
            self.check(path, "mask" if name.endswith("mask") else "file")
        preset = self._preset(str(stage.preset))
        self.check_engine(preset, stage.engine)
        return replace(stage, preset=preset, **{name: str(path) for name, path in paths.items()})

    def check_engine(self, preset: str, engine: str | None) -> None:
        """Check that a preset can run: a run would notice only when it starts the engine, hours into the study.

        Raises
        ------
        RegistrationError
            No settings for the engine, or it is not installed.
        """
        self._once(
            ("engine", preset, engine or ""),
            lambda: require_engine(select_engine(find_preset(preset), engine)).engine.name,
        )

    def _once(self, key: tuple[str, ...], find: Callable[[], str]) -> str:
        if key not in self._found:
            try:
                self._found[key] = find()
            except RegistrationError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, RegistrationError):
            raise found
        return found

    def absolute(self, text: str) -> Path:
        """The path of a file.

        The name at its end stays what it is, also where it is a link: outputs are named after it.

        Raises
        ------
        InputError
            Not a path.
        """
        # A carriage return or the like is not in any path that was meant; half of a surrogate pair cannot be.
        if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in text):
            raise InputError(ascii(text), "this is not a path", "Correct it.")
        path = self.folder / text
        if ".." not in path.parts:
            return path
        try:
            return path.resolve() if path.name == ".." else path.parent.resolve() / path.name
        except (OSError, RuntimeError) as error:
            raise InputError(path, f"the path leads nowhere ({error})", "Correct it.") from error

    def check(self, path: Path, kind: FileKind) -> None:
        """Check a file.

        Parameters
        ----------
        path : Path
            From :meth:`absolute`.
        kind : str
            What it should be.

        Raises
        ------
        InputError
            Missing, or its header is not that of such a file.
        """
        key = (path, kind)
        if key not in self._checked:
            try:
                self._look(path, kind)
            except InputError as error:
                self._checked[key] = error
            except OSError as error:
                self._checked[key] = InputError(path, f"cannot be read ({error.strerror})", "Check its rights.")
            else:
                self._checked[key] = None
        problem = self._checked[key]
        if problem is not None:
            raise problem

    def check_pair(self, fixed: Path, moving: Path) -> None:
        """Check two volumes against each other, as far as their headers tell; nothing where one cannot be read.

        Raises
        ------
        InputError
            Their sizes do not go together.
        """
        if fixed in self._grids and moving in self._grids:
            check_pair(self._grids[fixed], str(fixed), self._grids[moving], str(moving))

    def _look(self, path: Path, kind: FileKind) -> None:
        refuse_special_files(path)
        if not path.is_file() and not path.is_dir():
            if path.is_symlink():
                raise InputError(path, "a link to a file that is not there", "Get its content first.")
            raise InputError(path, "no such file or folder", "Check the spelling and the folder.")
        look: dict[FileKind, Callable[[Path], None]] = {
            "volume": self._look_at_volume,
            "mask": _look_at_mask,
            "segmentation": _look_at_segmentation,
            "any file": _look_at_any_file,
            "file": _look_at_file,
        }
        look[kind](path)

    def _look_at_volume(self, path: Path) -> None:
        grid = open_source(path).grid
        check_placement(grid, str(path))
        self._grids[path] = grid


def _look_at_mask(path: Path) -> None:
    open_source(path, what="a mask")


def _look_at_segmentation(path: Path) -> None:
    if path.is_dir():
        open_source(path, what="a segmentation")
    else:
        open_image_file(path, what="a segmentation", layers=True)


def _look_at_any_file(path: Path) -> None:
    output_name(path)
    if path.is_dir() or path.name.lower().endswith(VOLUME_SUFFIXES):
        _look_at_segmentation(path)


def _look_at_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(path, "this is a folder", "Give a file.")


def same_outputs(carried: list[Path]) -> str | None:
    """The name that several of the files that ride along would get; None where there is none."""
    names = Counter(_output_name(path).lower() for path in carried)
    return next((name for name, count in names.items() if count > 1), None)


def _output_name(path: Path) -> str:
    try:
        return output_name(path)
    except InputError:
        # Told by the check of the file itself.
        return str(path)
