r"""Linear transforms of FreeSurfer: ``.lta`` and ``register.dat``.

An LTA maps the source (moving) to the destination (fixed), between voxels (type 0) or points in scanner RAS (type 1);
it holds the geometry of both volumes. ``register.dat`` maps the target (fixed) to the movable (moving), between points
in "tkregister" RAS, whose origin is the middle of the volume and whose axes are those of a coronal volume:

.. math:: T = \begin{pmatrix} -d_x & 0 & 0 & d_x n_x / 2 \\ 0 & 0 & d_z & -d_z n_z / 2 \\ 0 & -d_y & 0 & d_y n_y / 2 \\
   0 & 0 & 0 & 1 \end{pmatrix}.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.frames import (
    flip_ijk_to_space,
    flip_matrix_lps_ras,
    modelling_ras_from_resampling_lps,
    resampling_lps_from_modelling_ras,
)
from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from .context import Context, Scan
from .text import AGAIN, linear_matrix, matrix_lines, matrix_of_lines, numbers_of_line, read_lines

__all__ = ["read_lta", "read_register_dat", "write_lta", "write_register_dat"]

_VOXELS, _RAS = 0, 1
_REASON = "register.dat holds for its two volumes only"
_AXES = ("xras", "yras", "zras", "cras")


def read_lta(path: Path, context: Context) -> SpatialTransform:
    """Read an ``.lta`` file; the geometry of the volumes is in it.

    Raises
    ------
    InputError
        Cut off or damaged, of several transforms, or of a type other than 0 and 1.
    """
    lines = [line.split("#")[0].rstrip() for line in read_lines(path)]
    kind, kind_line = _field(path, lines, "type", 0)
    if kind not in ("0", "1"):
        remedy = "Convert it with: lta_convert --inlta IN --outlta OUT --ltatype 1"
        raise InputError(path, f"line {kind_line + 1}: type {kind}, only 0 and 1 can be read", remedy)
    count, count_line = _field(path, lines, "nxforms", 0)
    if count != "1":
        raise InputError(path, f"line {count_line + 1}: {count} transforms in one file", "Give a file with one.")
    head = next((n for n, line in enumerate(lines) if line.split() == ["1", "4", "4"]), None)
    if head is None:
        raise InputError(path, f"the file ends at line {len(lines)}, before its matrix", AGAIN)
    moving_to_fixed = matrix_of_lines(path, lines, head + 1)
    if int(kind) == _VOXELS:
        source, destination = (_geometry(path, lines, f"{role} volume info") for role in ("src", "dst"))
        moving_to_fixed = destination @ moving_to_fixed @ np.linalg.inv(source)
    return SpatialTransform.of_matrix(path.name, resampling_lps_from_modelling_ras(moving_to_fixed))


def write_lta(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a linear transform as LTA of type 1 with the geometry of both volumes; returns the error, which is 0."""
    fixed, moving = context.need_scans(path, "FreeSurfer needs the geometry of both volumes in an LTA")
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".lta",))
    lines = [
        "type      = 1 # LINEAR_RAS_TO_RAS",
        "nxforms   = 1",
        "mean      = 0.0000 0.0000 0.0000",
        "sigma     = 1.0000",
        "1 4 4",
        *matrix_lines(modelling_ras_from_resampling_lps(matrix)),
        "src volume info",
        *_geometry_lines(moving),
        "dst volume info",
        *_geometry_lines(fixed),
    ]
    staged.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0.0


def read_register_dat(path: Path, context: Context) -> SpatialTransform:
    """Read a ``register.dat`` file.

    Parameters
    ----------
    path : Path
        Subject, two resolutions, intensity, a matrix, and a word on rounding.
    context : Context
        With the target as fixed and the movable as moving volume.

    Raises
    ------
    InputError
        Cut off or damaged, or a volume is missing.
    """
    fixed, moving = context.need_scans(path, _REASON)
    lines = read_lines(path)
    if len(lines) < 4:
        raise InputError(path, f"the file ends at line {len(lines)}, before its matrix", AGAIN)
    for number in (2, 3, 4):
        numbers_of_line(path, number, lines[number - 1], 1)
    fixed_to_moving = matrix_of_lines(path, lines, 4)
    matrix = _ras_from_tkregister(moving.grid) @ fixed_to_moving @ np.linalg.inv(_ras_from_tkregister(fixed.grid))
    return SpatialTransform.of_matrix(path.name, flip_matrix_lps_ras(matrix))


