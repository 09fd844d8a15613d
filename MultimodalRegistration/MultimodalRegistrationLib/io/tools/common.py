"""What readers and writers of transforms share: the volumes, frame and direction, matrices in text, and fields."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ...core.errors import InputError
from ...core.frames import Space
from ...core.grid import VolumeGrid
from ...core.linear import LARGEST_CONDITION, apply_matrix, condition_number, sitk_from_matrix
from ...core.spatial import Mapping, SpatialTransform, displacement_grid
from ..input_files import refuse_special_files
from ..voxel_source import open_source

Direction = Literal["fixed-to-moving", "moving-to-fixed"]
DIRECTIONS: tuple[Direction, ...] = ("fixed-to-moving", "moving-to-fixed")
_REMEDY = "Give `transform convert` the volume with {}."
# A remedy.
AGAIN = "Copy or export the file again."
_PROBES = 2000
_GOOD_ENOUGH_MM = 0.01
_MOST_NODES = 1_500_000
_NODE_SPACINGS_MM = (8.0, 4.0, 2.0, 1.0, 0.5)


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


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without their ends.

    Raises
    ------
    InputError
        Missing, or not text.
    """
    refuse_special_files(path)
    if not path.is_file():
        raise InputError(path, "no such file", "Check the spelling and the folder.")
    content = path.read_bytes()
    if b"\0" in content:
        raise InputError(path, f"this is no text file (byte {content.index(0)} is zero)", AGAIN)
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        # Tools on Windows write names of folders in the code page of the system; the numbers are the same in all.
        return content.decode("latin-1").splitlines()


def numbers_of_line(path: Path, line: int, text: str | Sequence[str], count: int | None = None) -> list[float]:
    """Finite numbers of a line.

    Parameters
    ----------
    path : Path
        For messages.
    line : int
        Counted from one, for messages.
    text : str or sequence of str
        The line, or its words.
    count : int, optional
        How many there must be.

    Raises
    ------
    InputError
        Not that many, not numbers, or not finite.
    """
    words = text.split() if isinstance(text, str) else text
    if count is not None and len(words) != count:
        raise InputError(path, f"line {line}: {len(words)} numbers instead of {count}", AGAIN)
    numbers = []
    for word in words:
        try:
            number = float(word)
        except ValueError as error:
            raise InputError(path, f"line {line}: {word[:40]!r} is not a number", AGAIN) from error
        if not math.isfinite(number):
            raise InputError(path, f"line {line}: {word!r} is not finite", AGAIN)
        numbers.append(number)
    return numbers


def matrix_of_lines(path: Path, lines: Sequence[str], first: int) -> NDArray[np.float64]:
    """A homogeneous matrix, shape (4, 4), of four lines.

    Parameters
    ----------
    path : Path
        For messages.
    lines : sequence of str
        Of the whole file.
    first : int
        Index of the matrix's first line, counted from zero.

    Raises
    ------
    InputError
        The file ends before, the lines are no matrix, or it is not an affine one that can be inverted.
    """
    if len(lines) < first + 4:
        raise InputError(path, f"the file ends at line {len(lines)}, within its 4x4 matrix", AGAIN)
    rows = [numbers_of_line(path, first + row + 1, lines[first + row], 4) for row in range(4)]
    return checked_matrix(path, np.array(rows), line=first + 4)


def checked_matrix(path: Path, matrix: ArrayLike, *, line: int | None = None) -> NDArray[np.float64]:
    """A homogeneous matrix, shape (4, 4), if it is an affine one that can be inverted."""
    m = np.asarray(matrix, dtype=np.float64)
    where = "" if line is None else f"line {line}: "
    if not np.allclose(m[3], (0, 0, 0, 1), atol=1e-6):
        last = " ".join(f"{number:g}" for number in m[3])
        raise InputError(path, f"{where}the last row of the matrix is {last}, not 0 0 0 1", "Give an affine transform.")
    condition = condition_number(m)
    if condition > LARGEST_CONDITION:
        found = f"the transform cannot be inverted (condition number {condition:.3g})"
        raise InputError(path, found, "Give a transform that does not flatten space.")
    return m


def linear_matrix(path: Path, transform: SpatialTransform) -> NDArray[np.float64]:
    """``fixed_to_moving_lps``, shape (4, 4), for a file that can hold nothing else.

    Raises
    ------
    InputError
        The transform is not linear, or cannot be inverted.
    """
    if transform.matrix is None:
        raise InputError(path, f"{transform.name} is not linear", "Write it as itk, elastix, ants or field.")
    return checked_matrix(path, transform.matrix)


def matrix_lines(matrix: ArrayLike) -> list[str]:
    """Four lines of a matrix, shape (4, 4), with all digits."""
    return [" ".join(repr(float(number)) for number in row) for row in np.asarray(matrix, dtype=np.float64)]


def checked_inverse(path: Path, matrix: ArrayLike) -> NDArray[np.float64]:
    """The inverse of a matrix, shape (4, 4), if there is a useful one."""
    return np.asarray(np.linalg.inv(checked_matrix(path, matrix)))


