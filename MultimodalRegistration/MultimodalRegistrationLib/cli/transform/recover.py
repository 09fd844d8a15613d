"""``transform recover``: the transform that a volume was resampled with."""

from __future__ import annotations

import argparse
from typing import Any

from ...core.linear import rotation_angle_deg
from ...core.progress import Progress
from ...io.outputs import OutputFiles, write_json
from ...io.tools.itk import TRANSFORM_SUFFIXES, write_transform
from ...io.volumes import read_volume
from ...register.recover import Recovered, recover
from ..progress import make_printer
from .common import add_result_options, command_content, transform_content

__all__ = ["add_parser"]


def add_parser(operations: Any) -> None:
    """Add the operation and its options."""
    parser = operations.add_parser(
        "recover",
        help="the transform of a volume that was resampled, when only the result was kept",
        description="Find the rigid, similarity or affine transform that a volume was resampled with, from the "
        "original and the resampled volume: same intensities, any movement, whatever was cut off.",
        allow_abbrev=False,
    )
    parser.add_argument("--original", required=True, metavar="M", help="the moving volume, as it was")
    parser.add_argument("--resampled", required=True, metavar="R", help="what was saved of it, on the fixed grid")
    parser.add_argument(
        "--output-transform", metavar="T.h5", help="maps fixed to moving points, as the one that was lost"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add_result_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    printer = make_printer(options)
    inputs = {"original": options.original, "resampled": options.resampled}
    with OutputFiles(inputs.values()) as outputs:
        transform_file = outputs.add(options.output_transform, TRANSFORM_SUFFIXES) if options.output_transform else None
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        printer.progress(Progress("reading", 0.0))
        original, resampled = read_volume(options.original), read_volume(options.resampled)
        found = recover(
            original,
            resampled,
            seed=options.seed,
            on_progress=lambda words, share: printer.progress(Progress(words, share)),
        )
        if not found.explained:
            printer.warning(
                f"The original does not explain the resampled volume: {found.rms_residual:.4g} of "
                f"{found.spread:.4g} are left. Another volume, other intensities, or a non-linear transform: do "
                f"not trust this one."
            )
        if transform_file is not None:
            write_transform(transform_file, found.transform, target=options.output_transform)
        if json_file is not None:
            write_json(json_file, command_content(options, inputs) | _content(found))
        outputs.commit()
    printer.finish()
    if not options.quiet:
        print("\n".join(_words(found, options.output_transform)))
    return 0


def _content(found: Recovered) -> dict[str, Any]:
    return {
        "transform": transform_content(found.transform),
        "motion": found.motion,
        "explained": found.explained,
        "rms_residual": found.rms_residual,
        "rms_residual_by_motion": found.rms_by_motion,
        "intensity_sd": found.spread,
        "inside_share": found.inside,
        "used_share": found.used_share,
    }


def _words(found: Recovered, path: str | None) -> list[str]:
    assert found.transform.matrix is not None
    others = ", ".join(f"{motion} {rms:.4g}" for motion, rms in found.rms_by_motion.items())
    return [
        f"A {found.motion} transform explains the voxels: it leaves {found.rms_residual:.4g} of "
        f"{found.spread:.4g} (RMS of the residual and SD of the intensities; {others}).",
        f"It turns by {rotation_angle_deg(found.transform.matrix):.2f} degrees; {found.used_share:.0%} of the "
        f"voxels are not fill, {found.inside:.0%} of these lie in the original.",
        *([f"Transform: {path}"] if path else []),
    ]
