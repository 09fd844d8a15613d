r"""Thin-plate spline through pairs of landmarks.

In three dimensions the spline that bends least has the kernel :math:`|r|` (Bookstein 1989, doi:10.1109/34.24792; Wahba
1990, doi:10.1137/1.9781611970128): :math:`f(p) = A p + b + \sum_i c_i |p - p_i|`, with
:math:`\sum c_i = 0` and :math:`\sum c_i p_i^T = 0`. It is the one of ``vtkThinPlateSplineTransform`` with the basis R,
which transform nodes use. A stiffness adds :math:`\lambda I` to the kernel matrix: the spline then passes near the
landmarks instead of through them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from ..core.errors import RegistrationError
from ..core.point_fit import fit_affine

__all__ = ["ThinPlateSpline"]

_INVERSE_TOLERANCE_MM = 1e-7
_MOST_ITERATIONS = 100
_DIFFERENCE_MM = 1e-3


@dataclass(frozen=True)
class ThinPlateSpline:
    """A thin-plate spline from the fixed to the moving volume, which is the direction that resampling needs.

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (N, 3)
        Pairs of landmarks, LPS, mm; at least 4 fixed points that are not in one plane.
    stiffness_mm : float, optional
        0 passes through every landmark; the larger, the closer to an affine transform.
    weights : array, shape (N,), optional
        The stiffness of each landmark is divided by its weight, relative to the mean weight.
    """

    fixed_lps: NDArray[np.float64]
    moving_lps: NDArray[np.float64]
    stiffness_mm: float = 0.0
    weights: NDArray[np.float64] | None = None
    _spline: RBFInterpolator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        share = 1.0 if self.weights is None else self.weights / self.weights.mean()
        smoothing = np.broadcast_to(self.stiffness_mm / share, len(self.fixed_lps))
        spline = RBFInterpolator(self.fixed_lps, self.moving_lps, kernel="linear", degree=1, smoothing=smoothing)
        object.__setattr__(self, "_spline", spline)

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map fixed points, shape (N, 3), LPS, mm, to moving ones."""
        return np.asarray(self._spline(np.asarray(fixed_lps, dtype=np.float64)))

    def to_fixed(self, moving_lps: ArrayLike) -> NDArray[np.float64]:
        """Map moving points, shape (N, 3), LPS, mm, to fixed ones: the inverse, by damped Newton iterations.

        Raises
        ------
        RegistrationError
            The spline folds, so that a point has no inverse.
        """
        target = np.asarray(moving_lps, dtype=np.float64)
        # From the nearest landmark, so that landmarks come back to themselves even where the spline folds beside them.
        nearest = cKDTree(self.moving_lps).query(target)[1]
        backward = fit_affine(self.moving_lps, self.fixed_lps)[:3, :3]
        found = self.fixed_lps[nearest] + (target - self.moving_lps[nearest]) @ backward.T
        miss = self.to_moving(found) - target
        for _ in range(_MOST_ITERATIONS):
            todo = np.flatnonzero(np.linalg.norm(miss, axis=1) > _INVERSE_TOLERANCE_MM)
            if not len(todo):
                return found
            step = _newton_steps(self.jacobian(found[todo]), miss[todo])
            for share in (1.0, 0.5, 0.25, 0.125):
                tried = found[todo] - share * step
                missed = self.to_moving(tried) - target[todo]
                better = np.linalg.norm(missed, axis=1) < np.linalg.norm(miss[todo], axis=1)
                found[todo[better]], miss[todo[better]] = tried[better], missed[better]
                todo, step = todo[~better], step[~better]
                if not len(todo):
                    break
        point = int(np.argmax(np.linalg.norm(miss, axis=1)))
        raise RegistrationError(
            "The thin-plate spline",
            f"folds: the moving point {np.round(target[point], 1).tolist()} (LPS) has no inverse",
            "Look for exchanged or misplaced landmarks, or give the spline a stiffness.",
        )

    def jacobian(self, fixed_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivative of the moving by the fixed point at fixed points, shape (N, 3), as an array (N, 3, 3)."""
        steps = _DIFFERENCE_MM * np.eye(3)
        ahead, behind = (self.to_moving((fixed_lps[:, None] + sign * steps).reshape(-1, 3)) for sign in (1, -1))
        # The middle axis counts the direction of the step, which is the column of the derivative.
        return np.asarray((ahead - behind).reshape(-1, 3, 3).swapaxes(1, 2) / (2 * _DIFFERENCE_MM))


def _newton_steps(jacobians: NDArray[np.float64], miss: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions of ``jacobian @ step = miss``, shape (N, 3); the shortest one nearest to it where there is none."""
    try:
        return np.asarray(np.linalg.solve(jacobians, miss[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        # Beside two landmarks that have the same partner the spline may be flat in one direction, at a point.
        return np.asarray((np.linalg.pinv(jacobians) @ miss[:, :, None])[:, :, 0])
