"""``transform compose``: several transforms as one."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ...io.outputs import OutputFiles, write_json
from ...io.tools.itk import write_transform
from ...io.volumes import read_unjudged
from ...transforms.operations import compose, sample_on_grid
from ..progress import make_printer
from .common import (
    OUTPUT_SUFFIXES,
    add_result_options,
    command_content,
    read_stages,
    statistics_words,
    transform_content,
)

__all__ = ["add_parser"]


def add_parser(operations: Any) -> None:
    """Add the operation and its options."""
    parser = operations.add_parser(
        "compose",
        help="several transforms as one",
        description="Put transforms one after the other, exactly. Points of the fixed volume go through the first one "
        "first: after a prealignment P and a registration R of the prealigned volume, give R P. Linear "
        "transforms become one matrix; others are kept as stages.",
        allow_abbrev=False,
    )
    parser.add_argument("transforms", nargs="+", metavar="T", help="first applied first")
    parser.add_argument(
        "--output-transform",
        required=True,
        metavar="OUT",
        help="linear: .h5, .tfm, .txt or .mat; with stages: .h5 or .tfm; a grid: also .nrrd, .nii.gz or .mha",
    )
    parser.add_argument(
        "--grid", metavar="F", help="write one grid of displacements at the voxels of this volume, the fixed one"
    )
    add_result_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    inputs = {"transforms": options.transforms, "grid": options.grid}
    with OutputFiles([*options.transforms, *([options.grid] if options.grid else [])]) as outputs:
        transform_file = outputs.add(options.output_transform, OUTPUT_SUFFIXES)
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        result = compose(read_stages(options.transforms, make_printer(options)))
        stages = [stage.transform.GetName() for stage in result.stages]
        lines = ["All are linear: one matrix." if result.matrix is not None else f"Stages: {', then '.join(stages)}."]
        error = None
        if options.grid is not None:
            sampled = sample_on_grid(result, read_unjudged(options.grid).grid)
            result, error = sampled.transform, sampled.error
            lines.append(f"As a grid, off by: {statistics_words(error)} between the nodes.")
        write_transform(transform_file, result, target=options.output_transform)
        if json_file is not None:
            content: dict[str, Any] = {"result": transform_content(result), "applied": stages}
            content["grid_error"] = None if error is None else asdict(error)
            write_json(json_file, command_content(options, inputs) | content)
        outputs.commit()
    if not options.quiet:
        print("\n".join([*lines, f"Transform: {options.output_transform}"]))
    return 0
