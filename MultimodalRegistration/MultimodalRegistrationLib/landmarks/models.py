"""The models that landmarks can be fitted with, and one way to fit any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from ..core.errors import InputError, RegistrationError
from ..core.linear import (
    LARGEST_CONDITION,
    apply_matrix,
    condition_number,
    fit_affine,
    fit_rigid,
    fit_similarity,
    fit_translation,
)
from .confidence import Confidence
from .thin_plate import ThinPlateSpline

ModelName = Literal["translation", "rigid", "similarity", "affine", "tps"]
MODELS: tuple[ModelName, ...] = get_args(ModelName)
MIN_PAIRS: dict[ModelName, int] = {"translation": 1, "rigid": 3, "similarity": 3, "affine": 4, "tps": 4}
# A thin-plate spline has as many parameters as its points have coordinates.
PARAMETERS: dict[str, int] = {"translation": 3, "rigid": 6, "similarity": 7, "affine": 12}
# In how many dimensions the points have to spread.
_DIMENSIONS: dict[ModelName, int] = {"translation": 0, "rigid": 2, "similarity": 2, "affine": 3, "tps": 3}
# A spread below this share of the largest one is rounding, not geometry.
_FLAT = 1e-6
_MAX_STEPS = 200
_SETTLED = 1e-12


@dataclass(frozen=True)
class LinearFit:
    """A linear transform.

    Parameters
    ----------
    moving_to_fixed_lps : array, shape (4, 4)
        LPS, mm.
    """

    moving_to_fixed_lps: NDArray[np.float64]

    @property
    def fixed_to_moving_lps(self) -> NDArray[np.float64]:
        """The inverse, shape (4, 4): the resampling direction."""
        return np.asarray(np.linalg.inv(self.moving_to_fixed_lps))

    def to_fixed(self, moving_lps: ArrayLike) -> NDArray[np.float64]:
        """Map moving points, shape (N, 3), LPS, mm, to fixed ones."""
        return apply_matrix(self.moving_to_fixed_lps, moving_lps)

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map fixed points, shape (N, 3), LPS, mm, to moving ones."""
        return apply_matrix(self.fixed_to_moving_lps, fixed_lps)


# A transform between the two volumes, with `to_fixed` and `to_moving`.
Fit = LinearFit | ThinPlateSpline

# The volumes as files or nodes place them.
UNFITTED = LinearFit(np.eye(4))


class FitOptions(TypedDict, total=False):
    """How a model is fitted: the keyword arguments of :func:`fit_model`."""

    confidence: Confidence | None
    stiffness_mm: float
    reflection: bool


def is_determined(model: ModelName, moving_lps: NDArray[np.float64], fixed_lps: NDArray[np.float64]) -> bool:
    """Whether pairs, shape (N, 3), LPS, mm, are enough and spread enough in both lists for the model."""
    if len(moving_lps) < MIN_PAIRS[model]:
        return False
    return min(_dimensions(moving_lps), _dimensions(fixed_lps)) >= _DIMENSIONS[model]


def _dimensions(points: NDArray[np.float64]) -> int:
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return int((spread > max(_FLAT * spread[0], 1e-9)).sum())


def fit_model(
    model: ModelName,
    moving_lps: NDArray[np.float64],
    fixed_lps: NDArray[np.float64],
    *,
    confidence: Confidence | None = None,
    stiffness_mm: float = 0.0,
    reflection: bool = False,
) -> Fit:
    """Fit a model to pairs of points.

    Parameters
    ----------
    model : str
        One of :data:`MODELS`.
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs, LPS, mm; :func:`is_determined` holds for them.
    confidence : Confidence, optional
        Weights or covariances; all pairs alike by default.
    stiffness_mm : float, optional
        Of the thin-plate spline.
    reflection : bool, optional
        Whether the transform may mirror.

    Returns
    -------
    Fit
        A :class:`LinearFit` or a :class:`ThinPlateSpline`.

    Raises
    ------
    InputError
        Covariances for another model than rigid, an affine fit that mirrors though it may not, or one that cannot be
        inverted.
    """
    confidence = confidence or Confidence()
    weights = confidence.weights
    if confidence.moving_covariances is not None and confidence.fixed_covariances is not None:
        if model != "rigid" or reflection:
            found = f"for the model '{model}'" if model != "rigid" else "with a reflection allowed"
            remedy = "Give plain weights instead, or use 'rigid' without a reflection."
            raise InputError("The uncertainties", f"given by direction, {found}", remedy)
        return LinearFit(
            fit_rigid_anisotropic(moving_lps, fixed_lps, confidence.moving_covariances, confidence.fixed_covariances)
        )
    if model == "translation":
        return LinearFit(fit_translation(moving_lps, fixed_lps, weights))
    if model == "rigid":
        return LinearFit(fit_rigid(moving_lps, fixed_lps, weights, reflection=reflection))
    if model == "similarity":
        return LinearFit(fit_similarity(moving_lps, fixed_lps, weights, reflection=reflection))
    affine = fit_affine(moving_lps, fixed_lps, weights)
    condition = condition_number(affine)
    if condition > LARGEST_CONDITION:
        raise InputError(
            "The landmarks",
            f"the affine fit cannot be inverted (condition number {condition:.3g})",
            "Place points that are not in one plane, or use a rigid or similarity model.",
        )
    if np.linalg.det(affine[:3, :3]) < 0 and not reflection:
        raise InputError(
            "The landmarks",
            f"the {model} fit mirrors (determinant {np.linalg.det(affine[:3, :3]):.3g})",
            "Look for exchanged left and right labels; allow a reflection only if one volume really is mirrored.",
        )
    if model == "affine":
        return LinearFit(affine)
    return ThinPlateSpline(fixed_lps, moving_lps, stiffness_mm, weights)


