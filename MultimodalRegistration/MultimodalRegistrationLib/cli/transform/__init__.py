"""``transform``: what can be done to transforms without registering anything."""

from __future__ import annotations

from typing import Any

from MultimodalRegistrationLib.cli.transform import convert

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and those below it."""
    parser = commands.add_parser("transform", help="convert transforms", allow_abbrev=False)
    subcommands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    convert.add_parser(subcommands)
