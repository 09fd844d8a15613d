"""``--carry``: further files that lie in the moving volume ride along."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..io.outputs import OutputFiles
from ..transforms.apply import Plan
from ..transforms.carrier import Carrier
from .carried import Carried, plan_carried

__all__ = ["add_carry_options", "carry_to_fixed", "check_carry"]


def add_carry_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that :func:`check_carry` reads."""
    parser.add_argument(
        "--carry",
        nargs="+",
        metavar="INPUT",
        help="further volumes, label maps, segmentations, points, markups or models that lie in the moving volume; "
        "they go onto the fixed one with it, volumes onto its grid",
    )
    parser.add_argument("--carry-dir", metavar="D", help="new or empty folder for them; files keep their names")


def check_carry(options: argparse.Namespace, outputs: OutputFiles) -> Carried | None:
    """Check the options; None where nothing rides along.

    Raises
    ------
    InputError
        One option without the other, a file that cannot be carried, or a folder that cannot be used.
    """
    if (options.carry is None) != (options.carry_dir is None):
        missing = "--carry-dir" if options.carry_dir is None else "--carry"
        raise InputError(missing, "was not given", "Give both --carry and --carry-dir, or neither.")
    return None if options.carry is None else plan_carried(options.carry, options.carry_dir, outputs)


def carry_to_fixed(
    carried: Carried, transform: SpatialTransform, fixed_grid: VolumeGrid, on_warning: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Carry files onto the fixed volume.

    Parameters
    ----------
    carried : Carried
        The files.
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    fixed_grid : VolumeGrid
        Of the volumes that come out.
    on_warning : callable
        Told of points that have no place.

    Returns
    -------
    list of dict
        What was done with each, ready for JSON.
    """
    carrier = Carrier(transform, to_fixed=True)
    grids = (fixed_grid, carrier.resampling(fixed_grid)) if carried.has_volumes else ()
    return carried.write(Plan(carrier, *grids), on_warning)
