"""``prealign`` with a surface on one side or both."""

from __future__ import annotations

from typing import Any

from ..core.errors import FieldName, InputError
from ..core.points import LandmarkList
from ..core.surface import Surface
from ..io.landmarks import read_landmarks
from ..io.outputs import OutputFiles, write_json, writing
from ..io.surfaces import read_surface
from ..io.tools.itk import TRANSFORM_SUFFIXES, write_linear_transform
from ..io.transforms import read_linear_transform
from ..landmarks.icp import SURFACE_MODELS, Overlap
from ..landmarks.request import PrealignOutputs, PrealignRequest
from ..landmarks.surface_registration import register_surface
from ..landmarks.surface_result import surface_content, surface_message

_LANDMARKS_ONLY = {
    "weights": None,
    "stiffness_mm": 0.0,
    "allow_reflection": False,
    "localisation_error_mm": None,
    "targets_fixed": None,
    "targets_moving": None,
    "reference": None,
    "pairing": "order",
}
_SHAPES_ONLY = {"fixed_label": None, "moving_label": None, "overlap": "auto", "initial_transform": None, "seed": 0}


def has_shapes(request: PrealignRequest) -> bool:
    """Whether a surface was given."""
    return request.fixed_surface is not None or request.moving_surface is not None


def refuse_shape_options(request: PrealignRequest) -> None:
    """Refuse options of surfaces where there is none."""
    _refuse(request, _SHAPES_ONLY, "given without a surface", "It is for surfaces; leave it out.")


def _refuse(request: PrealignRequest, defaults: dict[str, Any], found: str, remedy: str) -> None:
    for name, default in defaults.items():
        if getattr(request, name) != default:
            raise InputError(FieldName(name), found, remedy)


def run_shapes(request: PrealignRequest, outputs: PrealignOutputs, *, quiet: bool) -> int:
    """Register by shape."""
    _refuse(request, _LANDMARKS_ONLY, "given together with a surface", "It is for pairs of landmarks; leave it out.")
    if request.model not in SURFACE_MODELS:
        raise InputError(
            FieldName("model"), f"'{request.model}' was given for a surface", f"Use {', '.join(SURFACE_MODELS)}."
        )
    names = ("fixed_surface", "moving_surface", "fixed_landmarks", "moving_landmarks", "initial_transform")
    inputs: dict[str, Any] = {name: getattr(request, name) for name in names}
    with OutputFiles([path for path in inputs.values() if path]) as files:
        transform_file = None
        if outputs.output_transform:
            transform_file = files.add(outputs.output_transform, TRANSFORM_SUFFIXES)
        json_file = files.add(outputs.json, (".json",)) if outputs.json else None
        result = register_surface(
            _shape(request, "fixed"),
            _shape(request, "moving"),
            model=request.model,
            overlap=_overlap(request.overlap),
            initial_fixed_to_moving_lps=(
                None if request.initial_transform is None else read_linear_transform(request.initial_transform)
            ),
            seed=request.seed,
        )
        lines = [*surface_message(result), *(f"Warning: {words}" for words in result.warnings)]
        if transform_file is not None and outputs.output_transform is not None:
            with writing(outputs.output_transform):
                write_linear_transform(transform_file, result.fixed_to_moving_lps)
            lines.append(f"Transform: {outputs.output_transform}")
        if json_file is not None:
            content = surface_content(result, inputs=inputs)
            write_json(json_file, content)
        files.commit()
    if not quiet:
        print("\n".join(lines))
    return 0


def _shape(request: PrealignRequest, role: str) -> Surface | LandmarkList:
    surface, landmarks = getattr(request, f"{role}_surface"), getattr(request, f"{role}_landmarks")
    space, label = getattr(request, f"{role}_space"), getattr(request, f"{role}_label")
    if (surface is None) == (landmarks is None):
        found = (
            "neither a surface nor landmarks were given" if surface is None else "a surface and landmarks were given"
        )
        raise InputError(f"The {role} side", found, "Give one of the two for each side.")
    if surface is not None:
        return read_surface(surface, space=space, label=label)
    if label is not None:
        raise InputError(
            FieldName(f"{role}_label"),
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
        raise InputError(FieldName("overlap"), f"'{text}' was given", "Give auto or a share from 0.05 to 1.") from error
