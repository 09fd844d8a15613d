r"""Linear transforms in the files of FSL, FreeSurfer, SPM and RIRE, and as plain matrices.

FLIRT maps points of the input (moving) to points of the reference (fixed), each in mm along the axes of its own volume
from the centre of its first voxel; where the voxels are stored in neurological order (the voxel-to-space matrix has a
positive determinant), the first axis is counted from the other end. See Jenkinson and Smith 2001,
doi:10.1016/S1361-8415(01)00036-6.

An LTA maps the source (moving) to the destination (fixed), between voxels (type 0) or points in scanner RAS (type 1);
it holds the geometry of both volumes. ``register.dat`` maps the target (fixed) to the movable (moving), between points
in "tkregister" RAS, whose origin is the middle of the volume and whose axes are those of a coronal volume:

.. math:: T = \begin{pmatrix} -d_x & 0 & 0 & d_x n_x / 2 \\ 0 & 0 & d_z & -d_z n_z / 2 \\ 0 & -d_y & 0 & d_y n_y / 2 \\
   0 & 0 & 0 & 1 \end{pmatrix}.

SPM keeps the position of a volume that it moved as ``M`` (or ``mat``) in a ``.mat`` file beside it: voxel indices,
counted from one, to mm in RAS. With the position that the volume has in its own file, that is a transform of the moving
volume to where it lies over the fixed one.

A table of RIRE (Retrospective Image Registration Evaluation) has the corners of the volume "From" and where they are in
the volume "To", in mm along the axes of each volume, from the centre of its first voxel. It has four digits after the
point, which makes errors of up to 0.0001 mm in the volume.
"""

from __future__ import annotations

import itertools
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
from ...core.linear import apply_matrix, fit_affine, translation_matrix
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from .common import (
    AGAIN,
    Context,
    Direction,
    Scan,
    checked_inverse,
    checked_matrix,
    linear_matrix,
    loadmat_or_error,
    matrix_lines,
    matrix_of_lines,
    numbers_of_line,
    read_lines,
)

_FLIRT_REASON = "a matrix of FLIRT holds for its two volumes only"
_SPM_NAMES = ("M", "mat")
_SPM_REASON = "SPM's matrix places the moving volume, whose position before is needed"
_RIRE_REASON = "a RIRE table counts from the first voxel of each volume"
_RIRE_DIRECTION: Direction = "moving-to-fixed"
_RIRE_CONSISTENT_MM = 0.05
_RIRE_RULE = "-" * 73
_LTA_VOXELS, _LTA_RAS = 0, 1
_REGISTER_DAT_REASON = "register.dat holds for its two volumes only"
_LTA_AXES = ("xras", "yras", "zras", "cras")


def read_plain(path: Path, context: Context) -> SpatialTransform:
    """Read three or four lines of four numbers, apart by blanks, tabs or commas; lines after ``#`` do not count.

    Parameters
    ----------
    path : Path
        Text.
    context : Context
        With frame and direction.

    Raises
    ------
    InputError
        No such matrix, or the frame or the direction was not given.
    """
    _need_convention(path, context)
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        text = line.split("#")[0].replace(",", " ").replace(";", " ").replace("[", " ").replace("]", " ")
        if text.strip():
            rows.append(numbers_of_line(path, number, text, 4))
    if len(rows) not in (3, 4):
        raise InputError(path, f"{len(rows)} rows of numbers instead of 3 or 4", AGAIN)
    matrix = checked_matrix(path, [*rows, [0.0, 0.0, 0.0, 1.0]][:4])
    if context.direction == "moving-to-fixed":
        matrix = checked_inverse(path, matrix)
    return SpatialTransform.of_matrix(path.name, flip_matrix_lps_ras(matrix) if context.frame == "RAS" else matrix)


