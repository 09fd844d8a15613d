"""``prealign``: a transform from landmarks or surfaces."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..io.outputs import OutputFiles, write_json, writing
from ..io.transforms import TRANSFORM_SUFFIXES, write_linear_transform, write_transform
from ..io.volumes import read_volume
from ..landmarks.confidence import read_confidence
from ..landmarks.models import MODELS, LinearFit
from ..landmarks.prealign import Prealignment, prealign
from ..landmarks.report import prealignment_content, prealignment_message
from ..landmarks.thin_plate import ThinPlateSpline, box_of_points, spline_grid
from .landmark_options import add_landmark_options, add_target_options, read_pairs, read_target_pairs
from .prealign_shapes import add_shape_options, has_shapes, refuse_shape_options, run_shapes

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "prealign",
        help="a transform from landmarks or surfaces",
        description="Fit a transform to pairs of landmarks, or to surfaces, and say how good it is.",
        allow_abbrev=False,
    )
    add_landmark_options(parser)
    add_shape_options(parser)
    parser.add_argument("--model", choices=(*MODELS, "auto"), default="rigid", help="default: %(default)s")
    parser.add_argument(
        "--weights", metavar="W.csv", help="columns label and weight, sd_mm, or standard deviations by direction"
    )
    parser.add_argument(
        "--stiffness", type=float, default=0.0, metavar="MM", help="of a thin-plate spline; 0 passes through all points"
    )
    parser.add_argument("--allow-reflection", action="store_true", help="the transform may mirror")
    parser.add_argument(
        "--localisation-error",
        type=float,
        metavar="MM",
        help="RMS error of placing a landmark, both volumes together; default: what the fiducial error suggests",
    )
    add_target_options(parser)
    parser.add_argument(
        "--reference",
        metavar="F",
        help="a volume: the expected error is stated at its worst place, and the grid of a thin-plate spline covers "
        "it; default: the surroundings of the landmarks",
    )
    parser.add_argument(
        "--output-transform",
        metavar="T.h5",
        help="loads in Slicer as a transform node for the moving volume; a thin-plate spline is written as a grid",
    )
    parser.add_argument("--json", metavar="R.json", help="everything about the fit, for scripts")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if has_shapes(options):
        return run_shapes(options)
    refuse_shape_options(options)
    if options.model != "tps" and options.model != "auto" and options.stiffness:
        raise InputError("--stiffness", f"given with the model '{options.model}'", "It is for the model tps.")
    if None in (options.fixed_landmarks, options.moving_landmarks):
        raise InputError(
            "The landmarks", "a list is missing", "Give --fixed-landmarks and --moving-landmarks, or surfaces."
        )
    names = ("fixed_landmarks", "moving_landmarks", "weights", "targets_fixed", "targets_moving", "reference")
    inputs = {name: getattr(options, name) for name in names}
    with OutputFiles([path for path in inputs.values() if path]) as outputs:
        suffixes = (".h5",) if options.model in ("tps", "auto") else TRANSFORM_SUFFIXES
        transform_file = outputs.add(options.output_transform, suffixes) if options.output_transform else None
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        reference = None if options.reference is None else read_volume(options.reference).grid
        pairs = read_pairs(options, mirrored_allowed=options.allow_reflection)
        result = prealign(
            pairs,
            model=options.model,
            confidence=read_confidence(options.weights, pairs) if options.weights else None,
            stiffness_mm=options.stiffness,
            reflection=options.allow_reflection,
            localisation_error_mm=options.localisation_error,
            targets=read_target_pairs(options),
            over_fixed_lps=None if reference is None else reference.places_lps(10),
            over_name=None if reference is None else Path(options.reference).name,
        )
        content = prealignment_content(result, inputs=inputs)
        lines = prealignment_message(result)
        if transform_file is not None:
            with writing(options.output_transform):
                words = _write(result, reference, str(transform_file))
            lines.append(f"Transform: {options.output_transform}{words}")
        if json_file is not None:
            write_json(json_file, content)
        outputs.commit()
    if not options.quiet:
        print("\n".join(lines))
    return 0


def _write(result: Prealignment, reference: VolumeGrid | None, path: str) -> str:
    """Write the transform; returns what to say about it."""
    if isinstance(result.fit, LinearFit):
        write_linear_transform(path, result.fit.fixed_to_moving_lps)
        return ""
    assert isinstance(result.fit, ThinPlateSpline)
    box = box_of_points(result.pairs.fixed_lps)
    if reference is not None:
        box = np.stack([reference.corners_lps.min(axis=0), reference.corners_lps.max(axis=0)])
    made = spline_grid(result.fit, box)
    write_transform(path, SpatialTransform("spline", made.transform))
    return f" (grid of {made.grid.spacing_mm[0]:.0f} mm, within {made.error_mm:.2f} mm of the spline)"
