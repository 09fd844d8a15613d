"""``preprocess``: two volumes cut to their common region, masked and corrected, as files for any program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

import MultimodalRegistrationLib

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.volume import Volume
from ..io.landmarks import read_landmarks
from ..io.markups import read_roi, write_roi
from ..io.outputs import OutputFiles, output_folder, write_json
from ..io.tools.itk import write_linear_transform
from ..io.transforms import read_linear_transform
from ..io.volumes import read_label_map, read_mask, read_segment, read_volume
from ..preprocess.check import volume_warnings
from ..preprocess.masks import dilate_mm, from_labels
from ..preprocess.region import Region, region_of_box, region_of_points
from ..preprocess.request import PreprocessOutputs, PreprocessRequest
from ..preprocess.run import FoundRegion, Preprocessed, find_region, points_of_segment, preprocess
from ..preprocess.steps import ROLES, Role
from ..register.landmark_start import landmark_start
from ..register.prepare import mask_on_grid
from ..register.searched_start import searched_start
from .jobs import Context, add_job_parser
from .progress import Printer

_VOLUMES = (("fixed", "nrrd"), ("moving", "nrrd"), ("fixed-mask", "nrrd"), ("moving-mask", "nrrd"))
_INPUTS = (
    *("fixed", "moving", "initial_transform", "fixed_landmarks", "moving_landmarks"),
    *("roi", "segment", "region_landmarks", "mask", "moving_mask"),
)

REQUESTS = (PreprocessRequest, PreprocessOutputs)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    add_job_parser(
        commands,
        "preprocess",
        help="cut two volumes to what both show, mask and correct them",
        description="Prepare two volumes for a registration with any program. The results stay where they are in the "
        "world, so a transform found on them is one of the full volumes.",
    )


def run_job(request: PreprocessRequest, outputs: PreprocessOutputs, context: Context) -> int:
    """Prepare volumes, and print what was done; returns the exit code."""
    printer = context.printer
    inputs = {name: getattr(request, name) for name in _INPUTS}
    given = [path for path in inputs.values() if path and path not in ("auto", "none")]
    folder = output_folder(outputs.output_dir)
    with OutputFiles(given) as files:
        staged = _staged(files, folder, request, outputs.json)
        fixed, moving = read_volume(request.fixed), read_volume(request.moving)
        for words in (*volume_warnings(fixed), *volume_warnings(moving)):
            printer.warning(words)
        masks = {
            "fixed": _mask(request, request.mask, request.fixed_mask_labels, fixed, printer),
            "moving": _mask(request, request.moving_mask, request.moving_mask_labels, moving, printer),
        }
        printer.progress(Progress("finding a prealignment", 0.0))
        matrix, words = _prealignment(request, fixed, moving)
        region = _region(request, fixed, moving, matrix)
        chosen: dict[str, Any] = {
            "margin_mm": request.margin_mm,
            "automatic_masks": _automatic_masks(request),
            "fixed_mask": masks["fixed"],
            "moving_mask": masks["moving"],
            "on_progress": lambda stage, share: printer.progress(Progress(stage, 0.2 + 0.7 * share)),
        }
        result: Preprocessed | FoundRegion
        if request.only_region:
            result = find_region(fixed, moving, matrix, region=region, **chosen)
        else:
            result = preprocess(
                fixed,
                moving,
                matrix,
                region=region,
                bias_correct=_roles(request.bias_correct),
                isotropic_mm=request.isotropic_mm,
                spacing_factor=request.spacing_factor,
                cancel=context.cancel,
                **chosen,
            )
        _write(result, matrix, staged)
        content = _content(result, matrix, words, inputs)
        if outputs.json:
            write_json(staged["json"], content)
        files.commit()
    printer.finish()
    if not context.quiet:
        print("\n".join([f"Prealignment: {words}.", *result.facts, f"Results: {folder}"]))
    return 0


def _staged(files: OutputFiles, folder: Path, request: PreprocessRequest, json_file: str | None) -> dict[str, Path]:
    staged = {
        name: files.add(folder / f"{name}.{suffix}", (f".{suffix}",))
        for name, suffix in (
            *(() if request.only_region else _VOLUMES),
            ("region", "mrk.json"),
            ("prealignment", "h5"),
        )
    }
    for role in () if request.only_region else _roles(request.bias_correct):
        staged[f"{role}-bias-field"] = files.add(folder / f"{role}-bias-field.nrrd", (".nrrd",))
    if json_file:
        staged["json"] = files.add(json_file, (".json",))
    return staged


def _roles(bias_correct: str) -> tuple[Role, ...]:
    return tuple(role for role in ROLES if bias_correct in (role, "both"))


def _mask(
    request: PreprocessRequest, given: str | None, labels: tuple[int, ...], volume: Volume, printer: Printer
) -> Volume | None:
    if given in (None, "auto", "none"):
        if labels:
            raise InputError("The labels of a mask", "given without a label map", "Give the mask.")
        return None
    if not labels and not request.mask_outside:
        mask = read_mask(str(given))
    else:
        label_map = read_label_map(str(given))
        values = labels or [int(value) for value in np.unique(label_map.voxels) if value > 0]
        mask = from_labels(label_map, values, inside=not request.mask_outside)
    placed, resampled = mask_on_grid(mask, volume)
    if resampled:
        printer.warning(f"The mask {mask.name} is on another grid than {volume.name}; it was resampled.")
    return dilate_mm(placed, request.mask_margin_mm) if request.mask_margin_mm else placed


def _automatic_masks(request: PreprocessRequest) -> tuple[Role, ...]:
    given = {"fixed": request.mask, "moving": request.moving_mask or request.mask}
    return tuple(role for role in ROLES if given[role] != "none")


def _prealignment(request: PreprocessRequest, fixed: Volume, moving: Volume) -> tuple[NDArray[np.float64], str]:
    pairs = request.read_pairs()
    if request.initial_transform is not None:
        return read_linear_transform(request.initial_transform), f"the initial transform {request.initial_transform}"
    if pairs is not None:
        start = landmark_start(pairs, fixed.grid, moving.grid)
        return start.fixed_to_moving_lps, f"the rigid fit {start.name}"
    return searched_start(fixed, moving), "the best of all poses"


def _region(request: PreprocessRequest, fixed: Volume, moving: Volume, matrix: NDArray[np.float64]) -> Region | None:
    if request.roi is not None:
        return region_of_box(read_roi(request.roi), moving.grid, matrix)
    if request.region_landmarks is not None:
        landmarks = read_landmarks(request.region_landmarks, space=request.fixed_space)
        points = landmarks.points_lps[list(landmarks.used)]
        return region_of_points(points, fixed.grid, moving.grid, matrix, request.margin_mm)
    if request.segment is not None:
        points = points_of_segment(read_segment(request.segment, request.segment_label))
        return region_of_points(points, fixed.grid, moving.grid, matrix, request.margin_mm)
    return None


def _write(result: Preprocessed | FoundRegion, matrix: NDArray[np.float64], staged: dict[str, Path]) -> None:
    try:
        prepared_volumes = {"fixed": result.fixed, "moving": result.moving} if isinstance(result, Preprocessed) else {}
        for role, prepared in prepared_volumes.items():
            sitk.WriteImage(prepared.volume.image, str(staged[role]), True)
            mask = prepared.mask
            if mask is None:
                everything = sitk.Image(prepared.volume.image.GetSize(), sitk.sitkUInt8) + 1
                everything.CopyInformation(prepared.volume.image)
                mask = Volume(everything, "mask")
            sitk.WriteImage(mask.image, str(staged[f"{role}-mask"]), True)
            if prepared.bias_field is not None:
                sitk.WriteImage(prepared.bias_field.image, str(staged[f"{role}-bias-field"]), True)
        write_roi(staged["region"], result.region.fixed, "common region")
        write_linear_transform(staged["prealignment"], matrix)
    except RuntimeError as error:
        raise InputError(
            staged["region"].parent,
            f"a file cannot be written ({str(error).strip().splitlines()[-1]})",
            "Free disk space, or choose another folder.",
        ) from error


def _content(
    result: Preprocessed | FoundRegion, matrix: NDArray[np.float64], words: str, inputs: dict[str, Any]
) -> dict[str, Any]:
    return {
        "schema": 1,
        "inputs": inputs,
        "prealignment": {"words": words, "fixed_to_moving_lps": matrix.tolist()},
        "region": {
            "words": result.region.words,
            **{
                role: {
                    "center_lps": box.center_lps.tolist(),
                    "axes_lps": box.axes.tolist(),
                    "size_mm": box.size_mm.tolist(),
                }
                for role, box in (("fixed", result.region.fixed), ("moving", result.region.moving))
            },
        },
        "facts": list(result.facts),
        "versions": {"multimodal-registration": MultimodalRegistrationLib.__version__},
    }
