r"""Error to expect away from the landmarks, from their configuration and how well they can be placed.

To first order the parameters of a least-squares fit with weights :math:`W_i` err by

.. math:: \delta\theta = \Big(\sum_i J_i^T W_i J_i\Big)^{-1} \sum_i J_i^T W_i\, \varepsilon_i ,

where :math:`J_i` is the derivative of the fitted point and :math:`\varepsilon_i`, of covariance :math:`C_i`, its
localisation error, both volumes together. A target errs by :math:`J(p)\,\delta\theta`. For a rigid fit with equal
weights and equal isotropic errors this is the formula of Fitzpatrick, West and Maurer 1998 (doi:10.1109/42.736021):

.. math:: TRE^2(p) = \frac{FLE^2}{N}\Big(1 + \frac13 \sum_{k=1}^3 \frac{d_k^2}{f_k^2}\Big),

with the distance :math:`d_k` of the target, and the RMS distance :math:`f_k` of the landmarks, from principal axis k. A
thin-plate spline is linear in the moving points, so its error is a weighted sum of theirs; that the tissue between the
landmarks moves otherwise than the spline is not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RBFInterpolator

from .confidence import Confidence
from .models import PARAMETERS, Fit, LinearFit, ModelName, difference_covariances, rigid_jacobian


@dataclass(frozen=True)
class ExpectedError:
    """First-order error of a landmark registration.

    Parameters
    ----------
    model : str
        Its model.
    fixed_lps : array, shape (N, 3)
        Landmarks in the fixed volume, LPS, mm.
    covariances : array, shape (N, 3, 3)
        Of the localisation error of each pair, both volumes together, in LPS of the fixed volume, mm^2.
    weighting : array, shape (N, 3, 3)
        What the fit weighted each pair with.
    stiffness_mm : float
        Of a thin-plate spline.
    """

    model: ModelName
    fixed_lps: NDArray[np.float64]
    covariances: NDArray[np.float64]
    weighting: NDArray[np.float64]
    stiffness_mm: float = 0.0

    @property
    def center_lps(self) -> NDArray[np.float64]:
        """Centroid of the fixed landmarks, shape (3,)."""
        return np.asarray(self.fixed_lps.mean(axis=0))

    @property
    def parameter_covariance(self) -> NDArray[np.float64]:
        """Covariance of the parameters of a linear model, shape (K, K).

        Rotation in rad, translation in mm, relative scale, of the model's in this order; rotations are about the axes
        of LPS through the centroid.
        """
        jacobian = self.jacobian(self.fixed_lps)
        weighted = jacobian.swapaxes(1, 2) @ self.weighting
        spread = (weighted @ self.covariances @ weighted.swapaxes(1, 2)).sum(axis=0)
        normal = np.linalg.inv((weighted @ jacobian).sum(axis=0))
        return np.asarray(normal @ spread @ normal)

    @property
    def rotation_sd_deg(self) -> tuple[float, ...] | None:
        """Standard deviation of the rotation about the left-right, the front-back and the head-foot axis, degrees."""
        if self.model not in ("rigid", "similarity"):
            return None
        return tuple(np.degrees(np.sqrt(np.diag(self.parameter_covariance)[:3])).tolist())

    @property
    def translation_sd_mm(self) -> tuple[float, ...] | None:
        """Standard deviation of the translation of the centroid along left-right, front-back and head-foot, mm."""
        if self.model not in ("translation", "rigid", "similarity"):
            return None
        start = 0 if self.model == "translation" else 3
        return tuple(np.sqrt(np.diag(self.parameter_covariance)[start : start + 3]).tolist())

    @property
    def scale_sd(self) -> float | None:
        """Standard deviation of the scale relative to itself; only of a similarity."""
        return float(np.sqrt(self.parameter_covariance[6, 6])) if self.model == "similarity" else None

    @property
    def weakest_rotation(self) -> tuple[float, tuple[float, ...]] | None:
        """Largest standard deviation of a rotation, degrees, and the unit axis in LPS about which it is."""
        if self.model not in ("rigid", "similarity"):
            return None
        values, vectors = np.linalg.eigh(self.parameter_covariance[:3, :3])
        return float(np.degrees(np.sqrt(values[-1]))), tuple(vectors[:, -1].tolist())

    def target_covariances(self, targets_lps: ArrayLike) -> NDArray[np.float64]:
        """Covariance of the registration error at fixed targets, shape (M, 3), LPS, mm, as (M, 3, 3), mm^2."""
        targets = np.asarray(targets_lps, dtype=np.float64)
        if self.model == "tps":
            # How much each landmark moves the spline at the targets, shape (M, N).
            strength = np.trace(self.weighting, axis1=1, axis2=2)
            smoothing = self.stiffness_mm * strength.mean() / strength
            unit = np.eye(len(self.fixed_lps))
            share = RBFInterpolator(self.fixed_lps, unit, kernel="linear", degree=1, smoothing=smoothing)(targets)
            return np.asarray(np.einsum("mi,mi,ijk->mjk", share, share, self.covariances))
        jacobian = self.jacobian(targets)
        return np.asarray(jacobian @ self.parameter_covariance @ jacobian.swapaxes(1, 2))

    def left_out_covariances(self) -> NDArray[np.float64]:
        """Covariance of the error to measure at each landmark of the fit to all others, as (N, 3, 3), mm^2.

        It is that of the fit and that of the landmark itself.
        """
        if self.model == "tps":
            count = np.arange(len(self.fixed_lps))
            found = []
            for number, point in enumerate(self.fixed_lps):
                kept = count != number
                rest = replace(
                    self,
                    fixed_lps=self.fixed_lps[kept],
                    covariances=self.covariances[kept],
                    weighting=self.weighting[kept],
                )
                found.append(rest.target_covariances(point[None])[0])
            return np.asarray(found + self.covariances)
        jacobian = self.jacobian(self.fixed_lps)
        weighted = jacobian.swapaxes(1, 2) @ self.weighting
        shares = (weighted @ self.covariances @ weighted.swapaxes(1, 2), weighted @ jacobian)
        spread, normal = (share.sum(axis=0) - share for share in shares)
        inverse = np.linalg.inv(normal)
        return np.asarray(jacobian @ inverse @ spread @ inverse @ jacobian.swapaxes(1, 2) + self.covariances)

    def target_rms_mm(self, targets_lps: ArrayLike) -> NDArray[np.float64]:
        """Expected RMS of the registration error at fixed targets, shape (M, 3), LPS, mm, as (M,), mm."""
        return np.asarray(np.sqrt(np.trace(self.target_covariances(targets_lps), axis1=1, axis2=2)))

    def jacobian(self, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivative of fixed points, shape (M, 3), LPS, mm, by the parameters of a linear model, as (M, 3, K)."""
        rigid = rigid_jacobian(points_lps, self.center_lps)
        relative = points_lps - self.center_lps
        if self.model == "translation":
            return rigid[:, :, 3:]
        if self.model == "rigid":
            return rigid
        if self.model == "similarity":
            return np.concatenate([rigid, relative[:, :, None]], axis=2)
        linear = relative[:, None, None, :] * np.eye(3)[None, :, :, None]
        return np.concatenate([linear.reshape(len(relative), 3, 9), rigid[:, :, 3:]], axis=2)


