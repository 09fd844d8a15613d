"""``--carry``: further files that lie in the moving volume ride along."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import OutputFiles, output_folder, writing
from MultimodalRegistrationLib.io.volumes import OUTPUT_VOLUME_SUFFIXES
from MultimodalRegistrationLib.transforms.apply import Plan, carry_file, lost_words, output_name
from MultimodalRegistrationLib.transforms.carrier import Carrier

__all__ = ["Carried", "add_carry_options", "plan_carried"]


@dataclass(frozen=True)
class Carried:
    """Files that ride along, and where they go.

    Parameters
    ----------
    folder : Path
        Where the user finds them.
    files : tuple of (str, str, Path)
        Of each its input, its name in that folder, and where it is written until the run is done.
    """

    folder: Path
    files: tuple[tuple[str, str, Path], ...]

    def write(
        self, transform: SpatialTransform, fixed_grid: VolumeGrid, on_warning: Callable[[str], None]
    ) -> list[dict[str, Any]]:
        """Carry them onto the fixed volume.

        Parameters
        ----------
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
        has_volumes = any(name.lower().endswith(OUTPUT_VOLUME_SUFFIXES) for _, name, _ in self.files)
        plan = Plan(carrier, *((fixed_grid, carrier.resampling(fixed_grid)) if has_volumes else ()))
        done = []
        for source, name, target in self.files:
            with writing(self.folder / name):
                one = carry_file(source, target, plan)
            if one.lost:
                on_warning(lost_words(source, one))
            done.append({"input": source, "output": str(self.folder / name), **asdict(one)})
        return done


def add_carry_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that :func:`plan_carried` reads."""
    parser.add_argument(
        "--carry",
        nargs="+",
        metavar="INPUT",
        help="further volumes, label maps, segmentations, points, markups or models that lie in the moving volume; "
        "they go onto the fixed one with it, volumes onto its grid",
    )
    parser.add_argument("--carry-dir", metavar="D", help="new or empty folder for them; files keep their names")


def plan_carried(options: argparse.Namespace, outputs: OutputFiles) -> Carried | None:
    """Check the options; None where nothing rides along.

    Raises
    ------
    InputError
        One option without the other, a file that cannot be carried, or a folder that cannot be used.
    """
    if (options.carry is None) != (options.carry_dir is None):
        missing = "--carry-dir" if options.carry_dir is None else "--carry"
        raise InputError(missing, "was not given", "Give both --carry and --carry-dir, or neither.")
    if options.carry is None:
        return None
    names = [output_name(source) for source in options.carry]
    folder = output_folder(options.carry_dir)
    targets = [outputs.add(folder / name, (name[name.index(".") :].lower(),)) for name in names]
    return Carried(folder, tuple(zip(options.carry, names, targets, strict=True)))