def write_plain(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write four lines of four numbers with all digits; returns the error, which is 0."""
    _need_convention(path, context)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".txt", ".mat", ".csv"))
    if context.direction == "moving-to-fixed":
        matrix = checked_inverse(path, matrix)
    if context.frame == "RAS":
        matrix = flip_matrix_lps_ras(matrix)
    lines = matrix_lines(matrix)
    if path.suffix.lower() == ".csv":
        lines = [line.replace(" ", ",") for line in lines]
    staged.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0.0


def _need_convention(path: Path, context: Context) -> None:
    if context.frame is None or context.direction is None:
        raise InputError(
            path,
            "a matrix alone does not tell its frame and direction",
            "State them: --frame lps or ras, and --direction fixed-to-moving or moving-to-fixed.",
        )


def read_flirt(path: Path, context: Context) -> SpatialTransform:
    """Read a matrix of FLIRT.

    Parameters
    ----------
    path : Path
        Four lines of four numbers.
    context : Context
        With the reference as fixed and the input as moving volume.

    Raises
    ------
    InputError
        No such matrix, or a volume is missing.
    """
    fixed, moving = context.need_scans(path, _FLIRT_REASON)
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) > 4:
        raise InputError(path, f"{len(lines)} lines instead of 4", "Give the matrix that FLIRT wrote with -omat.")
    to_reference = matrix_of_lines(path, lines, 0)
    matrix = _lps_from_fsl(moving.grid) @ checked_inverse(path, to_reference) @ np.linalg.inv(_lps_from_fsl(fixed.grid))
    return SpatialTransform.of_matrix(path.name, matrix)


def write_flirt(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a linear transform for ``flirt -applyxfm -init``; returns the error, which is 0."""
    fixed, moving = context.need_scans(path, _FLIRT_REASON)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".mat", ".txt", ".xfm"))
    to_reference = np.linalg.inv(_lps_from_fsl(fixed.grid)) @ np.linalg.inv(matrix) @ _lps_from_fsl(moving.grid)
    staged.write_text("\n".join(matrix_lines(to_reference)) + "\n", encoding="utf-8")
    return 0.0


def _lps_from_fsl(grid: VolumeGrid) -> NDArray[np.float64]:
    from_voxels = grid.ijk_to_lps
    to_voxels = np.diag([*(1 / np.asarray(grid.spacing_mm)), 1.0])
    # LPS and RAS differ by two signs, so the determinant has the same sign in both.
    if np.linalg.det(from_voxels[:3, :3]) > 0:
        to_voxels[0] *= -1
        to_voxels[0, 3] = grid.size[0] - 1
    return np.asarray(from_voxels @ to_voxels)


def read_spm(path: Path, context: Context) -> SpatialTransform:
    """Read the position that SPM gave to a volume.

    Parameters
    ----------
    path : Path
        MATLAB file (version 4 to 7) with a 4 x 4 matrix ``M`` or ``mat``.
    context : Context
        With the moving volume, as it was before SPM moved it.

    Raises
    ------
    InputError
        No such file or matrix, or the moving volume is missing.
    """
    moving = context.need_moving(path, _SPM_REASON)
    content = loadmat_or_error(path, list(_SPM_NAMES))
    name = next((name for name in _SPM_NAMES if name in content), None)
    if name is None:
        raise InputError(
            path, "there is no matrix M or mat in it", "Give the .mat file that SPM wrote beside a volume."
        )
    placed = np.asarray(content[name])
    if placed.shape != (4, 4) or not np.issubdtype(placed.dtype, np.number) or not np.all(np.isfinite(placed)):
        shape = " x ".join(map(str, placed.shape))
        raise InputError(path, f"{name} is {shape}, not 4 x 4 numbers", "Give the matrix of one volume.")
    moved = checked_matrix(path, placed) @ np.linalg.inv(_ras_from_spm(moving.grid))
    return SpatialTransform.of_matrix(path.name, resampling_lps_from_modelling_ras(checked_matrix(path, moved)))