def localisation_error_from_fit(
    model: ModelName,
    fit: Fit,
    moving_lps: NDArray[np.float64],
    fixed_lps: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> float | None:
    r"""Localisation error that explains the fiducial error: :math:`FLE^2 = 3 \sum w_i |e_i|^2 / (3N - K)`, mean weight
    1.

    Parameters
    ----------
    model : str
        A linear model with K parameters.
    fit : Fit
        Its fit to the pairs.
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs, LPS, mm.
    weights : array, shape (N,), optional
        Those of the fit.

    Returns
    -------
    float or None
        RMS of the three-dimensional localisation error, both volumes together, mm. None where the fit leaves nothing
        to judge by.

    References
    ----------
    Sibson 1979, doi:10.1111/j.2517-6161.1979.tb01076.x: for rigid, FRE^2 = (1 - 2 / N) FLE^2.
    """
    degrees_of_freedom = 3 * len(moving_lps) - PARAMETERS.get(model, 3 * len(moving_lps))
    if degrees_of_freedom <= 0:
        return None
    share = np.ones(len(moving_lps)) if weights is None else weights / weights.mean()
    squares = ((fit.to_fixed(moving_lps) - fixed_lps) ** 2).sum(axis=1)
    return float(np.sqrt(3.0 * (share @ squares) / degrees_of_freedom))


def expected_error(
    model: ModelName,
    fit: Fit,
    fixed_lps: NDArray[np.float64],
    *,
    localisation_error_mm: float | None = None,
    confidence: Confidence | None = None,
    stiffness_mm: float = 0.0,
) -> ExpectedError:
    """Error to expect of a fit.

    Parameters
    ----------
    model : str
        Model of the fit.
    fit : Fit
        The transform; only its rotation matters, and only for covariances.
    fixed_lps : array, shape (N, 3)
        Fixed landmarks, LPS, mm.
    localisation_error_mm : float, optional
        RMS of the three-dimensional localisation error of a pair of mean weight, both volumes together; needed unless
        the confidence has covariances or standard deviations, which then count.
    confidence : Confidence, optional
        As for the fit. Weights are taken as inverse variances.
    stiffness_mm : float, optional
        Of a thin-plate spline.

    Returns
    -------
    ExpectedError
        Answers for any point.
    """
    confidence = confidence or Confidence()
    moving, fixed = confidence.moving_covariances, confidence.fixed_covariances
    if moving is not None and fixed is not None and isinstance(fit, LinearFit):
        covariances = difference_covariances(fit.moving_to_fixed_lps, moving, fixed)
        return ExpectedError(model, fixed_lps, covariances, np.asarray(np.linalg.inv(covariances)), stiffness_mm)
    if confidence.sd_mm is not None:
        localisation_error_mm = confidence.localisation_error_mm
    if localisation_error_mm is None:
        raise ValueError("a localisation error is needed where there are no covariances")
    weights = np.ones(len(fixed_lps)) if confidence.weights is None else confidence.weights / confidence.weights.mean()
    weighting = weights[:, None, None] * np.eye(3)
    return ExpectedError(
        model, fixed_lps, localisation_error_mm**2 / 3.0 * np.linalg.inv(weighting), weighting, stiffness_mm
    )
