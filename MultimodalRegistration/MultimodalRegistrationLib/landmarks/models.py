"""The models that landmarks can be fitted with, and one way to fit any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.linear import LARGEST_CONDITION, apply_matrix, condition_number
from ..core.point_fit import fit_affine, fit_rigid, fit_similarity, fit_translation
from .fit_anisotropic import fit_rigid_anisotropic
from .thin_plate import ThinPlateSpline

__all__ = [
    "FEWEST_PAIRS",
    "MODELS",
    "PARAMETERS",
    "Confidence",
    "Fit",
    "LinearFit",
    "ModelName",
    "fit_model",
    "is_determined",
]

ModelName = Literal["translation", "rigid", "similarity", "affine", "tps"]
MODELS: tuple[ModelName, ...] = get_args(ModelName)
FEWEST_PAIRS: dict[ModelName, int] = {"translation": 1, "rigid": 3, "similarity": 3, "affine": 4, "tps": 4}
# A thin-plate spline has as many parameters as its points have coordinates.
PARAMETERS: dict[str, int] = {"translation": 3, "rigid": 6, "similarity": 7, "affine": 12}
# In how many dimensions the points have to spread.
_DIMENSIONS: dict[ModelName, int] = {"translation": 0, "rigid": 2, "similarity": 2, "affine": 3, "tps": 3}
# A spread below this share of the largest one is rounding, not geometry.
_FLAT = 1e-6


class Fit(Protocol):
    """A transform between the two volumes."""

    def to_fixed(self, moving_lps: ArrayLike) -> NDArray[np.float64]:
        """Map moving points, shape (N, 3), LPS, mm, to fixed ones."""

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map fixed points, shape (N, 3), LPS, mm, to moving ones."""


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


@dataclass(frozen=True)
class Confidence:
    """How well each pair is localised: weights, or covariances, or neither.

    Parameters
    ----------
    weights : array, shape (N,), optional
        Positive; larger counts more.
    sd_mm : array, shape (N,), optional
        Localisation error of each pair, RMS in three dimensions, both volumes together, mm; the weights are 1 / sd_mm^2
        then.
    moving_covariances, fixed_covariances : array, shape (N, 3, 3), optional
        Of the localisation errors, mm^2, in LPS of each volume; both or none, and only for rigid.
    """

    weights: NDArray[np.float64] | None = None
    sd_mm: NDArray[np.float64] | None = None
    moving_covariances: NDArray[np.float64] | None = None
    fixed_covariances: NDArray[np.float64] | None = None

    @property
    def is_absolute(self) -> bool:
        """Whether the size of the localisation errors is known, not only their ratios."""
        return self.sd_mm is not None or self.moving_covariances is not None

    @property
    def relative_weights(self) -> NDArray[np.float64] | None:
        """One weight for each pair, mean 1; None when all count alike."""
        weights = self.weights
        if self.moving_covariances is not None and self.fixed_covariances is not None:
            weights = 1.0 / np.trace(self.moving_covariances + self.fixed_covariances, axis1=1, axis2=2)
        return None if weights is None else weights / weights.mean()

    @property
    def localisation_error_mm(self) -> float | None:
        """RMS localisation error of a pair of mean weight, both volumes together; None where only ratios are known."""
        if self.sd_mm is not None:
            return float(np.mean(self.sd_mm**-2.0) ** -0.5)
        if self.moving_covariances is not None and self.fixed_covariances is not None:
            squares = np.trace(self.moving_covariances + self.fixed_covariances, axis1=1, axis2=2)
            return float(np.mean(1.0 / squares) ** -0.5)
        return None

    @property
    def exchanged(self) -> Confidence:
        """The same where fixed and moving change places."""
        return Confidence(self.weights, self.sd_mm, self.fixed_covariances, self.moving_covariances)

    def of(self, kept: NDArray[np.bool_]) -> Confidence:
        """The same for the pairs that are kept, mask of shape (N,)."""
        parts = (self.weights, self.sd_mm, self.moving_covariances, self.fixed_covariances)
        return Confidence(*(None if part is None else part[kept] for part in parts))


def is_determined(model: ModelName, moving_lps: NDArray[np.float64], fixed_lps: NDArray[np.float64]) -> bool:
    """Whether pairs, shape (N, 3), LPS, mm, are enough and spread enough in both lists for the model."""
    if len(moving_lps) < FEWEST_PAIRS[model]:
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
        if model != "rigid":
            raise InputError(
                "The uncertainties", f"given by direction, for the model '{model}'", "Use 'rigid', or plain weights."
            )
        if reflection:
            raise InputError(
                "The uncertainties", "given by direction, with a reflection allowed", "Give plain weights instead."
            )
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
