"""Entry point of the command line: parse, run a subcommand, turn errors into messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

import MultimodalRegistrationLib

from ..core.errors import FieldName, RegistrationError, exit_code_words
from ..core.request import flag_of_field
from .guarded import run_guarded
from .parent import end_with_standard_input, step_back
from .progress import EventPrinter

__all__ = ["main"]

# The modules of the commands, in the order of the help; a name of two words is given as two.
_MODULES = {
    "register": "register",
    "run": "run",
    "batch": "batch",
    "batch init": "batch_init",
    "structures": "structures",
    "prealign": "prealign",
    "refine-landmarks": "refine_landmarks",
    "preprocess": "preprocess",
    "qa": "qa",
    "picture": "picture",
    "transform": "transform",
    "mark": "mark",
    "check": "check",
    "presets": "presets",
    "doctor": "doctor",
}


def _joined(arguments: list[str]) -> list[str]:
    """Two words as the name of a command that has two."""
    at = 1 if arguments[:1] == ["--events"] else 0
    two = " ".join(arguments[at : at + 2])
    return [*arguments[:at], two, *arguments[at + 2 :]] if two in _MODULES else arguments


def _modules(arguments: list[str]) -> list[str]:
    """The module of the command that is given, or all for the help: to import them all takes a second."""
    word = next((word for word in arguments if not word.startswith("-")), "")
    return [_MODULES[word]] if word in _MODULES else list(_MODULES.values())


def _by_flags(error: RegistrationError, options: argparse.Namespace) -> RegistrationError:
    """The error with the flag where its subject is a field of a request."""
    if not isinstance(error.subject, FieldName):
        return error
    return error.about(error.subject.told(lambda name: flag_of_field(name, getattr(options, "requests", ()))))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code, of :class:`~MultimodalRegistrationLib.core.errors.ExitCode`.
    """
    parser = argparse.ArgumentParser(
        prog="multimodal-registration",
        description="Register CT, MRI, PET and other volumes to each other.",
        epilog=exit_code_words(),
    )
    parser.add_argument("--version", action="version", version=MultimodalRegistrationLib.__version__)
    parser.add_argument(
        "--events",
        action="store_true",
        help="for programs that run this one: events as JSON lines on standard error; ends with its standard input",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = list(sys.argv[1:] if arguments is None else arguments)
    joined = _joined(given)
    for name in _modules(joined):
        importlib.import_module(f"MultimodalRegistrationLib.cli.{name}").add_parser(commands)
    for one in commands.choices.values():
        one.epilog = exit_code_words()
    options = parser.parse_args(joined)
    options.command_line = given
    # A label that the terminal cannot show must not end a run whose files are written.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if options.events:
        EventPrinter().started(os.getpid())
        end_with_standard_input()
        step_back()
    outcome = run_guarded(lambda: options.run(options))
    if isinstance(outcome, int):
        return outcome
    if options.events:
        EventPrinter().error(outcome)
    else:
        print(f"multimodal-registration: error: {_by_flags(outcome, options)}", file=sys.stderr)
    return outcome.exit_code
