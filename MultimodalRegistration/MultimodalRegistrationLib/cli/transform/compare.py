"""``transform compare``: how far two transforms are from each other."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ...io.outputs import OutputFiles, write_json
from ...transforms.operations import TransformDifference, compare
from ..progress import make_printer
from .common import add_result_options, command_content, read_region, read_stages, statistics_words

__all__ = ["add_parser"]


def add_parser(operations: Any) -> None:
    """Add the operation and its options."""
    parser = operations.add_parser(
        "compare",
        help="how far two transforms are from each other",
        description="Measure the distance between where two transforms put the same points, over a region: entries of "
        "matrices say little.",
        allow_abbrev=False,
    )
    parser.add_argument("transforms", nargs=2, metavar="T", help="both from the same fixed to the same moving volume")
    parser.add_argument(
        "--over", required=True, metavar="VOLUME|MASK", help="fixed volume, or a label map on it: where it matters"
    )
    add_result_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    inputs = {"transforms": options.transforms, "over": options.over}
    with OutputFiles([*options.transforms, options.over]) as outputs:
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        a, b = read_stages(options.transforms, make_printer(options))
        region, words = read_region(options.over)
        found = compare(a, b, over=region)
        if json_file is not None:
            write_json(json_file, command_content(options, inputs) | asdict(found))
            outputs.commit()
    if not options.quiet:
        print("\n".join(_words(found, words)))
    return 0


def _words(found: TransformDifference, region: str) -> list[str]:
    lines = [f"Over {region}, the two put points apart by: {statistics_words(found.displacement)}."]
    if found.linear is not None:
        linear = found.linear
        lines.append(
            f"Both are linear: rotated by {linear.rotation_deg:.3g} degrees against each other, the centre of "
            f"the region moved by {linear.translation_mm:.3g} mm, volumes in a ratio of {linear.volume_ratio:.4g}."
        )
    return lines
