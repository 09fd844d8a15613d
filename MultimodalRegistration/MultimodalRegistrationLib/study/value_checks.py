"""The values of a study that are no files, checked by the parsers of the commands that will get them."""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ..assess.tolerance import own_tolerance
from ..core.errors import InputError
from ..register.options import check_numbers

__all__ = ["StudyValues", "option_arguments"]

# Options that a command demands, but that only the run of a case can know.
_DEMANDED: Mapping[str, tuple[str, ...]] = {
    "register": ("--fixed=F", "--moving=M", "--output-transform=T.h5"),
    "qa": ("--fixed=F", "--moving=M", "--transform=T.h5", "--output-dir=D"),
    "preprocess": ("--fixed=F", "--moving=M", "--output-dir=D"),
}
_ABOVE_ZERO = ("isotropic", "spacing-factor")


def option_arguments(option: str, value: str | list[str] | bool, *, repeated: bool = False) -> list[str]:
    """Arguments of a command that no value can turn into another option.

    Parameters
    ----------
    option : str
        Without dashes.
    value : str, list of str or bool
        Texts of a list must not begin with a dash, unless ``repeated``.
    repeated : bool
        Whether the option is given once for each text of a list.
    """
    if isinstance(value, bool):
        return [f"--{option}"] if value else []
    if isinstance(value, str):
        return [f"--{option}={value}"]
    return [f"--{option}={one}" for one in value] if repeated else [f"--{option}", *value]


class StudyValues:
    """Checks values, each once.

    Parameters
    ----------
    parsers : mapping of str to argparse.ArgumentParser
        Of the commands; they are not changed.
    """

    def __init__(self, parsers: Mapping[str, argparse.ArgumentParser]) -> None:
        self._parsers = {command: _raising(parser) for command, parser in parsers.items()}
        self._checked: dict[tuple[str, str, tuple[str, ...]], str | None] = {}

    def problem(self, command: str, option: str, value: str | list[str]) -> str | None:
        """What is wrong with the value of an option; None where nothing is.

        Parameters
        ----------
        command, option : str
            The option is without dashes.
        value : str or list of str
            One value, or all of an option that takes several.
        """
        texts = [value] if isinstance(value, str) else value
        key = (command, option, tuple(texts))
        if key not in self._checked:
            self._checked[key] = self._find_problem(command, option, value, texts)
        return self._checked[key]

    def _find_problem(self, command: str, option: str, value: str | list[str], texts: Sequence[str]) -> str | None:
        if isinstance(value, list) and any(text.startswith("-") for text in texts):
            return f"'{' '.join(texts)}' was given; none may begin with a dash"
        try:
            options = self._parsers[command].parse_args([*_DEMANDED[command], *option_arguments(option, value)])
            _check_range(command, option, options)
        except _Refused as refused:
            return str(refused).removeprefix(f"argument --{option}: ")
        except InputError as error:
            return f"{error.found}. {error.remedy}"
        return None


class _Refused(Exception):
    """A parser's own words."""


def _raising(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The same parser, but one that neither prints nor ends the program."""

    def refuse(message: str) -> NoReturn:
        raise _Refused(message)

    own = copy.copy(parser)
    own.error = refuse  # type: ignore[method-assign]
    return own


def _check_range(command: str, option: str, options: argparse.Namespace) -> None:
    value = getattr(options, option.replace("-", "_"))
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(option, f"{value:g} was given", "Give a number.")
    if command == "register":
        check_numbers(
            seed=options.seed,
            threads=None,
            max_translation_mm=options.max_translation,
            max_rotation_deg=options.max_rotation,
        )
    elif command == "qa":
        if option == "tolerance":
            own_tolerance(value)
    elif isinstance(value, float) and (value < 0 or (value == 0 and option in _ABOVE_ZERO)):
        above = "above zero" if option in _ABOVE_ZERO else "from zero"
        raise InputError(option, f"{value:g} was given", f"Give a number {above}.")