def loadmat_or_error(path: Path, names: list[str] | None = None) -> dict[str, Any]:
    """Variables of a MATLAB file of version 4 to 7, all of them or some by name.

    Raises
    ------
    InputError
        No such file, cut off, or of version 7.3.
    """
    # Few runs read one, and the import would slow the start of all.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return dict(loadmat(str(path), variable_names=names, appendmat=False))
    except NotImplementedError as error:
        raise InputError(path, "a MATLAB file of version 7.3", "Save it in MATLAB with save(..., '-v7').") from error
    except (MatReadError, ValueError, TypeError, OSError, LookupError, MemoryError, OverflowError, zlib.error) as error:
        raise InputError(path, f"this is not a MATLAB file, or it is cut off ({error})", AGAIN) from error


def field_of_transform(path: Path, transform: SpatialTransform, context: Context) -> tuple[sitk.Image, float]:
    """Displacements of a transform as an image.

    Parameters
    ----------
    path : Path
        The output, for messages.
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    context : Context
        With the fixed volume, unless the transform is a displacement field already.

    Returns
    -------
    image : SimpleITK.Image
        Vectors of 64 bit, LPS, mm.
    error_mm : float
        Largest difference from the transform within the grid, at points between its nodes; 0 for a displacement field.
    """
    first, *others = transform.stages
    if not others and first.transform.GetName() == "DisplacementFieldTransform":
        return sitk.DisplacementFieldTransform(first.transform).GetDisplacementField(), 0.0
    grid = context.need_fixed(path, "displacements need a grid").grid
    displacements = transform.displacements_mm(grid)
    image = sitk.GetImageFromArray(displacements, isVector=True)
    grid.place(image)
    if transform.matrix is not None:
        return image, 0.0
    points = _probes(grid, margin=0.5)
    sampled = SpatialTransform("field", sitk.DisplacementFieldTransform(sitk.Image(image)))
    difference = sampled.to_moving(points) - transform.to_moving(points)
    return image, float(np.linalg.norm(difference, axis=1).max())


def gridded(name: str, to_moving: Mapping, grid: VolumeGrid) -> SpatialTransform:
    """Sample a mapping for which SimpleITK has no transform.

    Its affine part is kept apart, so that points outside of the grid follow that.

    Parameters
    ----------
    name : str
        Of the result.
    to_moving : callable
        From fixed points, shape (N, 3), LPS, mm, to moving ones.
    grid : VolumeGrid
        Of the fixed volume: it is sampled over its box, voxel borders included.

    Returns
    -------
    SpatialTransform
        With ``error_mm``, the largest difference that was found at points within the box.
    """
    box = grid.sample_points_lps(8)
    homogeneous = np.column_stack([box, np.ones(len(box))])
    affine = np.eye(4)
    affine[:3] = np.linalg.lstsq(homogeneous, to_moving(box), rcond=None)[0].T
    backward = np.linalg.inv(affine)
    probes = _probes(grid, margin=0.0)
    found = displacement_grid(
        lambda points: apply_matrix(backward, to_moving(points)),
        [_nodes_over(grid, spacing_mm) for spacing_mm in _NODE_SPACINGS_MM],
        probes,
        good_enough_mm=_GOOD_ENOUGH_MM,
        most_nodes=_MOST_NODES,
    )
    if found is None:
        found = displacement_grid(
            lambda points: apply_matrix(backward, to_moving(points)),
            [_nodes_over(grid, float(grid.extent_mm.max()) / 64)],
            probes,
            good_enough_mm=_GOOD_ENOUGH_MM,
            most_nodes=_MOST_NODES,
        )
    assert found is not None
    whole = SpatialTransform(name, sitk.CompositeTransform([sitk_from_matrix(affine), found.transform]))
    error = np.linalg.norm(whole.to_moving(probes) - to_moving(probes), axis=1).max()
    return SpatialTransform(name, whole.transform, error_mm=float(error))


def _probes(grid: VolumeGrid, margin: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Points spread at random within the box of a grid, at least some voxels within its borders."""
    random = np.random.default_rng(0)
    size = np.asarray(grid.size)
    index = random.uniform(margin, np.maximum(size - margin, margin), (_PROBES, 3)) - 0.5
    return apply_matrix(grid.ijk_to_lps, index)


def _nodes_over(grid: VolumeGrid, spacing_mm: float) -> VolumeGrid:
    """Nodes over the box of a grid, from border to border, along its axes."""
    count = np.maximum(np.ceil(grid.extent_mm / spacing_mm).astype(int) + 1, 2)
    steps = np.asarray(grid.size) / (count - 1)
    matrix = grid.ijk_to_lps
    nodes = matrix.copy()
    nodes[:3, :3] = matrix[:3, :3] * steps
    nodes[:3, 3] = apply_matrix(matrix, np.full(3, -0.5))
    return VolumeGrid.of_matrix((int(count[0]), int(count[1]), int(count[2])), nodes)
