"""Registration by shape: surface to surface, or points to surface, from several starts.

1. Starts: the initial transform, principal axes, and a search of all orientations and translations.
2. Each is improved on coarse samples, with points that stand for the surfaces.
3. The best that are clearly apart are improved on the surfaces; their residuals say whether the shape is ambiguous.
4. The winner is improved to convergence with many samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.linear import (
    LARGEST_CONDITION,
    apply_matrix,
    closest_rotation,
    condition_number,
    displacement_mm,
    rotation_angle_deg,
)
from ..core.points import LandmarkList
from ..core.surface import PointSet, Shape, Surface
from .icp import MIN_POINTS, Matching, Model, Overlap, Pose, iterate, principal_axis_starts, searched_starts
from .surface_result import Distances, Rival, SurfaceRegistration

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
# In how many dimensions a shape has to spread.
_DIMENSIONS: dict[Model, int] = {"rigid": 2, "similarity": 2, "affine": 3}
# A spread below this share of the largest is how exactly points were placed or saved, not shape.
_FLAT = 1e-3
# A spread below this share of the coordinates is the rounding of a file.
_ROUNDING = 1e-6
_SAMPLES = 1000


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
    candidates = search.candidates(None if initial_fixed_to_moving_lps is None else Pose(initial, start="given"))
    best = search.choose(candidates, initial) if candidates else None
    final = search.refined([best], _FINAL_SAMPLES, to_planes=50, tolerance=5e-5) if best else []
    if best is None or not final:
        raise InputError(
            f"{fixed_shape.name} and {moving_shape.name}",
            f"the {model} transform that lays them on each other mirrors or flattens space",
            "Use a rigid or similarity model, and check that neither volume is mirrored.",
        )

    def oriented(pose: Pose) -> NDArray[np.float64]:
        return np.asarray(np.linalg.inv(pose.matrix_lps) if swapped else pose.matrix_lps)

    fixed_to_moving = oriented(final[0])
    points = moving_shape.samples(_COARSE_SAMPLES, seed=seed).points_lps
    rivals = [_rival(one, oriented(one), fixed_to_moving, points) for one in candidates if one is not best]
    moving_distances, fixed_distances = search.distances(fixed_shape, moving_shape, fixed_to_moving)
    return SurfaceRegistration(
        fixed_to_moving_lps=fixed_to_moving,
        model=model,
        moving_to_fixed=moving_distances,
        fixed_to_moving=fixed_distances,
        start=best.start,
        iterations=final[0].iterations,
        residual_mm=best.residual_mm,
        rivals=tuple(rivals),
        ambiguous=bool(rivals) and rivals[0].residual_mm < _AMBIGUOUS * best.residual_mm,
        notes=tuple(
            note for shape in (fixed, moving) if isinstance(shape, LandmarkList) for note in shape.unused_notes
        ),
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

    def refined(
        self,
        poses: list[Pose],
        count: int,
        *,
        to_planes: int,
        tolerance: float,
        to_points: int = 0,
        model: Model | None = None,
        exact: bool = True,
    ) -> list[Pose]:
        """Poses improved on ``count`` samples a side, of the surfaces or of the clouds that stand for them.

        The best comes first; those that are not clearly apart from a better one are left out.
        """
        matching = Matching(
            sampled=self.sampled if exact else self.sampled_cloud,
            target=self.target if exact else self.target_cloud,
            sampled_lps=self.sampled_lps[:count],
            target_lps=self.target_lps[:count] if self.both_ways else np.zeros((0, 3)),
            overlap=self.overlap,
            floor_mm=(1 if exact else 2) * _FLOOR * self.size_mm,
        )
        improved = []
        for pose in poses:
            fit = iterate(
                matching,
                pose.matrix_lps,
                model=model or self.model,
                to_points=to_points,
                to_planes=to_planes,
                tolerance_mm=tolerance * self.size_mm,
            )
            improved.append(fit._replace(start=pose.start))
        return self._apart(improved)

    def candidates(self, given: Pose | None) -> list[Pose]:
        """The best poses, clearly apart from each other, improved on the surfaces; the best first."""
        coarse_model: Model = "rigid" if self.model == "rigid" else "similarity"
        coarse = self.refined(
            self._starts(given),
            _COARSE_SAMPLES,
            to_points=6,
            to_planes=8,
            tolerance=2e-3,
            model=coarse_model,
            exact=False,
        )
        # Most rivals show soon that they are none; those that may win go on.
        closely = self.refined(coarse[:_LOOKED_AT_CLOSELY], _EXACT_SAMPLES, to_planes=6, tolerance=2e-4)
        return self._apart(self.refined(closely[:2], _EXACT_SAMPLES, to_planes=25, tolerance=2e-4) + closely[2:])

    def choose(self, candidates: list[Pose], initial: NDArray[np.float64]) -> Pose:
        """The best candidate; among equally good ones that which moves least from the initial pose."""
        least = min(c.residual_mm for c in candidates)
        tied = [c for c in candidates if c.residual_mm <= _TIE * least]
        return min(tied, key=lambda c: float(displacement_mm(c.matrix_lps, initial, self.target_lps).mean()))

    def distances(
        self, fixed: Shape, moving: Shape, fixed_to_moving: NDArray[np.float64]
    ) -> tuple[Distances | None, Distances | None]:
        """Measure what is left, in the fixed frame, on samples that were not fitted."""
        matrix = np.linalg.inv(fixed_to_moving)
        floor = _FLOOR * self.size_mm
        points = moving.samples(_FINAL_SAMPLES, seed=self.seed + 4).points_lps
        to_fixed = to_moving = None
        if isinstance(fixed, Surface) or not isinstance(moving, Surface):
            to_fixed = Distances.of(fixed.nearest(apply_matrix(matrix, points)).distances_mm, self.overlap, floor)
        if isinstance(moving, Surface) or not isinstance(fixed, Surface):
            moved: Shape = PointSet(moving.name, apply_matrix(matrix, points))
            if isinstance(moving, Surface):
                moved = moving.moved(matrix)
            others = fixed.samples(_FINAL_SAMPLES, seed=self.seed + 5).points_lps
            share = self.overlap if self.sampled is fixed else "auto"
            to_moving = Distances.of(moved.nearest(others).distances_mm, share, floor)
        return to_fixed, to_moving

    def _starts(self, given: Pose | None) -> list[Pose]:
        sampled, target = self.sampled_cloud.points_lps, self.target_cloud.points_lps
        scales = [1.0]
        ratio = _radius(sampled) / _radius(target)
        if self.model != "rigid" and abs(np.log(ratio)) > 0.03:
            scales.append(ratio)
        starts = [] if given is None else [given]
        for scale in scales:
            scaled = np.diag([scale, scale, scale, 1.0])
            shapes = (scale * target, sampled)
            # The part is laid on the whole: what has no counterpart would only add noise. Points are always the part.
            sizes = [
                _radius(points) if isinstance(shape, Surface) else 0.0
                for points, shape in zip(shapes, (self.target, self.sampled), strict=True)
            ]
            if sizes[0] <= sizes[1]:
                found = searched_starts(shapes[0][:_SEARCH_SAMPLES], shapes[1])
            else:
                found = [
                    start._replace(matrix_lps=np.asarray(np.linalg.inv(start.matrix_lps)))
                    for start in searched_starts(shapes[1][:_SEARCH_SAMPLES], shapes[0])
                ]
            starts += [
                start._replace(matrix_lps=start.matrix_lps @ scaled)
                for start in (*principal_axis_starts(*shapes), *found)
            ]
        return starts

    def _apart(self, candidates: list[Pose]) -> list[Pose]:
        chosen: list[Pose] = []
        points = self.target_lps[:_COARSE_SAMPLES]
        possible = [c for c in candidates if np.isfinite(c.residual_mm)]
        for candidate in sorted(possible, key=lambda c: c.residual_mm):
            shifts = (displacement_mm(candidate.matrix_lps, other.matrix_lps, points).mean() for other in chosen)
            if all(shift > _APART * self.size_mm for shift in shifts):
                chosen.append(candidate)
        return chosen


def _cloud(shape: Shape, seed: int) -> PointSet:
    points, normals = shape.samples(_CLOUD, seed=seed)
    return PointSet(shape.name, points, normals)


def _radius(points: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.sum(np.square(points - points.mean(axis=0)), axis=1))))


def _rival(
    candidate: Pose, fixed_to_moving: NDArray[np.float64], result: NDArray[np.float64], points: NDArray[np.float64]
) -> Rival:
    inverses = np.linalg.inv(fixed_to_moving), np.linalg.inv(result)
    turn = np.eye(4)
    turn[:3, :3] = closest_rotation(inverses[0]) @ closest_rotation(inverses[1]).T
    return Rival(
        start=candidate.start,
        residual_mm=candidate.residual_mm,
        away_mm=float(displacement_mm(*inverses, points).mean()),
        turn_deg=rotation_angle_deg(turn),
    )


def checked_shape(shape: Surface | LandmarkList | ArrayLike, name: str, model: Model) -> Shape:
    """Take one side, if a transform can be found from it.

    Parameters
    ----------
    shape : Surface, LandmarkList or array, shape (N, 3)
        A surface, or points on one in LPS, mm. Of a list those points that are placed and selected.
    name : str
        What messages call an array.
    model : {"rigid", "similarity", "affine"}
        What the transform may do.

    Returns
    -------
    Shape
        The same.

    Raises
    ------
    InputError
        Too few points for the model, all of them in one place or on one line, or in one plane if the model is affine.
    """
    if isinstance(shape, Surface):
        _check_spread(shape.name, "the surface lies", shape.samples(_SAMPLES, seed=0).points_lps, model)
        return shape
    if isinstance(shape, LandmarkList):
        points = PointSet(shape.name, shape.points_lps[list(shape.used)])
    else:
        points = PointSet(name, np.asarray(shape, dtype=np.float64))
    count, places = len(points.points_lps), len(np.unique(points.points_lps, axis=0))
    if count >= MIN_POINTS[model]:
        _check_spread(points.name, f"its {count} points lie", points.points_lps, model)
    if places < MIN_POINTS[model]:
        raise InputError(
            points.name,
            f"{count} points" + (f" at {places} different places" if places < count else ""),
            f"A point on a surface fixes one number of the transform: {model} takes at least {MIN_POINTS[model]}.",
        )
    return points


def _check_spread(name: str, they_lie: str, points_lps: NDArray[np.float64], model: Model) -> None:
    spread = np.linalg.svd(points_lps - points_lps.mean(axis=0), compute_uv=False) / np.sqrt(len(points_lps))
    dimensions = 0
    if spread[0] > _ROUNDING * np.abs(points_lps).max():
        dimensions = int((spread > _FLAT * spread[0]).sum())
    if dimensions < _DIMENSIONS[model]:
        where = ("in one place", "on one line", "in one plane")[dimensions]
        remedy = "Use a rigid or similarity model, or a shape with depth."
        if dimensions < 2:
            remedy = "Give points that are spread over the surface, in all directions."
        raise InputError(name, f"{they_lie} {where}, which leaves the {model} transform open", remedy)
