"""``transform apply``: carry further files from one volume to the other."""

from __future__ import annotations

import argparse
from typing import Any

from ...core.errors import InputError
from ...core.progress import Progress
from ...io.outputs import OutputFiles, write_json
from ...io.volumes import read_unjudged
from ...transforms.apply import Plan
from ...transforms.operations import compose
from ...transforms.propagate import INTERPOLATIONS, Carrier
from ...transforms.propagate_files import plan_carried
from ..progress import make_printer
from .common import add_result_options, command_content, read_stages, transform_content

__all__ = ["add_parser"]


def add_parser(operations: Any) -> None:
    """Add the operation and its options."""
    parser = operations.add_parser(
        "apply",
        help="carry volumes, labels, segmentations, points, markups and models",
        description="Carry any number of files from one volume to the other. Whichever way, volumes are "
        "resampled once, from the originals, and points, markups and models get the coordinates that belong to "
        "it: a point that was drawn into a volume stays on the same structure.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "transforms", nargs="+", metavar="T", help="maps fixed to moving points, as files have it; several: see compose"
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument(
        "--moving-to-fixed",
        nargs="+",
        metavar="INPUT",
        help="files that lie in the moving volume: volumes and label maps, .seg.nrrd, .mrk.json, .fcsv, .csv, "
        ".vtk, .vtp, .ply, .stl, .obj",
    )
    way.add_argument("--fixed-to-moving", nargs="+", metavar="INPUT", help="files that lie in the fixed volume")
    parser.add_argument(
        "--reference", metavar="V", help="volume whose grid the results get: the fixed one for --moving-to-fixed"
    )
    parser.add_argument(
        "--header-only",
        action="store_true",
        help="move volumes by their headers instead: for rigid transforms, and scaling along their axes",
    )
    parser.add_argument(
        "--interpolation",
        choices=INTERPOLATIONS,
        help="for all volumes; default: linear for scans, and for label maps the strongest label after "
        "smoothing (label)",
    )
    parser.add_argument(
        "--outside-value",
        type=float,
        metavar="X",
        help="where a volume shows nothing; default: its lowest value, 0 for labels",
    )
    parser.add_argument(
        "--space", choices=("LPS", "RAS"), help="coordinates of points and models that do not state them"
    )
    parser.add_argument("--output-dir", required=True, metavar="D", help="new or empty folder; files keep their names")
    add_result_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    printer = make_printer(options)
    to_fixed = options.moving_to_fixed is not None
    sources: list[str] = options.moving_to_fixed if to_fixed else options.fixed_to_moving
    if options.header_only and (options.reference or options.interpolation or options.outside_value is not None):
        raise InputError(
            "--header-only",
            "given with an option for resampling",
            "Leave out one of them: the voxels stay as they are.",
        )
    inputs = {
        "transforms": options.transforms,
        "direction": "moving to fixed" if to_fixed else "fixed to moving",
        "files": sources,
        "reference": options.reference,
    }
    given = [*options.transforms, *sources, *([options.reference] if options.reference else [])]
    with OutputFiles(given) as outputs:
        carried = plan_carried(sources, options.output_dir, outputs)
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        printer.progress(Progress("reading the transform", 0.0))
        transform = compose(read_stages(options.transforms, printer))
        carrier = Carrier(transform, to_fixed=to_fixed)
        reference = read_unjudged(options.reference).grid if options.reference and carried.has_volumes else None
        if reference is not None:
            printer.progress(Progress("preparing the transform", 0.05))
        plan = Plan(
            carrier,
            reference,
            None if reference is None else carrier.resampling(reference),
            options.header_only,
            options.interpolation,
            options.outside_value,
            options.space,
        )

        def on_file(source: str, share: float) -> None:
            printer.progress(Progress(f"carrying {source}", 0.1 + 0.9 * share))

        files = carried.write(plan, printer.warning, on_file)
        if json_file is not None:
            error_mm = None if plan.resampling is None else plan.resampling.error_mm
            content = {"transform": transform_content(transform), "resampling_error_mm": error_mm, "files": files}
            write_json(json_file, command_content(options, inputs) | content)
        outputs.commit()
    printer.finish()
    if not options.quiet:
        for one in files:
            print(f"{one['output']}: {one['kind']}, {one['how']}")
    return 0
