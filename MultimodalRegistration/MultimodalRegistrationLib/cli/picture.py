"""``picture``: three planes of two volumes as an image file."""

from __future__ import annotations

import argparse
import math
from typing import Any

from ..assess.pictures.picture import MODES, registration_picture, write_picture
from ..core.errors import InputError
from ..core.frames import flip_points_lps_ras
from ..io.outputs import OutputFiles
from ..io.transforms import read_transform
from ..io.volumes import read_volume

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "picture",
        help="three planes of two volumes as an image file",
        description="Show two volumes in axial, coronal and sagittal planes, before and after a transform.",
        allow_abbrev=False,
    )
    parser.add_argument("--fixed", required=True, metavar="F", help="volume that stays")
    parser.add_argument("--moving", required=True, metavar="M", help="volume that is moved onto it")
    parser.add_argument("--transform", metavar="T", help="result of register; without it, the volumes as they lie")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--at", metavar="R,A,S", help="where the planes cross, RAS, mm; write --at=-12,5,30 with a minus sign in front"
    )
    where.add_argument("--center", action="store_true", help="the centre of the fixed volume (default)")
    parser.add_argument("--field", type=float, metavar="MM", help="show a square part of this side around it")
    parser.add_argument("--mode", choices=MODES, default="overlay", help="default: %(default)s")
    parser.add_argument("--output", required=True, metavar="P.png", help="the picture")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    inputs = [path for path in (options.fixed, options.moving, options.transform) if path]
    center_lps = None if options.at is None else flip_points_lps_ras(_point_ras(options.at))
    with OutputFiles(inputs) as outputs:
        path = outputs.add(options.output, (".png",))
        fixed, moving = read_volume(options.fixed), read_volume(options.moving)
        transform = None if options.transform is None else read_transform(options.transform)
        picture = registration_picture(
            fixed, moving, transform, mode=options.mode, center_lps=center_lps, field_mm=options.field
        )
        write_picture(path, picture)
        outputs.commit()
    if not options.quiet:
        print(f"Written: {options.output}")
    return 0


def _point_ras(text: str) -> list[float]:
    try:
        point = [float(each) for each in text.split(",")]
    except ValueError:
        point = []
    if len(point) != 3 or not all(map(math.isfinite, point)):
        raise InputError("--at", f"'{text}' is not a point", "Give R,A,S in mm, such as 10,-20.5,30.")
    return point