def write_spm(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write where SPM is to place the moving volume; returns the error, which is 0."""
    moving = context.need_moving(path, _SPM_REASON)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".mat",))
    # Few runs write one, and the import would slow the start of all.
    from scipy.io import savemat

    savemat(staged, {"M": modelling_ras_from_resampling_lps(matrix) @ _ras_from_spm(moving.grid)}, appendmat=False)
    return 0.0


def _ras_from_spm(grid: VolumeGrid) -> NDArray[np.float64]:
    return np.asarray(flip_ijk_to_space(grid.ijk_to_lps) @ translation_matrix((-1, -1, -1)))


def read_rire(path: Path, context: Context) -> SpatialTransform:
    """Read a table of eight corners.

    Parameters
    ----------
    path : Path
        ``.standard`` or any text with the table.
    context : Context
        With both volumes. ``direction`` tells which of them is "From": the moving one by default.

    Raises
    ------
    InputError
        No such table, corners that no affine transform maps, or a volume is missing.
    """
    fixed, moving = context.need_scans(path, _RIRE_REASON)
    rows: list[list[float]] = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if words and words[0].isdigit() and int(words[0]) == len(rows) + 1:
            rows.append(numbers_of_line(path, number, words[1:], 6))
    if len(rows) != 8:
        raise InputError(path, f"{len(rows)} rows of points instead of 8", AGAIN)
    before, after = np.hsplit(np.array(rows), 2)
    if np.linalg.matrix_rank(before - before.mean(axis=0), tol=1e-3) < 3:
        raise InputError(path, "the points of the table lie in a plane", AGAIN)
    mapped = fit_affine(before, after)
    worst = float(np.linalg.norm(apply_matrix(mapped, before) - after, axis=1).max())
    if worst > _RIRE_CONSISTENT_MM:
        raise InputError(path, f"no affine transform maps the points: {worst:.2f} mm are left", AGAIN)
    forth = (context.direction or _RIRE_DIRECTION) == "fixed-to-moving"
    start, end = (fixed, moving) if forth else (moving, fixed)
    matrix = checked_matrix(path, _lps_from_rire(end.grid) @ mapped @ np.linalg.inv(_lps_from_rire(start.grid)))
    return SpatialTransform.of_matrix(path.name, matrix if forth else np.linalg.inv(matrix))


def write_rire(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a table of eight corners; returns the largest error in mm at them, from rounding."""
    fixed, moving = context.need_scans(path, _RIRE_REASON)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".standard", ".txt"))
    forth = (context.direction or _RIRE_DIRECTION) == "fixed-to-moving"
    start, end = (fixed, moving) if forth else (moving, fixed)
    mapped = np.linalg.inv(_lps_from_rire(end.grid)) @ (matrix if forth else np.linalg.inv(matrix))
    mapped = mapped @ _lps_from_rire(start.grid)
    last = (np.asarray(start.grid.size) - 1) * np.asarray(start.grid.spacing_mm)
    corners = np.round([corner[::-1] for corner in itertools.product(*((0.0, edge) for edge in last[::-1]))], 4)
    exact = apply_matrix(mapped, corners)
    rounded = np.round(exact, 4)
    lines = [
        *(_RIRE_RULE, "Transformation Parameters", "", "Investigator(s):", "", "Site:", "", "Method:", "Date:"),
        *("Patient number:", f"From: {start.path.name}", f"To: {end.path.name}", ""),
        *("Point      x          y          z        new_x       new_y       new_z", ""),
        *(
            f"  {number} " + "".join(f" {value:10.4f}" for value in (*corner, *new))
            for number, (corner, new) in enumerate(zip(corners, rounded, strict=True), start=1)
        ),
        *("", "(All distances are in millimeters.)", _RIRE_RULE),
    ]
    staged.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return float(np.linalg.norm(rounded - exact, axis=1).max())


