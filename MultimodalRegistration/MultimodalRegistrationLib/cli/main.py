"""Entry point of the command line: parse, run a subcommand, turn errors into messages and exit codes.

Exit codes: 0 done, 2 bad input or usage, 3 engine failed, 4 cancelled, 5 engine not installed.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

import MultimodalRegistrationLib
from MultimodalRegistrationLib.cli import (
    batch,
    batch_init,
    check,
    doctor,
    mark,
    picture,
    prealign,
    preprocess,
    presets,
    qa,
    register,
    structures,
    transform,
)
from MultimodalRegistrationLib.cli.guarded import run_guarded
from MultimodalRegistrationLib.cli.parent import end_with_standard_input, step_back
from MultimodalRegistrationLib.cli.progress import EventPrinter

__all__ = ["main"]


_COMMANDS = (
    *(register, batch, batch_init, structures, prealign, preprocess, qa, picture, transform, mark, check, presets),
    doctor,
)


def _joined(arguments: list[str]) -> list[str]:
    """Two words as the name of a command that has two."""
    at = 1 if arguments[:1] == ["--events"] else 0
    if arguments[at : at + 2] == batch_init.COMMAND.split():
        return [*arguments[:at], batch_init.COMMAND, *arguments[at + 2 :]]
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(
        prog="multimodal-registration",
        description="Register CT, MRI, PET and other volumes to each other.",
        epilog="Exit codes: 0 done, 2 bad input or usage, 3 engine failed, 4 cancelled, 5 engine not installed.",
    )
    parser.add_argument("--version", action="version", version=MultimodalRegistrationLib.__version__)
    parser.add_argument(
        "--events",
        action="store_true",
        help="for programs that run this one: events as JSON lines on standard error; ends with its standard input",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_parser(commands)
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(_joined(given))
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
        print(f"multimodal-registration: error: {outcome}", file=sys.stderr)
    return outcome.exit_code