def write_register_dat(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a linear transform as ``register.dat``; returns the error, which is 0."""
    fixed, moving = context.need_scans(path, _REASON)
    matrix = flip_matrix_lps_ras(linear_matrix(path, transform))
    staged = outputs.add(path, (".dat",))
    inner = np.linalg.inv(_ras_from_tkregister(moving.grid)) @ matrix @ _ras_from_tkregister(fixed.grid)
    spacing = moving.grid.spacing_mm
    lines = ["unknown", repr(float(spacing[0])), repr(float(spacing[2])), "0.15", *matrix_lines(inner), "round"]
    staged.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0.0


def _ras_from_tkregister(grid: VolumeGrid) -> NDArray[np.float64]:
    (dx, dy, dz), (nx, ny, nz) = grid.spacing_mm, grid.size
    tkregister = np.array(
        [[-dx, 0, 0, dx * nx / 2], [0, 0, dz, -dz * nz / 2], [0, -dy, 0, dy * ny / 2], [0, 0, 0, 1.0]]
    )
    return np.asarray(flip_ijk_to_space(grid.ijk_to_lps) @ np.linalg.inv(tkregister))


def _field(path: Path, lines: list[str], name: str, first: int) -> tuple[str, int]:
    """Value of the first line ``name = value`` from a line on, and its index."""
    for number in range(first, len(lines)):
        found = re.match(rf"\s*{name}\s*=\s*(.*)$", lines[number])
        if found is not None:
            return found[1].strip(), number
    raise InputError(path, f"the entry {name!r} is missing after line {first + 1}", "The file may be cut off; copy it.")


def _geometry(path: Path, lines: list[str], head: str) -> NDArray[np.float64]:
    """Voxel-to-RAS matrix, shape (4, 4), of a volume in an LTA; its ``cras`` is the point at half of the size."""
    first = next((n for n, line in enumerate(lines) if line.strip() == head), None)
    if first is None:
        raise InputError(path, f"the part {head!r} is missing", "The file may be cut off; copy or export it again.")
    # An entry that is missing must not be taken from the other volume.
    after = (n for n in range(first + 1, len(lines)) if lines[n].strip().endswith("volume info"))
    lines = lines[: next(after, len(lines))]
    valid, line = _field(path, lines, "valid", first)
    if valid != "1":
        raise InputError(
            path, f"line {line + 1}: the geometry is not valid", "Convert it with: lta_convert --ltatype 1"
        )
    values = {}
    for name in ("volume", "voxelsize", *_AXES):
        text, line = _field(path, lines, name, first)
        values[name] = np.array(numbers_of_line(path, line + 1, text, 3))
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([values[name] for name in _AXES[:3]]) * values["voxelsize"]
    if abs(np.linalg.det(matrix)) < 1e-12:
        raise InputError(path, f"line {line + 1}: the axes of the {head[:3]} volume are singular", AGAIN)
    matrix[:3, 3] = values["cras"] - matrix[:3, :3] @ values["volume"] / 2
    return matrix


def _geometry_lines(scan: Scan) -> list[str]:
    matrix = flip_ijk_to_space(scan.grid.ijk_to_lps)
    center = matrix[:3, :3] @ np.asarray(scan.grid.size) / 2 + matrix[:3, 3]
    axes = (matrix[:3, :3] / np.asarray(scan.grid.spacing_mm)).T

    def words(numbers: NDArray[np.float64]) -> str:
        return " ".join(repr(float(number)) for number in numbers)

    return [
        "valid = 1  # volume info valid",
        f"filename = {scan.path}",
        f"volume = {' '.join(map(str, scan.grid.size))}",
        f"voxelsize = {words(np.asarray(scan.grid.spacing_mm))}",
        *(f"{name}   = {words(values)}" for name, values in zip(_AXES, (*axes, center), strict=True)),
    ]
