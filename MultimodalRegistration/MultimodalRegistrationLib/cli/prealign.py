"""``prealign``: a transform from landmarks or surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FieldName, InputError
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..io.outputs import OutputFiles, write_json, writing
from ..io.tools.itk import TRANSFORM_SUFFIXES, write_linear_transform, write_transform
from ..io.volumes import read_volume
from ..landmarks.confidence import read_confidence
from ..landmarks.models import LinearFit
from ..landmarks.prealign import Prealignment, prealign
from ..landmarks.report import prealignment_content, prealignment_message
from ..landmarks.request import PrealignOutputs, PrealignRequest
from ..landmarks.thin_plate import ThinPlateSpline, box_of_points, spline_grid
from .jobs import Context, add_job_parser
from .prealign_shapes import has_shapes, refuse_shape_options, run_shapes

REQUESTS = (PrealignRequest, PrealignOutputs)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    add_job_parser(
        commands,
        "prealign",
        help="a transform from landmarks or surfaces",
        description="Fit a transform to pairs of landmarks, or to surfaces, and say how good it is.",
    )


def run_job(request: PrealignRequest, outputs: PrealignOutputs, context: Context) -> int:
    """Fit a transform to the files of a request, and print how good it is; returns the exit code."""
    if has_shapes(request):
        return run_shapes(request, outputs, quiet=context.quiet)
    refuse_shape_options(request)
    if request.model != "tps" and request.model != "auto" and request.stiffness_mm:
        raise InputError(
            FieldName("stiffness_mm"), f"given with the model '{request.model}'", "It is for the model tps."
        )
    pairs = request.read_pairs(mirrored_allowed=request.allow_reflection)
    if pairs is None:
        raise InputError("The landmarks", "a list is missing", "Give landmarks of both volumes, or surfaces.")
    names = ("fixed_landmarks", "moving_landmarks", "weights", "targets_fixed", "targets_moving", "reference")
    inputs = {name: getattr(request, name) for name in names}
    with OutputFiles([path for path in inputs.values() if path]) as files:
        suffixes = (".h5",) if request.model in ("tps", "auto") else TRANSFORM_SUFFIXES
        transform_file = files.add(outputs.output_transform, suffixes) if outputs.output_transform else None
        json_file = files.add(outputs.json, (".json",)) if outputs.json else None
        reference = None if request.reference is None else read_volume(request.reference).grid
        result = prealign(
            pairs,
            model=request.model,
            confidence=read_confidence(request.weights, pairs) if request.weights else None,
            stiffness_mm=request.stiffness_mm,
            reflection=request.allow_reflection,
            localisation_error_mm=request.localisation_error_mm,
            targets=request.read_targets(),
            over_fixed_lps=None if reference is None else reference.places_lps(10),
            over_name=None if request.reference is None else Path(request.reference).name,
        )
        content = prealignment_content(result, inputs=inputs)
        lines = prealignment_message(result)
        if transform_file is not None and outputs.output_transform is not None:
            with writing(outputs.output_transform):
                words = _write(result, reference, str(transform_file))
            lines.append(f"Transform: {outputs.output_transform}{words}")
        if json_file is not None:
            write_json(json_file, content)
        files.commit()
    if not context.quiet:
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
