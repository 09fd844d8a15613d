"""How strongly two point sets speak for a correspondence, against chance.

Each point without a partner lies anywhere in a region of volume ``V``; a partner lies at the image of its point plus
normal noise of standard deviation ``s`` on each axis. Integrated over all rotations, the translations in ``V`` and
``s``, and with each way of choosing ``k`` partners equally likely, the weight of a correspondence against chance is

    w = V^(k-1) E_s[ (2 pi s^2)^(-3k/2) exp(-Q / 2s^2) (2 pi s^2 / k)^(3/2) prod_i (2 pi s^2 / J_i)^(1/2) / 8 pi^2 ]
        / (C(n, k) C(m, k) k!)

with ``Q`` the sum of squared residuals and ``J`` the moments of inertia about the centroid (Laplace's approximation of
the integral over the pose; Kass and Raftery 1995, doi:10.1080/01621459.1995.10476572). Where two sets have nothing to
do with each other, the expected sum of ``w`` over all correspondences of ``k`` pairs is one, so ``w`` compares directly
with the number of chance matches that are to be expected. Before the points are looked at, one couple of lists in a
hundred is thought to be unrelated, and one in a hundred to be a mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from ..core.superpose import superpose

__all__ = ["Weigher", "weigher_for"]

_MIRRORED_SHARE = 0.01
_UNRELATED_SHARE = 0.01
_NOISE_STEPS = 10
_SMALLEST_SHARE = 0.08


@dataclass(frozen=True)
class Weigher:
    """Weighs correspondences between two point sets.

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (N, 3) and (M, 3)
        The points, LPS, mm.
    log_volume : float
        Logarithm of the volume of the region, mm^3.
    noise_mm : array, shape (S,)
        Standard deviations on each axis that are thought possible, all equally likely.
    """

    fixed_lps: NDArray[np.float64]
    moving_lps: NDArray[np.float64]
    log_volume: float
    noise_mm: NDArray[np.float64]

    def log_weight(self, fixed_index: NDArray[np.intp], moving_index: NDArray[np.intp], *, mirrored: bool) -> float:
        """Natural logarithm of the weight of a correspondence against chance; pair by pair, three pairs or more."""
        fixed, moving = self.fixed_lps[fixed_index], self.moving_lps[moving_index]
        _, _, squares = superpose(fixed, moving, mirrored=mirrored)
        k = len(fixed)
        scatter = np.cov(fixed.T, bias=True) * k
        inertia = np.maximum(np.linalg.eigvalsh(np.trace(scatter) * np.eye(3) - scatter), 1e-9)
        unit = 2 * np.pi * self.noise_mm**2
        # A rotation about an axis that the points do not determine costs nothing: the whole turn is one.
        turns = np.minimum(0.5 * np.log(unit[:, None] / inertia[None, :]), np.log(8 * np.pi**2) / 3).sum(axis=1)
        logs = -1.5 * k * np.log(unit) - squares / (2 * self.noise_mm**2) + 1.5 * np.log(unit / k) + turns
        value = float(logsumexp(logs)) - np.log(len(self.noise_mm)) - np.log(8 * np.pi**2)
        value += (k - 1) * self.log_volume - self._log_choices(k)
        return value + (np.log(_MIRRORED_SHARE) if mirrored else 0.0)

    @property
    def log_chance(self) -> float:
        """Logarithm of the weight of sets that have nothing to do with each other."""
        return float(np.log((min(len(self.fixed_lps), len(self.moving_lps)) + 1) * _UNRELATED_SHARE))

    def _log_choices(self, k: int) -> float:
        n, m = len(self.fixed_lps), len(self.moving_lps)
        return float(gammaln(n + 1) - gammaln(n - k + 1) + gammaln(m + 1) - gammaln(m - k + 1) - gammaln(k + 1))


def weigher_for(fixed_lps: NDArray[np.float64], moving_lps: NDArray[np.float64], *, largest_noise_mm: float) -> Weigher:
    """A weigher with the region and noise of two point sets.

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (N, 3) and (M, 3)
        The points, LPS, mm.
    largest_noise_mm : float
        Largest standard deviation on each axis of the distance between partners.

    Returns
    -------
    Weigher
        The region is the ellipsoid whose uniform filling has the scatter of the points, the smaller one of both sets.
    """
    noise = np.geomspace(_SMALLEST_SHARE, 1.0, _NOISE_STEPS) * largest_noise_mm
    volumes = []
    for points in (fixed_lps, moving_lps):
        spread = np.maximum(np.linalg.eigvalsh(np.cov(points.T)), largest_noise_mm**2)
        volumes.append(np.log(4 * np.pi / 3) + 0.5 * float(np.log(5 * spread).sum()))
    return Weigher(fixed_lps, moving_lps, min(volumes), noise)