def _lps_from_rire(grid: VolumeGrid) -> NDArray[np.float64]:
    return np.asarray(grid.ijk_to_lps @ np.diag([*(1 / np.asarray(grid.spacing_mm)), 1.0]))


def read_lta(path: Path, context: Context) -> SpatialTransform:
    """Read an ``.lta`` file; the geometry of the volumes is in it.

    Raises
    ------
    InputError
        Cut off or damaged, of several transforms, or of a type other than 0 and 1.
    """
    lines = [line.split("#")[0].rstrip() for line in read_lines(path)]
    kind, kind_line = _lta_entry(path, lines, "type", 0)
    if kind not in ("0", "1"):
        remedy = "Convert it with: lta_convert --inlta IN --outlta OUT --ltatype 1"
        raise InputError(path, f"line {kind_line + 1}: type {kind}, only 0 and 1 can be read", remedy)
    count, count_line = _lta_entry(path, lines, "nxforms", 0)
    if count != "1":
        raise InputError(path, f"line {count_line + 1}: {count} transforms in one file", "Give a file with one.")
    head = next((n for n, line in enumerate(lines) if line.split() == ["1", "4", "4"]), None)
    if head is None:
        raise InputError(path, f"the file ends at line {len(lines)}, before its matrix", AGAIN)
    moving_to_fixed = matrix_of_lines(path, lines, head + 1)
    if int(kind) == _LTA_VOXELS:
        source, destination = (_lta_geometry(path, lines, f"{role} volume info") for role in ("src", "dst"))
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
        *_lta_geometry_lines(moving),
        "dst volume info",
        *_lta_geometry_lines(fixed),
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
    fixed, moving = context.need_scans(path, _REGISTER_DAT_REASON)
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
    fixed, moving = context.need_scans(path, _REGISTER_DAT_REASON)
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


def _lta_entry(path: Path, lines: list[str], name: str, first: int) -> tuple[str, int]:
    """Value of the first line ``name = value`` from a line on, and its index."""
    for number in range(first, len(lines)):
        found = re.match(rf"\s*{name}\s*=\s*(.*)$", lines[number])
        if found is not None:
            return found[1].strip(), number
    raise InputError(path, f"the entry {name!r} is missing after line {first + 1}", "The file may be cut off; copy it.")


def _lta_geometry(path: Path, lines: list[str], head: str) -> NDArray[np.float64]:
    """Voxel-to-RAS matrix, shape (4, 4), of a volume in an LTA; its ``cras`` is the point at half of the size."""
    first = next((n for n, line in enumerate(lines) if line.strip() == head), None)
    if first is None:
        raise InputError(path, f"the part {head!r} is missing", "The file may be cut off; copy or export it again.")
    # An entry that is missing must not be taken from the other volume.
    after = (n for n in range(first + 1, len(lines)) if lines[n].strip().endswith("volume info"))
    lines = lines[: next(after, len(lines))]
    valid, line = _lta_entry(path, lines, "valid", first)
    if valid != "1":
        raise InputError(
            path, f"line {line + 1}: the geometry is not valid", "Convert it with: lta_convert --ltatype 1"
        )
    values = {}
    for name in ("volume", "voxelsize", *_LTA_AXES):
        text, line = _lta_entry(path, lines, name, first)
        values[name] = np.array(numbers_of_line(path, line + 1, text, 3))
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([values[name] for name in _LTA_AXES[:3]]) * values["voxelsize"]
    if abs(np.linalg.det(matrix)) < 1e-12:
        raise InputError(path, f"line {line + 1}: the axes of the {head[:3]} volume are singular", AGAIN)
    matrix[:3, 3] = values["cras"] - matrix[:3, :3] @ values["volume"] / 2
    return matrix


def _lta_geometry_lines(scan: Scan) -> list[str]:
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
        *(f"{name}   = {words(values)}" for name, values in zip(_LTA_AXES, (*axes, center), strict=True)),
    ]
