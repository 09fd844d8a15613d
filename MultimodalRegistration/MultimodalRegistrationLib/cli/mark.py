"""``mark``: what a person decided about a registration, kept beside its report."""

from __future__ import annotations

import argparse
import datetime
from typing import Any

from ..assess.report.marks import MARKS, mark_file, write_mark

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "mark",
        help="approve or reject a registration in its report",
        description="Keep a decision beside a report of qa, and show it in the report.",
        allow_abbrev=False,
    )
    parser.add_argument("report", metavar="report.html", help="from qa")
    parser.add_argument("--as", dest="mark", required=True, choices=MARKS)
    parser.add_argument("--name", required=True, metavar="N", help="who decided")
    parser.add_argument("--comment", default="", metavar="TEXT")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    write_mark(
        options.report,
        {"mark": options.mark, "name": options.name, "comment": options.comment, "when": when},
    )
    print(f"Marked as {options.mark}: {mark_file(options.report)}")
    return 0
