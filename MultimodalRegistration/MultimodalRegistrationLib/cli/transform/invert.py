"""``transform invert``: the way back."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ...io.outputs import OutputFiles, write_json
from ...io.tools.itk import write_transform
from ...transforms.operations import DEFAULT_TOLERANCE_MM, Inverse, invert
from ..progress import make_printer
from .common import (
    OUTPUT_SUFFIXES,
    add_result_options,
    command_content,
    read_region,
    read_stages,
    statistics_words,
    transform_content,
)

__all__ = ["add_parser"]


def add_parser(operations: Any) -> None:
    """Add the operation and its options."""
    parser = operations.add_parser(
        "invert",
        help="the inverse of a transform",
        description="Write the inverse of a transform: a matrix where it is linear, else a grid of "
        "displacements, with how well points come back.",
        allow_abbrev=False,
    )
    parser.add_argument("transform", metavar="T", help="maps fixed to moving points, as files have it")
    parser.add_argument(
        "--output-transform",
        required=True,
        metavar="OUT",
        help="maps moving to fixed points: .h5, .tfm, .txt or .mat; a grid .h5, .tfm, .nrrd, .nii.gz or .mha",
    )
    parser.add_argument(
        "--over",
        metavar="VOLUME|MASK",
        help="fixed volume, or a label map on it: the region for which the way back is needed; must be given for a "
        "non-linear transform",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=DEFAULT_TOLERANCE_MM,
        metavar="MM",
        help="the grid is refined until 95 %% of the points of the region come back this close, and all within "
        "five times that (%(default)s)",
    )
    add_result_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    inputs = {"transform": options.transform, "over": options.over}
    with OutputFiles([path for path in inputs.values() if path]) as outputs:
        transform_file = outputs.add(options.output_transform, OUTPUT_SUFFIXES)
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        (transform,) = read_stages([options.transform], make_printer(options))
        region, words = (None, "") if options.over is None else read_region(options.over)
        found = invert(transform, over=region, tolerance_mm=options.tolerance)
        write_transform(transform_file, found.transform, target=options.output_transform)
        if json_file is not None:
            write_json(json_file, command_content(options, inputs) | _content(found))
        outputs.commit()
    for warning in _warnings(found):
        make_printer(options).warning(warning)
    if not options.quiet:
        print("\n".join(_words(found, words, options.output_transform)))
    return 0


def _content(found: Inverse) -> dict[str, Any]:
    return {
        "inverse": transform_content(found.transform),
        "grid": None if found.grid is None else asdict(found.grid),
        "tolerance_mm": found.tolerance_mm,
        "within_tolerance": found.within_tolerance,
        "return_error": None if found.return_error is None else asdict(found.return_error),
        "lost_share": found.lost_share,
    }


def _words(found: Inverse, region: str, path: str) -> list[str]:
    lines = ["The inverse is linear and exact."]
    if found.grid is not None:
        size = " x ".join(map(str, found.grid.size))
        lines = [f"The inverse is a grid of {size} nodes, {min(found.grid.spacing_mm):.2g} mm apart or more."]
    if found.return_error is not None:
        lines.append(f"Points of {region} come back to within: {statistics_words(found.return_error)}.")
    return [*lines, f"Inverse: {path}"]


def _warnings(found: Inverse) -> list[str]:
    lines = []
    if found.lost_share > 0:
        lines.append(
            f"{found.lost_share:.2%} of the points have no way back of their own: the transform folds there, or ends."
        )
    if found.return_error is not None and not found.within_tolerance:
        lines.append(
            f"Points come back to within {found.return_error.p95_mm:.3g} mm (95 %) and "
            f"{found.return_error.max_mm:.3g} mm (all), more than the tolerance of {found.tolerance_mm:g} mm "
            f"asks for; a smaller region allows a finer grid."
        )
    return lines
