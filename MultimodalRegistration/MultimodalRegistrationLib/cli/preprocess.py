"""``preprocess``: two volumes cut to their common region, masked and corrected, as files for any program."""

from __future__ import annotations

import argparse
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
from ..io.outputs import OutputFiles, output_folder, write_json
from ..io.roi import read_roi, write_roi
from ..io.transforms import read_linear_transform, write_linear_transform
from ..io.volumes import read_label_map, read_mask, read_segment, read_volume
from ..preprocess.check import volume_warnings
from ..preprocess.masks import dilate_mm, from_labels
from ..preprocess.region import DEFAULT_MARGIN_MM, Region, region_of_box, region_of_points
from ..preprocess.run import FoundRegion, Preprocessed, find_region, points_of_segment, preprocess
from ..preprocess.steps import ROLES, Role
from ..register.landmark_start import landmark_start
from ..register.prepare import mask_on_grid
from ..register.searched_start import searched_start
from .landmark_options import add_landmark_options, read_landmark_pairs
from .progress import Printer, make_printer

__all__ = ["add_parser"]

_VOLUMES = (("fixed", "nrrd"), ("moving", "nrrd"), ("fixed-mask", "nrrd"), ("moving-mask", "nrrd"))
_INPUTS = (
    *("fixed", "moving", "initial_transform", "fixed_landmarks", "moving_landmarks"),
    *("roi", "segment", "region_landmarks", "mask", "moving_mask"),
)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "preprocess",
        help="cut two volumes to what both show, mask and correct them",
        description="Prepare two volumes for a registration with any program. The results stay where they are in the "
        "world, so a transform found on them is one of the full volumes.",
        allow_abbrev=False,
    )
    parser.add_argument("--fixed", required=True, metavar="F", help="volume that stays")
    parser.add_argument("--moving", required=True, metavar="M", help="volume that is moved onto it")
    parser.add_argument(
        "--initial-transform", metavar="T", help="a prealignment: linear ITK transform; default: all poses are searched"
    )
    add_landmark_options(parser)
    parser.add_argument("--roi", metavar="R.mrk.json", help="cut to this ROI, in the fixed volume")
    parser.add_argument("--segment", metavar="S", help="cut to this label map or segmentation, in the fixed volume")
    parser.add_argument("--segment-label", type=int, metavar="N", help="the value of it to take; default: all")
    parser.add_argument("--region-landmarks", metavar="P", help="cut to these points of the fixed volume")
    parser.add_argument(
        "--margin", type=float, default=DEFAULT_MARGIN_MM, metavar="MM", help="around the region (%(default)g mm)"
    )
    parser.add_argument(
        "--mask",
        default="auto",
        metavar="auto|FILE|none",
        help="what counts: without padding, table, metal and far air (auto); a label map of the fixed volume; or all",
    )
    parser.add_argument("--moving-mask", metavar="FILE", help="a label map of the moving volume")
    for role in ("fixed", "moving"):
        parser.add_argument(
            f"--{role}-mask-labels",
            type=int,
            nargs="+",
            metavar="N",
            help=f"the labels of the {role} mask to take, of any number of structures; default: all above zero",
        )
    parser.add_argument("--mask-outside", action="store_true", help="take what is outside of the labels instead")
    parser.add_argument(
        "--mask-margin", type=float, default=0.0, metavar="MM", help="grow the masks given by this much"
    )
    parser.add_argument("--bias-correct", choices=("moving", "fixed", "both", "none"), default="none")
    parser.add_argument("--isotropic", type=float, metavar="MM", help="resample both to cubic voxels of this size")
    parser.add_argument("--spacing-factor", type=float, metavar="X", help="or to voxels X times as large")
    parser.add_argument(
        "--only-region", action="store_true", help="find the region and the prealignment only; write no volumes"
    )
    parser.add_argument("--output-dir", required=True, metavar="D", help="folder for the results; made if missing")
    parser.add_argument("--json", metavar="R.json", help="what was done, for scripts")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    printer = make_printer(options)
    inputs = {name: getattr(options, name) for name in _INPUTS}
    if not 0 <= options.margin < np.inf:
        raise InputError("--margin", f"{options.margin} mm was given", "Give a number of mm that is not negative.")
    if options.segment_label is not None and options.segment is None:
        raise InputError("--segment-label", "given without --segment", "Leave it out, or give the segmentation.")
    regions = [
        f"--{name}" for name in ("roi", "segment", "region-landmarks") if getattr(options, name.replace("-", "_"))
    ]
    if len(regions) > 1:
        raise InputError(regions[0], f"given together with {regions[1]}", "Leave one of them out.")
    given = [path for path in inputs.values() if path and path not in ("auto", "none")]
    folder = output_folder(options.output_dir)
    with OutputFiles(given) as outputs:
        staged = _staged(outputs, folder, options)
        fixed, moving = read_volume(options.fixed), read_volume(options.moving)
        for words in (*volume_warnings(fixed), *volume_warnings(moving)):
            printer.warning(words)
        masks = {
            "fixed": _mask(options, options.mask, options.fixed_mask_labels, fixed, printer),
            "moving": _mask(options, options.moving_mask, options.moving_mask_labels, moving, printer),
        }
        printer.progress(Progress("finding a prealignment", 0.0))
        matrix, words = _prealignment(options, fixed, moving)
        region = _region(options, fixed, moving, matrix)
        chosen: dict[str, Any] = {
            "margin_mm": options.margin,
            "automatic_masks": () if options.mask == "none" else ROLES,
            "fixed_mask": masks["fixed"],
            "moving_mask": masks["moving"],
            "on_progress": lambda stage, share: printer.progress(Progress(stage, 0.2 + 0.7 * share)),
        }
        result: Preprocessed | FoundRegion
        if options.only_region:
            result = find_region(fixed, moving, matrix, region=region, **chosen)
        else:
            result = preprocess(
                fixed,
                moving,
                matrix,
                region=region,
                bias_correct=_roles(options.bias_correct),
                isotropic_mm=options.isotropic,
                spacing_factor=options.spacing_factor,
                **chosen,
            )
        _write(result, matrix, staged)
        content = _content(result, matrix, words, inputs)
        if options.json:
            write_json(staged["json"], content)
        outputs.commit()
    printer.finish()
    if not options.quiet:
        print("\n".join([f"Prealignment: {words}.", *result.facts, f"Results: {folder}"]))
    return 0


