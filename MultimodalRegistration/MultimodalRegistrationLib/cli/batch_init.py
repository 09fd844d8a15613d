"""``batch init``: a study file of what is in folders."""

from __future__ import annotations

import argparse
from typing import Any

from ..study.found_cases import write_study
from ..study.make_study import study_from_bids, study_from_pattern
from .progress import make_printer

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "batch init",
        help="make a study file of a BIDS dataset or of folders",
        description="Find pairs of volumes and write a study file, a row for each, to look through and run.",
        allow_abbrev=False,
    )
    parser.add_argument("study", metavar="STUDY.csv", help="new file; its paths are relative to it")
    parser.add_argument("--bids", metavar="FOLDER", help="a BIDS dataset; default: --fixed and --moving are patterns")
    parser.add_argument(
        "--fixed",
        required=True,
        metavar="SUFFIX|PATTERN",
        help="the volume that stays: with --bids its suffix, such as T1w; otherwise a path with {case} where the name "
        "of the case stands, such as 'data/{case}/ct.nrrd'",
    )
    parser.add_argument("--moving", required=True, metavar="SUFFIX|PATTERN", help="likewise, the one that is moved")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    printer = make_printer(options)
    if options.bids is None:
        found = study_from_pattern(fixed=options.fixed, moving=options.moving)
    else:
        found = study_from_bids(options.bids, fixed=options.fixed, moving=options.moving)
    for words in found.warnings:
        printer.warning(words)
    write_study(options.study, found)
    if not options.quiet:
        print(
            f"{options.study}: {len(found.cases)} cases. Check it, then: multimodal-registration batch {options.study}"
        )
    return 0
