"""``--then``: what is run on the result of the stages before."""

from __future__ import annotations

import argparse

from ..register.then_text import Then, then_of

__all__ = ["add_then_option", "check_then"]


def add_then_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that :func:`check_then` reads."""
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        metavar="PRESET[,engine=E][,fixed-mask=L][,moving-mask=L][,fixed-roi=R][,moving-roi=R]",
        help="another preset on the result so far, such as 'affine' or 'warp', which bends; may be given several times",
    )


def check_then(options: argparse.Namespace) -> list[Then]:
    """Check every use of the option.

    Raises
    ------
    InputError
        An unknown preset, key or engine.
    EngineNotInstalledError
        No engine of the preset is installed.
    """
    return [then_of(text) for text in options.then]
