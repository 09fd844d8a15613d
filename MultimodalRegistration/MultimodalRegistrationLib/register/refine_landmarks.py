r"""Moving landmarks put where the images say that the fixed ones are: for points that were placed roughly, by hand.

A patch of soft tissue says next to nothing across modalities: sought one by one, points of a CT end 5 to 8 mm off in an
MR. So the rigid fit of all points is where the two volumes start, and the agreement of the whole volumes improves it.
The points still count: the pose :math:`T` is the one of largest

.. math:: w\, I(T) - \sum_i \frac{|T f_i - m_i|^2}{2 \sigma^2},

with the agreement :math:`I` in nats, pairs of points :math:`f_i`, :math:`m_i` and their localisation error
:math:`\sigma` along an axis. The weight :math:`w` is the number of independent observations, which follows from the
resolution elements of the blurrier volume, after Worsley et al. 1992 (doi:10.1038/jcbfm.1992.127). So blurred images,
as those of PET, do not pull the points away from where they agree with one another.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from ..core.errors import InputError
from ..core.linear import apply_matrix
from ..core.points import Pairs
from ..core.volume import Volume
from ..engines.jobs import EngineVolume
from ..landmarks.expected_error import localisation_error_from_fit
from ..landmarks.models import PARAMETERS, LinearFit, fit_model, is_determined
from .pair import Pair, make_pair
from .search.agreement import Agreement, Poses
from .search.bounds import Bounds
from .search.lattice import Lattice, class_coordinates, lattice_of

__all__ = ["RefinedLandmark", "refine_landmarks"]

# Lattices in mm, and the steps of the climb on each.
_LEVELS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (4.0, (4.0, 2.0)),
    (2.0, (2.0, 1.0, 0.5, 0.25)),
    (1.25, (0.5, 0.25, 0.125)),
)
_SAMPLES, _CLASSES, _MAX_MOVES = 100_000, 16, 20
# For the contrast of a patch.
_FINE_CLASSES = 32
_WINSORIZE_PERCENTILES = 0.1, 99.9
# Set on the real pairs: with one as with two of them, all but one are better than the fit of their points.
_OBSERVATIONS_PER_ELEMENT = 2.0
# The lattice on which resolution elements are counted: coarser than the noise.
_RESEL_SPACING_MM = 4.0
# The localisation error of few points is uncertain: it is pooled with one point of this error along each axis.
_USUAL_ERROR_MM = 3.0
# Poses around the best one, and how far they are from it.
_SURFACE_POSES, _SURFACE_MM = 150, (0.5, 4.0)
# How far from the fit of the points the images may lead: these many localisation errors, and at least this.
_LOCALISATION_ERRORS, _MIN_RADIUS_MM = 3.0, 8.0
_PATCH_RADIUS_MM, _PATCH_STEP_MM = 12.0, 1.5
# A patch shows nothing where the standard deviation of its intensities is less than these many fine classes: as in air.
_MIN_CONTRAST = 0.25
_MIN_SHOWN = 0.5


@dataclass(frozen=True)
class RefinedLandmark:
    """What became of the moving point of a pair.

    Parameters
    ----------
    number : int
        Of the pair, from 0.
    label : str
        How messages call the pair.
    before_lps, after_lps : tuple of 3 float
        The moving point, LPS, mm; the same where it was left alone.
    left_alone : str
        Why it was left alone; empty where it was moved.
    """

    number: int
    label: str
    before_lps: tuple[float, float, float]
    after_lps: tuple[float, float, float]
    left_alone: str = ""

    @property
    def distance_mm(self) -> float:
        """How far the point was moved."""
        return float(np.linalg.norm(np.subtract(self.after_lps, self.before_lps)))


def refine_landmarks(
    fixed: Volume, moving: Volume, pairs: Pairs, *, only: Collection[int] | None = None
) -> tuple[RefinedLandmark, ...]:
    """Move the moving landmarks of pairs to where the images agree best with the fixed ones.

    The two volumes are taken for one rigid body. Refined points follow the images, so they no longer measure a
    registration of the same images independently.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; not changed.
    pairs : Pairs
        At least three that determine a rigid transform; all of them are used for the fit.
    only : collection of int, optional
        Numbers of the pairs to refine, from 0; all by default.

    Returns
    -------
    tuple of RefinedLandmark
        Of these pairs, in order. A point is left alone where the 12 mm around it show nothing in one of the volumes, or
        lie mostly outside of one.

    Raises
    ------
    InputError
        The pairs do not determine a rigid transform, a volume has no contrast, or the images agree best farther from
        the fit of the points than these can be wrong.
    """
    if not is_determined("rigid", pairs.moving_lps, pairs.fixed_lps):
        raise InputError(
            pairs.moving.name,
            f"{len(pairs)} {'pair does' if len(pairs) == 1 else 'pairs do'} not determine a rigid transform",
            "Place three pairs or more that do not lie on one line.",
        )
    fit = fit_model("rigid", pairs.moving_lps, pairs.fixed_lps)
    assert isinstance(fit, LinearFit)
    start_lps = fit.fixed_to_moving_lps
    pair = make_pair(
        fixed, moving, start_lps, fixed_mask=None, moving_mask=None, winsorize_percentiles=_WINSORIZE_PERCENTILES
    )
    pose_lps, agreement, (sampled, other) = _best_pose(pair)
    _check_distance(pairs, fit, apply_matrix(pair.fixed_to_moving_lps(pose_lps), pairs.fixed_lps))
    pose_lps = _joint_pose(agreement, pose_lps, pair, pairs, fit)
    refined_lps = apply_matrix(pair.fixed_to_moving_lps(pose_lps), pairs.fixed_lps)
    # The other lattice lies where the start put it.
    if pair.sampled_is_moving:
        patches = (_Patches(other, start_lps, fixed.name), _Patches(sampled, np.eye(4), moving.name))
    else:
        patches = (
            _Patches(sampled, np.eye(4), fixed.name),
            _Patches(other, np.asarray(np.linalg.inv(start_lps)), moving.name),
        )
    found = []
    for number in range(len(pairs)) if only is None else sorted(only):
        places_lps = pairs.fixed_lps[number], refined_lps[number]
        reasons = [patch.problem(place) for patch, place in zip(patches, places_lps, strict=True)]
        reason = next((one for one in reasons if one), "")
        before = pairs.moving_lps[number]
        after = before if reason else refined_lps[number]
        found.append(RefinedLandmark(number, pairs.labels[number], _tuple(before), _tuple(after), reason))
    return tuple(found)


def _tuple(point: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = point.tolist()
    return x, y, z


def _best_pose(pair: Pair) -> tuple[NDArray[np.float64], Agreement, tuple[Lattice, Lattice]]:
    """The pose of best agreement near the start, shape (4, 4); the agreement and the lattices of the finest level."""
    poses_lps = np.eye(4)[None]
    for spacing_mm, steps_mm in _LEVELS:
        sampled, other = lattice_of(pair.sampled, spacing_mm), lattice_of(pair.other, spacing_mm)
        agreement = Agreement(sampled, other, points=_SAMPLES, classes=_CLASSES)
        begin, bounds = agreement.poses_of(poses_lps), Bounds(agreement.center_lps)
        best, _ = agreement.climb(begin, steps_mm, bounds, most_moves=_MAX_MOVES)
        poses_lps = agreement.matrices_of(best)
    return poses_lps[0], agreement, (sampled, other)


def _joint_pose(
    agreement: Agreement, best_lps: NDArray[np.float64], pair: Pair, pairs: Pairs, fit: LinearFit
) -> NDArray[np.float64]:
    """The pose that suits both the images and the points, shape (4, 4), from the one that suits the images best.

    A quadratic surface through the agreement of poses around the best one says how surely the images know each of its
    six parameters (Laplace's approximation); the steps of a climb would get caught in the roughness of the agreement.
    """
    best = agreement.poses_of(best_lps[None])
    radians = agreement.angle_of_step(1.0)

    def poses_at(moves_mm: NDArray[np.float64]) -> Poses:
        """Turns about the centre of the samples, which move them by about so many mm, then shifts: shape (N, 6)."""
        turns = Rotation.from_rotvec(moves_mm[:, :3] * radians).as_matrix()
        return Poses(best.rotations[0] @ turns, best.centers_lps[0] + moves_mm[:, 3:])

    rng = np.random.default_rng(0)
    moves_mm = rng.normal(size=(_SURFACE_POSES, 6))
    moves_mm *= (rng.uniform(*_SURFACE_MM, _SURFACE_POSES) / np.linalg.norm(moves_mm, axis=1))[:, None]
    elements = min(_resolution_elements(volume) for volume in (pair.sampled, pair.other))
    observations = _OBSERVATIONS_PER_ELEMENT * elements
    information = observations * _curvature(moves_mm, agreement.score(poses_at(moves_mm)))

    sampled_lps, other_lps = _points_of(pair, pairs)
    unit = np.concatenate([np.zeros((1, 6)), np.eye(6)])
    placed_lps = [apply_matrix(matrix, sampled_lps).ravel() for matrix in agreement.matrices_of(poses_at(unit))]
    misfit_mm = other_lps.ravel() - placed_lps[0]
    jacobian = (np.array(placed_lps[1:]) - placed_lps[0]).T
    variance = _variance(pairs, fit)
    move_mm = np.linalg.solve(information + jacobian.T @ jacobian / variance, jacobian.T @ misfit_mm / variance)
    return agreement.matrices_of(poses_at(move_mm[None]))[0]


def _curvature(moves_mm: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Negative second derivatives, shape (6, 6), of a quadratic surface through scores; nowhere below zero."""
    first, second = np.triu_indices(6)
    products = moves_mm[:, first] * moves_mm[:, second]
    terms = np.concatenate([np.ones((len(scores), 1)), moves_mm, products], axis=1)
    coefficients = np.linalg.lstsq(terms, scores, rcond=None)[0][7:]
    hessian = np.zeros((6, 6))
    hessian[first, second] = coefficients
    values, vectors = np.linalg.eigh(-(hessian + hessian.T))
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _resolution_elements(volume: EngineVolume) -> float:
    """Cubes of the full width at half maximum of the smoothness of a volume that it holds."""
    lattice = lattice_of(volume, _RESEL_SPACING_MM)
    values = class_coordinates(lattice, _CLASSES)
    # For a Gaussian field var(difference of neighbours) = var h^2 / (2 s^2), with its kernel's standard deviation s.
    slopes = [float(np.mean(np.diff(values, axis=axis) ** 2)) for axis in range(3)]
    widths = [np.sqrt(8 * np.log(2)) * np.sqrt(values.var() / (2 * max(slope, 1e-12))) for slope in slopes]
    return float(values.size / np.prod(widths))


def _points_of(pair: Pair, pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of the sampled and of the other volume of the pair, where the start puts them, each of shape (N, 3)."""
    start_lps = pair.start_fixed_to_moving_lps
    if pair.sampled_is_moving:
        return pairs.moving_lps, apply_matrix(start_lps, pairs.fixed_lps)
    return pairs.fixed_lps, apply_matrix(np.linalg.inv(start_lps), pairs.moving_lps)


def _variance(pairs: Pairs, fit: LinearFit) -> float:
    """Of the localisation of the points along an axis, mm^2, both volumes together."""
    squares = float(((fit.to_fixed(pairs.moving_lps) - pairs.fixed_lps) ** 2).sum())
    return (squares + 3 * _USUAL_ERROR_MM**2) / (3 * len(pairs) - PARAMETERS["rigid"] + 3)


def _check_distance(pairs: Pairs, fit: LinearFit, refined_lps: NDArray[np.float64]) -> None:
    """Refuse where the images lead farther from the fit of the points than these can be wrong."""
    error_mm = localisation_error_from_fit("rigid", fit, pairs.moving_lps, pairs.fixed_lps) or 0.0
    radius_mm = max(_LOCALISATION_ERRORS * error_mm, _MIN_RADIUS_MM)
    fitted_lps = apply_matrix(fit.fixed_to_moving_lps, pairs.fixed_lps)
    distance_mm = float(np.linalg.norm(refined_lps - fitted_lps, axis=1).max())
    if distance_mm > radius_mm:
        raise InputError(
            pairs.moving.name,
            f"the images agree best with a point {distance_mm:.0f} mm away from the fit of the pairs, where up to "
            f"{radius_mm:.0f} mm can be expected",
            "Check the pairs and the volumes: pairs may be exchanged, or the volumes may have too little in common.",
        )


class _Patches:
    """The surroundings of points in one volume.

    Parameters
    ----------
    lattice : Lattice
        The smoothed volume.
    to_lattice_lps : array, shape (4, 4)
        From points of the volume to those of its lattice.
    name : str
        Of the volume.
    """

    def __init__(self, lattice: Lattice, to_lattice_lps: NDArray[np.float64], name: str) -> None:
        self._lattice, self._name = lattice, name
        self._to_ijk = np.linalg.inv(lattice.ijk_to_lps) @ to_lattice_lps
        self._classes = class_coordinates(lattice, _FINE_CLASSES)
        side = np.arange(-_PATCH_RADIUS_MM, _PATCH_RADIUS_MM + _PATCH_STEP_MM / 2, _PATCH_STEP_MM)
        cube = np.array(np.meshgrid(side, side, side)).reshape(3, -1).T
        self._offsets = cube[np.linalg.norm(cube, axis=1) <= _PATCH_RADIUS_MM]

    def problem(self, point_lps: NDArray[np.float64]) -> str:
        """Why a point of the volume, shape (3,), cannot be judged by what is around it; empty where it can."""
        index = apply_matrix(self._to_ijk, point_lps + self._offsets)
        shown = self._lattice.shows(index)
        if shown.mean() < _MIN_SHOWN:
            return f"less than half of the {_PATCH_RADIUS_MM:.0f} mm around it lies in '{self._name}'"
        values = map_coordinates(self._classes, index[shown].T[::-1], order=1, mode="nearest")
        if values.std() < _MIN_CONTRAST:
            return f"within {_PATCH_RADIUS_MM:.0f} mm of it '{self._name}' shows nothing"
        return ""
