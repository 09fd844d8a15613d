r"""Iterative closest points with trimming (Besl and McKay 1992, doi:10.1109/34.121791).

Each round pairs samples with their nearest points, keeps the share of pairs that is closest, and takes one step of
the transform: of points to points, which converges from afar, or of points to planes, which converges fast (Chen and
Medioni 1992, doi:10.1016/0262-8856(92)90066-C). An automatic share :math:`s` minimises

.. math:: (\mathrm{RMS}(s) + f) / s^{3/2},

the objective of Chetverikov et al. 2005 (doi:10.1016/j.imavis.2004.05.007) with its weight of 2, and a floor f below
which distances are not told apart: without it a perfect fit of few points would beat a good one of many. It is
minimised in every round, as in Phillips et al. 2007 (doi:10.1109/3DIM.2007.39).

A pose W maps the target to the sampled shape. Everything is measured at the sampled shape, so that the scale of W
cannot shrink to nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.ndimage import distance_transform_edt
from scipy.spatial.transform import Rotation

from ..core.linear import (
    LARGEST_CONDITION,
    apply_matrix,
    condition_number,
    displacement_mm,
    even_rotations,
    fit_affine,
    fit_rigid,
    fit_similarity,
    translation_matrix,
)
from ..core.surface import Shape

Overlap = float | Literal["auto"]
_FITS = {"rigid": fit_rigid, "similarity": fit_similarity, "affine": fit_affine}
_MIN_SHARE = 0.3
_WEIGHT = 1.5
Model = Literal["rigid", "similarity", "affine"]
SURFACE_MODELS: tuple[Model, ...] = get_args(Model)
# A point on a surface fixes one number of the transform.
MIN_POINTS: dict[Model, int] = {"rigid": 6, "similarity": 7, "affine": 12}
_ORIENTATIONS = 600
_CELLS_ACROSS = 20
_KEPT = 30


@dataclass(frozen=True, eq=False)
class Matching:
    """What is matched with what.

    Parameters
    ----------
    sampled, target : Shape
        The shapes; a pose maps target to sampled.
    sampled_lps : array, shape (N, 3)
        Samples that look for a counterpart on the target, LPS, mm.
    target_lps : array, shape (K, 3)
        Samples of the target that look for one on the sampled shape; none to match in one direction only.
    overlap : float or "auto"
        Share of the samples that is kept.
    floor_mm : float
        Distances below are not told apart.
    """

    sampled: Shape
    target: Shape
    sampled_lps: NDArray[np.float64]
    target_lps: NDArray[np.float64]
    overlap: Overlap
    floor_mm: float


class Pose(NamedTuple):
    """A pose, and how well it fits.

    Parameters
    ----------
    matrix_lps : array, shape (4, 4)
        From target to sampled shape.
    residual_mm : float
        The objective: RMS distance over what was kept plus the floor, raised where less was kept. Infinite where a
        round would have mirrored or flattened space, and before the first one.
    iterations : int
        Rounds taken.
    start : str
        Where it comes from: ``given``, ``principal axes`` or ``search``.
    """

    matrix_lps: NDArray[np.float64]
    residual_mm: float = np.inf
    iterations: int = 0
    start: str = ""


class _Pairs(NamedTuple):
    source: NDArray[np.float64]
    goal: NDArray[np.float64]
    normals: NDArray[np.float64] | None
    residual_mm: float


def kept_share(distances_mm: NDArray[np.float64], overlap: Overlap, floor_mm: float) -> tuple[int, float]:
    """How many of the closest pairs to keep.

    Parameters
    ----------
    distances_mm : array, shape (N,)
        In rising order.
    overlap : float or "auto"
        The share, or let the objective choose it.
    floor_mm : float
        Distances below are not told apart.

    Returns
    -------
    count : int
        The number of pairs.
    residual_mm : float
        The objective.
    """
    total = len(distances_mm)
    rms = np.sqrt(np.cumsum(np.square(distances_mm)) / np.arange(1, total + 1))
    if overlap != "auto":
        count = max(1, round(overlap * total))
        return count, float(rms[count - 1]) + floor_mm
    share = np.arange(1, total + 1) / total
    objective = (rms + floor_mm) / share**_WEIGHT
    first = max(round(_MIN_SHARE * total), 1) - 1
    count = first + 1 + int(objective[first:].argmin())
    return count, float(objective[count - 1])


def iterate(
    matching: Matching,
    start_lps: NDArray[np.float64],
    *,
    model: Model,
    to_points: int,
    to_planes: int,
    tolerance_mm: float,
) -> Pose:
    """Improve a pose.

    Parameters
    ----------
    matching : Matching
        The shapes.
    start_lps : array, shape (4, 4)
        From target to sampled shape.
    model : {"rigid", "similarity", "affine"}
        What may change.
    to_points, to_planes : int
        Largest number of rounds of either kind, in this order. Shapes without normals take both to points.
    tolerance_mm : float
        Ends either kind once a round moves the samples by less on average.

    Returns
    -------
    Pose
        The pose and the objective there.
    """
    matrix, rounds = start_lps, 0
    for planes, limit in ((False, to_points), (True, to_planes)):
        for _ in range(limit):
            pairs = _pairs(matching, matrix, model)
            if planes and pairs.normals is not None:
                moved = step_to_planes(matrix, pairs.source, pairs.goal, pairs.normals, model)
            else:
                # From far away one point may be nearest to all: no scale fits, which is checked below.
                with np.errstate(divide="ignore", invalid="ignore"):
                    moved = _FITS[model](pairs.source, pairs.goal)
            rounds += 1
            if condition_number(moved) > LARGEST_CONDITION or np.linalg.det(moved[:3, :3]) < 0:
                return Pose(matrix, np.inf, rounds)
            step = float(displacement_mm(moved, matrix, pairs.source).mean())
            matrix = moved
            if step < tolerance_mm:
                break
    return Pose(matrix, _pairs(matching, matrix, model).residual_mm, rounds)


def _pairs(matching: Matching, matrix: NDArray[np.float64], model: Model) -> _Pairs:
    linear = matrix[:3, :3]
    scale = float(np.cbrt(abs(np.linalg.det(linear))))
    fewest = 2 * MIN_POINTS[model]
    back = apply_matrix(np.linalg.inv(matrix), matching.sampled_lps)
    found = matching.target.nearest(back, exact=False)
    kept, residual = _closest(found.distances_mm * scale, matching, fewest)
    source, goal = found.points_lps[kept], matching.sampled_lps[kept]
    normals = None
    if found.normals_lps is not None:
        normals = found.normals_lps[kept] @ np.linalg.inv(linear)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.where(length > 0, length, 1.0)
    if len(matching.target_lps):
        found = matching.sampled.nearest(apply_matrix(matrix, matching.target_lps), exact=False)
        kept, second = _closest(found.distances_mm, matching, fewest)
        source = np.concatenate([source, matching.target_lps[kept]])
        goal = np.concatenate([goal, found.points_lps[kept]])
        if normals is not None:
            normals = None if found.normals_lps is None else np.concatenate([normals, found.normals_lps[kept]])
        residual = (residual + second) / 2
    return _Pairs(source, goal, normals, residual)


def _closest(distances_mm: NDArray[np.float64], matching: Matching, fewest: int) -> tuple[NDArray[np.intp], float]:
    order = np.argsort(distances_mm)
    count, residual = kept_share(distances_mm[order], matching.overlap, matching.floor_mm)
    return order[: max(count, fewest)], residual


def step_to_planes(
    matrix: NDArray[np.float64],
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    normals: NDArray[np.float64],
    model: Model,
) -> NDArray[np.float64]:
    r"""One Gauss-Newton step of ``matrix``, shape (4, 4), towards planes.

    Minimises the sum of :math:`(n \cdot (W x - y))^2` over source points x, target points y and normals n, each of
    shape (N, 3), with W linearised about ``matrix``.
    """
    moved = apply_matrix(matrix, source)
    center = moved.mean(axis=0)
    x = moved - center
    residual = np.einsum("ij,ij->i", normals, target - moved)
    # In units of the shape's radius all unknowns are of one size, which the damping needs.
    radius = float(np.sqrt(np.mean(np.sum(x * x, axis=1)))) or 1.0
    x = x / radius
    if model == "affine":
        linear = np.einsum("ij,ik->ijk", normals, x).reshape(-1, 9)
    else:
        linear = np.cross(x, normals)
        if model == "similarity":
            linear = np.column_stack([linear, np.einsum("ij,ij->i", normals, x)])
    design = np.column_stack([linear, normals])
    squared = design.T @ design
    # Enough to keep what the shape leaves open, such as the turn of a sphere, where it is.
    squared += 1e-6 * np.trace(squared) / len(squared) * np.eye(len(squared))
    solved = np.linalg.solve(squared, design.T @ residual)
    update = np.eye(4)
    if model == "affine":
        update[:3, :3] += solved[:9].reshape(3, 3) / radius
    else:
        rotation = Rotation.from_rotvec(solved[:3] / radius).as_matrix()
        scale = float(np.exp(solved[3] / radius)) if model == "similarity" else 1.0
        update[:3, :3] = scale * rotation
    update[:3, 3] = solved[-3:] + center - update[:3, :3] @ center
    return update @ matrix


def principal_axis_starts(source_lps: NDArray[np.float64], target_lps: NDArray[np.float64]) -> list[Pose]:
    """The four rigid poses that lay the centre and principal axes of one point cloud on those of another.

    Parameters
    ----------
    source_lps, target_lps : array, shape (N, 3)
        Even samples of the shapes, LPS, mm.

    Returns
    -------
    list of Pose
        From source to target.
    """
    centers = [points.mean(axis=0) for points in (source_lps, target_lps)]
    axes = []
    for points, center in zip((source_lps, target_lps), centers, strict=True):
        directions = np.linalg.svd(points - center, full_matrices=False)[2].T
        axes.append(directions * [1.0, 1.0, np.sign(np.linalg.det(directions))])
    flips = [np.array([x, y, x * y]) for x, y in itertools.product((1.0, -1.0), repeat=2)]
    return [Pose(_pose(axes[1] * flip @ axes[0].T, *centers), start="principal axes") for flip in flips]


def searched_starts(source_lps: NDArray[np.float64], target_lps: NDArray[np.float64]) -> list[Pose]:
    """The rigid poses with the largest overlap, of all orientations and translations.

    For each of many orientations the overlap at every translation is one correlation of two coarse grids (the samples
    of one shape, and how near the other shape is), computed by Fourier transform. Samples without a counterpart add
    nothing, so a shape of which a part is missing is found as well as a whole one.

    Parameters
    ----------
    source_lps, target_lps : array, shape (N, 3)
        Even samples of the shapes, LPS, mm. The source should be the smaller part.

    Returns
    -------
    list of Pose
        From source to target, the best first.
    """
    center = source_lps.mean(axis=0)
    centered = source_lps - center
    reach = float(np.linalg.norm(centered, axis=1).max())
    low, high = target_lps.min(axis=0), target_lps.max(axis=0)
    cell = max(2 * reach, float(np.linalg.norm(high - low))) / _CELLS_ACROSS
    margin = 3
    shape = np.ceil((high - low) / cell).astype(int) + 1 + 2 * margin
    origin = low - margin * cell
    # One on the target, falling to zero over about two cells.
    empty = np.ones(shape, dtype=bool)
    empty[tuple(np.rint((target_lps - origin) / cell).astype(int).T)] = False
    nearness = np.exp(-0.5 * np.square(distance_transform_edt(empty))).astype(np.float32)
    half = int(np.ceil(reach / cell)) + 1
    size = [next_fast_len(int(n) + 2 * half, real=True) for n in shape]
    spectrum = rfftn(nearness, size)
    found = []
    for rotation in even_rotations(count=_ORIENTATIONS):
        index = np.rint(centered @ rotation.T / cell).astype(int) + half
        flat = np.ravel_multi_index(index.T.tolist(), size)
        counts = np.bincount(flat, minlength=int(np.prod(size))).reshape(size).astype(np.float32)
        overlap = irfftn(spectrum * np.conj(rfftn(counts)), size)
        best = np.unravel_index(int(overlap.argmax()), size)
        # Shifts beyond the target's grid are negative ones, wrapped around.
        shift = np.array([b if b < n else b - s for b, n, s in zip(best, shape, size, strict=True)])
        goal = origin + (shift + half) * cell
        found.append((float(overlap[best]), _pose(rotation, center, goal)))
    found.sort(key=lambda pose: -pose[0])
    return [Pose(matrix, start="search") for _, matrix in found[:_KEPT]]


def _pose(rotation: NDArray[np.float64], center: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = np.eye(4)
    turn[:3, :3] = rotation
    return translation_matrix(goal) @ turn @ translation_matrix(-center)
