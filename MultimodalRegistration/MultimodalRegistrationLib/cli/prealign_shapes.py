"""``prealign`` with a surface on one side or both."""

from __future__ import annotations

import argparse
from typing import Any

from ..core.errors import InputError
from ..core.points import LandmarkList
from ..core.surface import Surface
from ..io.landmarks import read_landmarks
from ..io.outputs import OutputFiles, write_json, writing
from ..io.surfaces import read_surface
from ..io.transforms import TRANSFORM_SUFFIXES, read_linear_transform, write_linear_transform
from ..landmarks.icp import SURFACE_MODELS, Overlap
from ..landmarks.surface_registration import register_surface
from ..landmarks.surface_result import surface_content, surface_message

__all__ = ["add_shape_options", "has_shapes", "refuse_shape_options", "run_shapes"]

_LANDMARKS_ONLY = {
    "weights": None,
    "stiffness": 0.0,
    "allow_reflection": False,
    "localisation_error": None,
    "targets_fixed": None,
    "targets_moving": None,
    "reference": None,
    "pairing": "order",
}
_SHAPES_ONLY = {"fixed_label": None, "moving_label": None, "overlap": "auto", "initial_transform": None}


def add_shape_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for surfaces."""
    what = ".stl, .ply, .obj, .vtk, .vtp, or a label map or segmentation"
    for role in ("fixed", "moving"):
        parser.add_argument(f"--{role}-surface", metavar="S", help=f"shape in the {role} volume: {what}")
        parser.add_argument(f"--{role}-label", type=int, metavar="N", help="the value of a label map to take")
    parser.add_argument(
        "--overlap",
        default="auto",
        metavar="auto|SHARE",
        help="share of a shape that has a counterpart on the other, 0.05 to 1; auto (default) finds it",
    )
    parser.add_argument("--initial-transform", metavar="T0", help="linear ITK transform: another start for shapes")


def has_shapes(options: argparse.Namespace) -> bool:
    """Whether a surface was given."""
    return options.fixed_surface is not None or options.moving_surface is not None


def refuse_shape_options(options: argparse.Namespace) -> None:
    """Refuse options of surfaces where there is none."""
    _refuse(options, _SHAPES_ONLY, "given without a surface", "It is for surfaces; leave it out.")


def _refuse(options: argparse.Namespace, defaults: dict[str, Any], found: str, remedy: str) -> None:
    for name, default in defaults.items():
        if getattr(options, name) != default:
            raise InputError(f"--{name.replace('_', '-')}", found, remedy)


def run_shapes(options: argparse.Namespace) -> int:
    """Register by shape."""
    _refuse(options, _LANDMARKS_ONLY, "given together with a surface", "It is for pairs of landmarks; leave it out.")
    if options.model not in SURFACE_MODELS:
        raise InputError("--model", f"'{options.model}' was given for a surface", f"Use {', '.join(SURFACE_MODELS)}.")
    names = ("fixed_surface", "moving_surface", "fixed_landmarks", "moving_landmarks", "initial_transform")
    inputs: dict[str, Any] = {name: getattr(options, name) for name in names}
    with OutputFiles([path for path in inputs.values() if path]) as outputs:
        transform_file = None
        if options.output_transform:
            transform_file = outputs.add(options.output_transform, TRANSFORM_SUFFIXES)
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        result = register_surface(
            _shape(options, "fixed"),
            _shape(options, "moving"),
            model=options.model,
            overlap=_overlap(options.overlap),
            initial_fixed_to_moving_lps=(
                None if options.initial_transform is None else read_linear_transform(options.initial_transform)
            ),
        )
        lines = [*surface_message(result), *(f"Warning: {words}" for words in result.warnings)]
        if transform_file is not None:
            with writing(options.output_transform):
                write_linear_transform(transform_file, result.fixed_to_moving_lps)
            lines.append(f"Transform: {options.output_transform}")
        if json_file is not None:
            content = surface_content(result, inputs=inputs)
            write_json(json_file, content)
        outputs.commit()
    if not options.quiet:
        print("\n".join(lines))
    return 0


def _shape(options: argparse.Namespace, role: str) -> Surface | LandmarkList:
    surface, landmarks = getattr(options, f"{role}_surface"), getattr(options, f"{role}_landmarks")
    space, label = getattr(options, f"{role}_space"), getattr(options, f"{role}_label")
    if (surface is None) == (landmarks is None):
        found = (
            "neither a surface nor landmarks were given" if surface is None else "a surface and landmarks were given"
        )
        raise InputError(f"The {role} side", found, "Give one of the two for each side.")
    if surface is not None:
        return read_surface(surface, space=space, label=label)
    if label is not None:
        raise InputError(
            f"--{role}-label",
            f"{label} was given, but the {role} side is landmarks",
            "Only label maps have labels; leave it out.",
        )
    return read_landmarks(landmarks, space=space)


def _overlap(text: str) -> Overlap:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise InputError("--overlap", f"'{text}' was given", "Give auto or a share from 0.05 to 1.") from error