def difference_covariances(
    moving_to_fixed_lps: ArrayLike, moving_covariances: ArrayLike, fixed_covariances: ArrayLike
) -> NDArray[np.float64]:
    """Covariance of the difference of each pair.

    Parameters
    ----------
    moving_to_fixed_lps : array, shape (4, 4)
        Linear transform.
    moving_covariances, fixed_covariances : array, shape (N, 3, 3)
        Of the localisation errors, mm^2, each in LPS of its own volume.

    Returns
    -------
    array, shape (N, 3, 3)
        In LPS of the fixed volume, mm^2.
    """
    linear = np.asarray(moving_to_fixed_lps, dtype=np.float64)[:3, :3]
    return np.asarray(linear @ np.asarray(moving_covariances) @ linear.T + np.asarray(fixed_covariances))


def rigid_jacobian(points_lps: NDArray[np.float64], center_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivative of points by a small rotation vector about a centre and a translation.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        Points in mm.
    center_lps : array, shape (3,)
        Centre of rotation.

    Returns
    -------
    array, shape (N, 3, 6)
        Three columns for the rotation in mm per radian, three for the translation.
    """
    x, y, z = (points_lps - center_lps).T
    zero = np.zeros_like(x)
    # omega x r = -[r]_x omega
    turned = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], axis=1).reshape(-1, 3, 3)
    return np.concatenate([turned, np.broadcast_to(np.eye(3), turned.shape)], axis=2)


def fit_rigid_anisotropic(
    moving_lps: ArrayLike, fixed_lps: ArrayLike, moving_covariances: ArrayLike, fixed_covariances: ArrayLike
) -> NDArray[np.float64]:
    r"""Best rotation and translation for localisation errors that differ by direction.

    With covariances :math:`\Sigma_i` of a moving and :math:`\Lambda_i` of a fixed point, the difference
    :math:`e_i = R x_i + t - y_i` has the covariance :math:`C_i(R) = R \Sigma_i R^T + \Lambda_i`, and

    .. math:: \sum_i e_i^T\, C_i(R)^{-1}\, e_i

    is minimised. There is no closed form; the rotation is updated about its last value, and the covariances with it.

    Parameters
    ----------
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs of points, LPS, mm; at least 3 that are not on one line.
    moving_covariances, fixed_covariances : array, shape (N, 3, 3)
        Of the localisation errors, mm^2; their sum is positive definite.

    Returns
    -------
    array, shape (4, 4)
        ``moving_to_fixed_lps``.

    Raises
    ------
    RegistrationError
        The iteration does not settle.

    References
    ----------
    Balachandran and Fitzpatrick 2009, doi:10.1117/12.813887.
    """
    moving, fixed = np.asarray(moving_lps, dtype=np.float64), np.asarray(fixed_lps, dtype=np.float64)
    isotropic = np.trace(np.asarray(moving_covariances) + np.asarray(fixed_covariances), axis1=1, axis2=2)
    matrix = fit_rigid(moving, fixed, 1.0 / isotropic)
    radius_mm = float(np.linalg.norm(fixed - fixed.mean(axis=0), axis=1).max())
    for _ in range(_MAX_STEPS):
        moved = apply_matrix(matrix, moving)
        center = moved.mean(axis=0)
        # Whitened by the Cholesky factor of each inverse covariance.
        whiten = np.linalg.cholesky(
            np.linalg.inv(difference_covariances(matrix, moving_covariances, fixed_covariances))
        ).swapaxes(1, 2)
        jacobian = (whiten @ rigid_jacobian(moved, center)).reshape(-1, 6)
        residual = (whiten @ (fixed - moved)[:, :, None]).reshape(-1)
        step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        move = np.eye(4)
        move[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
        move[:3, 3] = center + step[3:] - move[:3, :3] @ center
        matrix = move @ matrix
        if max(radius_mm * np.linalg.norm(step[:3]), np.linalg.norm(step[3:])) < _SETTLED * (1.0 + radius_mm):
            return matrix
    raise RegistrationError(
        "The weighted rigid fit",
        f"does not settle within {_MAX_STEPS} steps",
        "The uncertainties differ too much between points or directions; give less extreme ones.",
    )
