"""``transform``: what is done with transforms once they are there."""

from __future__ import annotations

from typing import Any

from . import apply, compare, compose, convert, invert, recover

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand, which has subcommands of its own."""
    parser = commands.add_parser(
        "transform",
        help="convert, invert, compose, apply, compare or recover transforms",
        description="Transforms map points of the fixed volume to the moving one, LPS, mm, as ITK, ANTs and elastix "
        "have it; Slicer shows the same file as a transform node for the moving volume.",
        allow_abbrev=False,
    )
    operations = parser.add_subparsers(dest="operation", required=True, metavar="OPERATION")
    for module in (convert, invert, compose, apply, compare, recover):
        module.add_parser(operations)
