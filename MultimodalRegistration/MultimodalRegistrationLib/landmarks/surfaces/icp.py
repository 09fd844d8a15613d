"""Registration by shape: surface to surface, or points to surface, from several starts.

1. Starts: the initial transform, principal axes, and a search of all orientations and translations.
2. Each is improved on coarse samples, with points that stand for the surfaces.
3. The best that are clearly apart are improved on the surfaces; their residuals say whether the shape is ambiguous.
4. The winner is improved to convergence with many samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.errors import InputError
from ...core.linear import (
    LARGEST_CONDITION,
    apply_matrix,
    closest_rotation,
    condition_number,
    displacement_mm,
    rotation_angle_deg,
)
from ...core.points import LandmarkList
from ...core.shapes import PointSet, Shape
from ...core.surface import Surface
from .checks import checked_shape, left_out
from .iterate import Fit, Matching, Overlap, iterate
from .planes import Model
from .result import Distances, Rival, SurfaceRegistration
from .starts import Start, principal_axis_starts, searched_starts

__all__ = ["register_surface"]

_CLOUD = 6000
_SEARCH_SAMPLES = 1500
_COARSE_SAMPLES = 200
_EXACT_SAMPLES = 300
_FINAL_SAMPLES = 3000
_LOOKED_AT_CLOSELY = 5
# Shares of the size of the shape (twice its RMS radius).
_FLOOR = 0.002
_APART = 0.05
# A rival whose residual is less than this times the best one's makes the shape ambiguous.
_AMBIGUOUS = 1.5
# Residuals closer than this are a tie.
_TIE = 1.1


class _Candidate(NamedTuple):
    start: str
    matrix: NDArray[np.float64]
    residual_mm: float


def register_surface(
    fixed: Surface | LandmarkList | ArrayLike,
    moving: Surface | LandmarkList | ArrayLike,
    *,
    model: Model = "rigid",
    overlap: Overlap = 1.0,
    initial_fixed_to_moving_lps: ArrayLike | None = None,
    seed: int = 0,
) -> SurfaceRegistration:
    """Find the transform that lays a moving shape on a fixed one.

    Parameters
    ----------
    fixed, moving : Surface, LandmarkList or array, shape (N, 3)
        Surfaces, or points on them in LPS, mm. Where only one side is points, these are matched with the surface,
        whichever side it is. Of a list those points are used that are placed and selected.
    model : {"rigid", "similarity", "affine"}
        What the transform may do; it never mirrors.
    overlap : float or "auto"
        Share of the sampled shape, the moving one unless only the fixed one is points, that has a counterpart on the
        other. The other may extend further. ``auto`` finds the share, on both shapes each, so that either may be a
        part of the other.
    initial_fixed_to_moving_lps : array, shape (4, 4), optional
        An additional start; also decides between poses that fit equally well.
    seed : int
        Of the samples.

    Returns
    -------
    SurfaceRegistration
        The transform, the distances that are left and the rival poses.

    Raises
    ------
    InputError
        A shape that cannot settle a transform, an overlap outside 0.05 to 1, an initial transform that mirrors or
        cannot be inverted, or shapes that only an affine transform that does so would lay on each other.
    """
    fixed_shape, moving_shape = (
        checked_shape(shape, name, model) for shape, name in ((fixed, "fixed points"), (moving, "moving points"))
    )
    if overlap != "auto" and not 0.05 <= overlap <= 1.0:
        raise InputError("overlap", f"{overlap:g}", "Give a share from 0.05 to 1, or auto.")
    initial = np.eye(4)
    if initial_fixed_to_moving_lps is not None:
        initial = np.asarray(initial_fixed_to_moving_lps, dtype=np.float64)
        if condition_number(initial) > LARGEST_CONDITION:
            raise InputError("initial transform", "it cannot be inverted", "Give one that does not flatten space.")
        if np.linalg.det(initial[:3, :3]) < 0:
            raise InputError("initial transform", "it mirrors", "Give one that does not: shapes are never mirrored.")
    swapped = isinstance(moving_shape, Surface) and not isinstance(fixed_shape, Surface)
    sampled, target = (fixed_shape, moving_shape) if swapped else (moving_shape, fixed_shape)
    if swapped:
        initial = np.asarray(np.linalg.inv(initial))
    search = _Search(sampled, target, model, overlap, seed)
    start = Start("given", initial) if initial_fixed_to_moving_lps is not None else None
    candidates = search.candidates(start)
    best = search.choose(candidates, initial) if candidates else None
    fit = search.finish(best) if best else None
    if best is None or fit is None or not np.isfinite(fit.residual_mm):
        raise InputError(
            f"{fixed_shape.name} and {moving_shape.name}",
            f"the {model} transform that lays them on each other mirrors or flattens space",
            "Use a rigid or similarity model, and check that neither volume is mirrored.",
        )
    fixed_to_moving = np.asarray(np.linalg.inv(fit.matrix_lps) if swapped else fit.matrix_lps)
    rivals = []
    for candidate in (c for c in candidates if c is not best):
        other = np.asarray(np.linalg.inv(candidate.matrix) if swapped else candidate.matrix)
        rivals.append(_rival(candidate, other, fixed_to_moving, moving_shape, seed))
    moving_distances, fixed_distances = search.distances(fixed_shape, moving_shape, fixed_to_moving)
    return SurfaceRegistration(
        fixed_to_moving_lps=fixed_to_moving,
        model=model,
        moving_to_fixed=moving_distances,
        fixed_to_moving=fixed_distances,
        start=best.start,
        iterations=fit.iterations,
        residual_mm=best.residual_mm,
        rivals=tuple(rivals),
        ambiguous=bool(rivals) and rivals[0].residual_mm < _AMBIGUOUS * best.residual_mm,
        notes=left_out(fixed) + left_out(moving),
    )


class _Search:
    """The steps, for one pair of shapes. All poses map the target to the sampled shape."""

    def __init__(self, sampled: Shape, target: Shape, model: Model, overlap: Overlap, seed: int) -> None:
        self.sampled, self.target, self.model, self.overlap, self.seed = sampled, target, model, overlap, seed
        self.both_ways = overlap == "auto" and isinstance(sampled, Surface)
        self.sampled_cloud, self.target_cloud = _cloud(sampled, seed), _cloud(target, seed + 1)
        self.sampled_lps = sampled.samples(_FINAL_SAMPLES, seed=seed + 2).points_lps
        self.target_lps = target.samples(_FINAL_SAMPLES, seed=seed + 3).points_lps
        self.size_mm = 2 * min(_radius(self.sampled_lps), _radius(self.target_lps))

    def matching(self, count: int, *, exact: bool) -> Matching:
        """Match ``count`` samples a side, of the surfaces themselves or of the clouds that stand for them."""
        return Matching(
            sampled=self.sampled if exact else self.sampled_cloud,
            target=self.target if exact else self.target_cloud,
            sampled_lps=self.sampled_lps[:count],
            target_lps=self.target_lps[:count] if self.both_ways else np.zeros((0, 3)),
            overlap=self.overlap,
            floor_mm=(1 if exact else 2) * _FLOOR * self.size_mm,
        )

    def candidates(self, given: Start | None) -> list[_Candidate]:
        """The best poses, clearly apart from each other, improved on the surfaces; the best first."""
        coarse_model: Model = "rigid" if self.model == "rigid" else "similarity"
        coarse = []
        for start in self._starts(given):
            fit = iterate(
                self.matching(_COARSE_SAMPLES, exact=False),
                start.matrix_lps,
                model=coarse_model,
                to_points=6,
                to_planes=8,
                tolerance_mm=2e-3 * self.size_mm,
            )
            coarse.append(_Candidate(start.name, fit.matrix_lps, fit.residual_mm))
        # Most rivals show soon that they are none; those that may win go on.
        closely = self._improved(self._apart(coarse)[:_LOOKED_AT_CLOSELY], rounds=6)
        return self._apart(self._improved(closely[:2], rounds=25) + closely[2:])

    def _improved(self, candidates: list[_Candidate], *, rounds: int) -> list[_Candidate]:
        improved = []
        for candidate in candidates:
            fit = iterate(
                self.matching(_EXACT_SAMPLES, exact=True),
                candidate.matrix,
                model=self.model,
                to_points=0,
                to_planes=rounds,
                tolerance_mm=2e-4 * self.size_mm,
            )
            improved.append(_Candidate(candidate.start, fit.matrix_lps, fit.residual_mm))
        return self._apart(improved)

    def choose(self, candidates: list[_Candidate], initial: NDArray[np.float64]) -> _Candidate:
        """The best candidate; among equally good ones that which moves least from the initial pose."""
        least = min(c.residual_mm for c in candidates)
        tied = [c for c in candidates if c.residual_mm <= _TIE * least]
        return min(tied, key=lambda c: float(displacement_mm(c.matrix, initial, self.target_lps).mean()))

    def finish(self, candidate: _Candidate) -> Fit:
        """Improve a pose to convergence."""
        return iterate(
            self.matching(_FINAL_SAMPLES, exact=True),
            candidate.matrix,
            model=self.model,
            to_points=0,
            to_planes=50,
            tolerance_mm=5e-5 * self.size_mm,
        )

    def distances(
        self, fixed: Shape, moving: Shape, fixed_to_moving: NDArray[np.float64]
    ) -> tuple[Distances | None, Distances | None]:
        """Measure what is left, in the fixed frame, on samples that were not fitted."""
        matrix = np.linalg.inv(fixed_to_moving)
        floor = _FLOOR * self.size_mm
        points = moving.samples(_FINAL_SAMPLES, seed=self.seed + 4).points_lps
        to_fixed = to_moving = None
        if isinstance(fixed, Surface) or not isinstance(moving, Surface):
            share = self.overlap
            to_fixed = Distances.of(fixed.nearest(apply_matrix(matrix, points)).distances_mm, share, floor)
        if isinstance(moving, Surface) or not isinstance(fixed, Surface):
            share = self.overlap if self.sampled is fixed else "auto"
            moved: Shape
            if isinstance(moving, Surface):
                moved = moving.moved(matrix)
            else:
                moved = PointSet(moving.name, apply_matrix(matrix, points))
            others = fixed.samples(_FINAL_SAMPLES, seed=self.seed + 5).points_lps
            to_moving = Distances.of(moved.nearest(others).distances_mm, share, floor)
        return to_fixed, to_moving

    def _starts(self, given: Start | None) -> list[Start]:
        sampled, target = self.sampled_cloud.points_lps, self.target_cloud.points_lps
        scales = [1.0]
        ratio = _radius(sampled) / _radius(target)
        if self.model != "rigid" and abs(np.log(ratio)) > 0.03:
            scales.append(ratio)
        starts = [] if given is None else [given]
        for scale in scales:
            scaled = np.diag([scale, scale, scale, 1.0])
            shapes = (scale * target, sampled)
            search = [points[:_SEARCH_SAMPLES] for points in shapes]
            # The part is laid on the whole: what has no counterpart would only add noise.
            if _extent(shapes[0], self.target) <= _extent(shapes[1], self.sampled):
                found = searched_starts(search[0], shapes[1])
            else:
                found = [
                    Start(start.name, np.asarray(np.linalg.inv(start.matrix_lps)))
                    for start in searched_starts(search[1], shapes[0])
                ]
            starts += [Start(s.name, s.matrix_lps @ scaled) for s in (*principal_axis_starts(*shapes), *found)]
        return starts

    def _apart(self, candidates: list[_Candidate]) -> list[_Candidate]:
        chosen: list[_Candidate] = []
        points = self.target_lps[:_COARSE_SAMPLES]
        possible = [c for c in candidates if np.isfinite(c.residual_mm)]
        for candidate in sorted(possible, key=lambda c: c.residual_mm):
            if all(
                displacement_mm(candidate.matrix, other.matrix, points).mean() > _APART * self.size_mm
                for other in chosen
            ):
                chosen.append(candidate)
        return chosen


def _cloud(shape: Shape, seed: int) -> PointSet:
    points, normals = shape.samples(_CLOUD, seed=seed)
    return PointSet(shape.name, points, normals)


def _radius(points: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.sum(np.square(points - points.mean(axis=0)), axis=1))))


def _extent(points: NDArray[np.float64], shape: Shape) -> float:
    """Size for telling the part from the whole; points are always the part."""
    return _radius(points) if isinstance(shape, Surface) else 0.0


def _rival(
    candidate: _Candidate,
    fixed_to_moving: NDArray[np.float64],
    result: NDArray[np.float64],
    moving: Shape,
    seed: int,
) -> Rival:
    points = moving.samples(_COARSE_SAMPLES, seed=seed).points_lps
    inverses = np.linalg.inv(fixed_to_moving), np.linalg.inv(result)
    turn = np.eye(4)
    turn[:3, :3] = closest_rotation(inverses[0]) @ closest_rotation(inverses[1]).T
    return Rival(
        start=candidate.start,
        residual_mm=candidate.residual_mm,
        away_mm=float(displacement_mm(*inverses, points).mean()),
        turn_deg=rotation_angle_deg(turn),
    )
