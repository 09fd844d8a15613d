"""Output files that are written whole or not at all, and their names."""

from __future__ import annotations

import json
import os
import re
import tempfile
import unicodedata
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.errors import InputError

_LONGEST_NAME = 60
# Windows takes these for devices, whatever follows the dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])$", re.IGNORECASE)


# For a process that is about to end without leaving its ``with`` blocks.
_unfinished: weakref.WeakSet[OutputFiles] = weakref.WeakSet()


class OutputFiles:
    """A set of output files that appear together, once all of them are complete.

    Each file is written under a temporary name in its own folder and renamed at :meth:`commit`. Leaving the
    ``with`` block without a commit removes the temporary files and leaves everything as it was.

    Parameters
    ----------
    inputs : iterable of Path
        Files that must never be overwritten.
    """

    def __init__(self, inputs: Iterable[str | Path] = ()) -> None:
        self._inputs = {_place(path) for path in inputs}
        self._staged: dict[Path, Path] = {}
        _unfinished.add(self)

    def discard(self) -> None:
        """Remove what was written so far."""
        for staged in list(self._staged.values()):
            staged.unlink(missing_ok=True)

    def __enter__(self) -> OutputFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
        self._staged.clear()

    def add(self, path: str | Path, suffixes: tuple[str, ...]) -> Path:
        """Announce an output file and prove that it can be written.

        Parameters
        ----------
        path : str or Path
            Where the file will be.
        suffixes : tuple of str
            The file types that can be written, for example ``(".nrrd",)``.

        Returns
        -------
        Path
            The temporary file to write to; it has the same suffix.

        Raises
        ------
        InputError
            Wrong file type, folder missing or not writable, or the path is an input or announced twice.
        """
        target = Path(path)
        suffix = next((s for s in suffixes if target.name.lower().endswith(s)), None)
        if suffix is None:
            raise InputError(target, "this file type cannot be written", f"Use one of {', '.join(suffixes)}.")
        folder = target.parent
        if not folder.is_dir():
            raise InputError(target, f"the folder {folder} does not exist", "Create it first.")
        if target.is_dir():
            raise InputError(target, "this is a folder", "Give a file name.")
        if _place(target) in self._inputs:
            raise InputError(target, "this is also an input", "Inputs are never overwritten; give another name.")
        if _place(target) in map(_place, self._staged):
            raise InputError(target, "given for two outputs", "Give each output a name of its own.")
        try:
            handle, name = tempfile.mkstemp(prefix=".partial-", suffix=suffix, dir=folder)
        except OSError as error:
            raise InputError(
                target, f"the folder {folder} cannot be written to ({error.strerror})", "Choose another folder."
            ) from error
        os.close(handle)
        # Only its name is kept: a run that is killed before it writes leaves nothing.
        Path(name).unlink()
        self._staged[target] = Path(name)
        return Path(name)

    def withdraw(self, path: str | Path) -> None:
        """Forget an announced file: it is not written after all, and what has its name stays as it is."""
        self._staged.pop(Path(path)).unlink(missing_ok=True)

    def commit(self) -> None:
        """Move every announced file to its final name; if one cannot be moved, put all of them back.

        Raises
        ------
        InputError
            A file could not be replaced, for example because another program has it open.
        """
        for staged in self._staged.values():
            _give_default_permissions(staged)
            with staged.open("rb+") as file:
                os.fsync(file.fileno())
        done: list[tuple[Path, Path | None]] = []
        try:
            for target, staged in self._staged.items():
                previous = None
                if target.exists():
                    previous = target.with_name(f"{staged.name}.previous")
                    target.replace(previous)
                done.append((target, previous))
                staged.replace(target)
        except (OSError, KeyboardInterrupt) as error:
            for target, previous in reversed(done):
                target.unlink(missing_ok=True)
                if previous is not None:
                    previous.replace(target)
            if isinstance(error, KeyboardInterrupt):
                raise
            raise InputError(
                done[-1][0] if done else next(iter(self._staged)),
                f"the file cannot be replaced ({error.strerror})",
                "Close the program that has it open, or give another name. All outputs are as they were before.",
            ) from error
        for _, previous in done:
            if previous is not None:
                previous.unlink()
        self._staged.clear()


def discard_unfinished() -> None:
    """Remove the temporary files of all outputs that were not committed, before the process ends at once."""
    for outputs in list(_unfinished):
        outputs.discard()


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn a failure of SimpleITK to write into an error that names the output."""
    try:
        yield
    except RuntimeError as error:
        raise InputError(
            path,
            f"the file cannot be written ({str(error).strip().splitlines()[-1]})",
            "Free disk space, or choose another folder.",
        ) from error


def _place(path: str | Path) -> str:
    """One word for each file, however its path is written."""
    return os.path.normcase(Path(path).resolve())


def _give_default_permissions(path: Path) -> None:
    """``mkstemp`` makes files that only the owner can read; outputs follow the user's umask instead."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write what a script is to read: indented, without the numbers that JSON does not have."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def output_folder(name: str | Path) -> Path:
    """A new or empty folder for a set of results; made if missing.

    Raises
    ------
    InputError
        It cannot be made, or something is in it.
    """
    folder = Path(name)
    try:
        folder.mkdir(exist_ok=True)
        content = next(folder.iterdir(), None)
    except OSError as error:
        raise InputError(folder, f"the folder cannot be used ({error.strerror})", "Choose another folder.") from error
    if content is not None:
        raise InputError(folder, f"the folder is not empty ({content.name})", "Give a new or an empty folder.")
    return folder


def is_device(name: str) -> bool:
    """Whether Windows would take the name of a file or folder for a device."""
    return _DEVICES.match(name.split(".")[0]) is not None


def plain_file_name(name: str, kind: str) -> str:
    """A name without suffix that every system accepts.

    Parameters
    ----------
    name : str
        Of a node or a structure; it may hold anything.
    kind : str
        The name where nothing is left of it, and before what would be a device.

    Returns
    -------
    str
        At most 60 letters of any script, digits, and ``. _ -``, and the kind where it was put before.
    """
    kept = (letter if _stays(letter) else " " for letter in unicodedata.normalize("NFC", name))
    plain = re.sub(" +", "_", "".join(kept))[:_LONGEST_NAME].strip("._-") or kind
    return f"{kind}_{plain}" if is_device(plain) else plain


def with_word(path: Path, word: str) -> Path:
    """A file beside another one, with a word before the suffix, which still tells the file type: ``T.failed.h5``."""
    stem, dot, suffix = path.name.rpartition(".")
    return path.with_name(f"{stem}.{word}{dot}{suffix}")


def _stays(letter: str) -> bool:
    # Vowel signs, and accents without a composed letter, are marks (M), which \w does not count as part of a word.
    return unicodedata.category(letter).startswith("M") or re.match(r"[\w.-]", letter) is not None
