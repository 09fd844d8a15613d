"""What the files of some tools leave unsaid: the two volumes, the frame and the direction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...core.errors import InputError
from ...core.frames import Space
from ...core.grid import VolumeGrid
from ..voxel_source import open_source

__all__ = ["DIRECTIONS", "Context", "Direction", "Scan", "open_scan"]

Direction = Literal["fixed-to-moving", "moving-to-fixed"]
DIRECTIONS: tuple[Direction, ...] = ("fixed-to-moving", "moving-to-fixed")
_REMEDY = "Give `transform convert` the volume with {}."


@dataclass(frozen=True)
class Scan:
    """A volume that a transform is about, without its voxels.

    Parameters
    ----------
    path : Path
        File, or folder of a DICOM series.
    grid : VolumeGrid
        Placement of its voxels, in the order of the file.
    """

    path: Path
    grid: VolumeGrid


def open_scan(path: str | Path) -> Scan:
    """Read the placement of a volume.

    Raises
    ------
    InputError
        Missing, unreadable, or no scalar volume.
    """
    return Scan(Path(path), open_source(path).grid)


@dataclass(frozen=True)
class Context:
    """What the user says about a file.

    Parameters
    ----------
    fixed, moving : Scan, optional
        The volumes that the transform maps between.
    frame : {"LPS", "RAS"}, optional
        Of the coordinates in a plain matrix.
    direction : {"fixed-to-moving", "moving-to-fixed"}, optional
        Of the mapping in a file that does not tell.
    """

    fixed: Scan | None = None
    moving: Scan | None = None
    frame: Space | None = None
    direction: Direction | None = None

    def need_fixed(self, path: Path, reason: str) -> Scan:
        """The fixed volume, or an error that says what it is needed for."""
        if self.fixed is None:
            raise InputError(path, f"{reason}, and no fixed volume was given", _REMEDY.format("--fixed"))
        return self.fixed

    def need_moving(self, path: Path, reason: str) -> Scan:
        """The moving volume, or an error that says what it is needed for."""
        if self.moving is None:
            raise InputError(path, f"{reason}, and no moving volume was given", _REMEDY.format("--moving"))
        return self.moving

    def need_scans(self, path: Path, reason: str) -> tuple[Scan, Scan]:
        """The fixed and the moving volume, or an error that says what they are needed for."""
        if self.fixed is None or self.moving is None:
            missing = " and the ".join(role for role in ("fixed", "moving") if getattr(self, role) is None)
            found = f"{reason}, and the {missing} volume was not given"
            raise InputError(path, found, _REMEDY.format("--fixed and --moving"))
        return self.fixed, self.moving
