"""What a verdict means for the exit code and for the files.

A result that is not to be used gets no name that a script would go on with: its transform has the verdict in its name,
and the other outputs are not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import ExitCode, InputError, exit_code_of_verdicts
from ..io.outputs import OutputFiles, with_word
from .request import RegisterRequest, VerdictFields

_NAMES_TOLD = 5


def verdict_suffix(request: VerdictFields, word: str, suffix: str) -> str:
    """The end of a transform's name: with the verdict before the suffix where that is not good enough."""
    kept = request.keep_failed or exit_code_of_verdicts([word], request.require) == ExitCode.DONE
    return suffix if kept else f".{word}{suffix}"


@dataclass(frozen=True)
class JudgedFiles:
    """What a verdict leaves to be written.

    Parameters
    ----------
    code : ExitCode
        Of the run.
    transform : Path
        Where the user finds the transform.
    staged_transform : Path
        Where it is written until the run is done.
    message : str or None
        What is not written, why, and what to do; None where everything is.
    """

    code: ExitCode
    transform: Path
    staged_transform: Path
    message: str | None

    @property
    def all_written(self) -> bool:
        """Whether the outputs are written under the names that were asked for."""
        return self.message is None


class JudgedOutputs:
    """The results of a run, announced under their names and under those that a bad verdict gives them.

    Parameters
    ----------
    request : RegisterRequest
        What a verdict means.
    transform : str
        Where the transform goes.
    outputs : OutputFiles
        Gets the files.
    suffixes : tuple of str
        Of transform files that can be written.

    Raises
    ------
    InputError
        A file that cannot be written.
    """

    def __init__(
        self, request: RegisterRequest, transform: str, outputs: OutputFiles, suffixes: tuple[str, ...]
    ) -> None:
        self._request, self._outputs = request, outputs
        self._transform = Path(transform)
        self._staged = outputs.add(self._transform, suffixes)
        self._aside: dict[str, tuple[Path, Path]] = {}
        if not request.verdict or request.keep_failed:
            return
        for word in ("failed",) if request.require is None else ("failed", "uncertain"):
            path = with_word(self._transform, word)
            try:
                self._aside[word] = path, outputs.add(path, suffixes)
            except InputError as error:
                raise InputError(
                    path,
                    f"{error.found}, and a transform whose verdict is {word} would get this name",
                    "Give the output transform another name, or keep failed results (keep_failed).",
                ) from error

    def judged(self, word: str | None, others: Sequence[Path]) -> JudgedFiles:
        """Decide, and withdraw what is not written.

        Parameters
        ----------
        word : str or None
            The verdict; None where there is none.
        others : sequence of Path
            Announced outputs that are written with the transform only.
        """
        code = exit_code_of_verdicts([word], self._request.require)
        # With --keep-failed there is none.
        aside = None if code == ExitCode.DONE else self._aside.get(str(word))
        unused = [path for path, _ in self._aside.values() if aside is None or path != aside[0]]
        results = [self._transform, *others]
        for path in unused if aside is None else [*unused, *results]:
            self._outputs.withdraw(path)
        if aside is None:
            return JudgedFiles(code, self._transform, self._staged, None)
        return JudgedFiles(code, *aside, _message(str(word), self._request.require, aside[0], results))


def _message(word: str, required: str | None, transform: Path, results: Sequence[Path]) -> str:
    """What a user, and the log of a script, is told."""
    because = f"the verdict is {word}"
    if word != "failed":
        because += f", and --require {required} was given"
    parts = [
        f"Not written, because {because}: {_listed(results)}.",
        f'The transform is in "{transform}", for a look only.',
    ]
    old = [path for path in results if path.exists()]
    if old:
        parts.append(f"These were there before and are not results of this run: {_listed(old)}.")
    parts.append(
        f'Next, look at it (`multimodal-registration picture --transform "{transform}" ...`), then register again with '
        "landmarks, an initial transform or masks. --keep-failed writes all outputs under their names."
    )
    return " ".join(parts)


def _listed(paths: Sequence[Path]) -> str:
    names = ", ".join(f'"{path}"' for path in paths[:_NAMES_TOLD])
    return names if len(paths) <= _NAMES_TOLD else f"{names} and {len(paths) - _NAMES_TOLD} more"