def _staged(outputs: OutputFiles, folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    staged = {
        name: outputs.add(folder / f"{name}.{suffix}", (f".{suffix}",))
        for name, suffix in (
            *(() if options.only_region else _VOLUMES),
            ("region", "mrk.json"),
            ("prealignment", "h5"),
        )
    }
    for role in () if options.only_region else _roles(options.bias_correct):
        staged[f"{role}-bias-field"] = outputs.add(folder / f"{role}-bias-field.nrrd", (".nrrd",))
    if options.json:
        staged["json"] = outputs.add(options.json, (".json",))
    return staged


def _roles(bias_correct: str) -> tuple[Role, ...]:
    return tuple(role for role in ROLES if bias_correct in (role, "both"))


def _mask(
    options: argparse.Namespace, given: str | None, labels: list[int] | None, volume: Volume, printer: Printer
) -> Volume | None:
    if given in (None, "auto", "none"):
        if labels is not None:
            raise InputError("--fixed-mask-labels, --moving-mask-labels", "given without a label map", "Give the mask.")
        return None
    if labels is None and not options.mask_outside:
        mask = read_mask(str(given))
    else:
        label_map = read_label_map(str(given))
        values = labels or [int(value) for value in np.unique(label_map.voxels) if value > 0]
        mask = from_labels(label_map, values, inside=not options.mask_outside)
    placed, resampled = mask_on_grid(mask, volume)
    if resampled:
        printer.warning(f"The mask {mask.name} is on another grid than {volume.name}; it was resampled.")
    return dilate_mm(placed, options.mask_margin) if options.mask_margin else placed


def _prealignment(options: argparse.Namespace, fixed: Volume, moving: Volume) -> tuple[NDArray[np.float64], str]:
    pairs = read_landmark_pairs(options)
    if options.initial_transform is not None:
        if pairs is not None:
            raise InputError("--initial-transform", "given together with landmarks", "Leave one of them out.")
        return read_linear_transform(options.initial_transform), f"the initial transform {options.initial_transform}"
    if pairs is not None:
        start = landmark_start(pairs, fixed.grid, moving.grid)
        return start.fixed_to_moving_lps, f"the rigid fit {start.name}"
    return searched_start(fixed, moving), "the best of all poses"


def _region(options: argparse.Namespace, fixed: Volume, moving: Volume, matrix: NDArray[np.float64]) -> Region | None:
    if options.roi is not None:
        return region_of_box(read_roi(options.roi), moving.grid, matrix)
    if options.region_landmarks is not None:
        landmarks = read_landmarks(options.region_landmarks, space=options.fixed_space)
        points = landmarks.points_lps[list(landmarks.used)]
        return region_of_points(points, fixed.grid, moving.grid, matrix, options.margin)
    if options.segment is not None:
        points = points_of_segment(read_segment(options.segment, options.segment_label))
        return region_of_points(points, fixed.grid, moving.grid, matrix, options.margin)
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
