"""Which pairs spoil a fit: single wrong positions, exchanged partners, or a mirror image.

A pair with a wrong position is a shift of the mean in three coordinates: with ``Q`` the sum of squares of a fit with
``p`` parameters to ``n`` pairs and ``Q_i`` the one without pair ``i``,

    F_i = ((Q - Q_i) / 3) / (Q_i / v),    v = 3 (n - 1) - p,

follows the F distribution with 3 and ``v`` degrees of freedom when nothing is wrong: the externally studentised
residual in three coordinates, which needs no knowledge of the noise (Cook 1977, doi:10.1080/00401706.1977.10489493;
Beckman and Cook 1983, doi:10.1080/00401706.1983.10487840). Of ``n`` pairs the largest counts, so the level of 0.006 is
divided by ``n`` (Bonferroni). Several wrong positions hide each other, so pairs are removed in turn, and all up to the
last significant step are reported (generalised extreme studentised deviate, Rosner 1983,
doi:10.1080/00401706.1983.10487848); further steps count at 0.0001.

Where the user states the localisation error, ``(Q - Q_i) / s^2`` follows the chi-squared distribution with 3 degrees of
freedom instead, which shows much smaller outliers among few pairs.

An exchange and a reflection add no parameter; they are judged by the profile likelihood ratio
``(v / 2) log(Q / Q')``, ``v = 3 n - p``, which must reach 1000 to 1, for an exchange times the number of possible ones.
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# The tails of these distributions without all of scipy.stats, which would slow the start of every command.
from scipy.special import chdtrc, fdtrc

from ..core.linear import superpose
from .models import PARAMETERS

_LEVEL = 0.006
_LATER_LEVEL = 0.0001
_CLEAR = float(np.log(1000.0))
_MIN_MM2 = 1e-6
_CHUNK = 2_000
Linear = Literal["translation", "rigid", "similarity", "affine"]


def outliers(
    fixed: NDArray[np.float64],
    moving: NDArray[np.float64],
    model: Linear,
    weights: NDArray[np.float64],
    variance_mm2: float | None = None,
) -> list[int]:
    """Pairs with a wrong position, the worst first; none where no degrees of freedom are left.

    Parameters
    ----------
    fixed, moving : array, shape (N, 3)
        Partners, LPS, mm.
    model : str
        Of the fit.
    weights : array, shape (N,)
        Inverse variances but for a common factor, mean 1.
    variance_mm2 : float, optional
        Of the localisation error on each axis, of a pair of weight 1, where it is known.

    Returns
    -------
    list of int
        Positions in the list of pairs.
    """
    left = list(range(len(fixed)))
    removed: list[int] = []
    significant = 0
    for step in range(max(1, len(fixed) // 4)):
        n = len(left)
        freedom = 3 * (n - 1) - PARAMETERS[model]
        if freedom < 1:
            break
        keep = np.array([[j for j in left if j != i] for i in left])
        squares = misfit(fixed[left], moving[left], model, weights[left]) + _MIN_MM2 * n
        without = misfit(fixed[keep], moving[keep], model, weights[keep]) + _MIN_MM2 * n
        worst = int(without.argmin())
        if variance_mm2 is not None:
            chance = float(chdtrc(3, (squares - without[worst]) / variance_mm2))
        else:
            ratio = ((squares - without[worst]) / 3) / (without[worst] / freedom)
            chance = float(fdtrc(3, freedom, ratio))
        removed.append(left.pop(worst))
        if chance * n < (_LATER_LEVEL if step else _LEVEL):
            significant = step + 1
    return removed[:significant]


def exchange(
    fixed: NDArray[np.float64], moving: NDArray[np.float64], model: Linear, weights: NDArray[np.float64]
) -> tuple[float, tuple[int, int]]:
    """The exchange of two partners that gains most.

    Parameters
    ----------
    fixed, moving : array, shape (N, 3)
        Partners, LPS, mm.
    model : str
        Of the fit.
    weights : array, shape (N,)
        Inverse variances but for a common factor, mean 1.

    Returns
    -------
    gain : float
        Logarithm of the profile likelihood ratio less the threshold: above zero where the exchange is clearly better.
    pair : tuple of 2 int
        Positions in the list of pairs.
    """
    n = len(fixed)
    freedom = 3 * n - PARAMETERS[model]
    couples = list(combinations(range(n), 2))
    if freedom < 1 or not couples:
        return -np.inf, (0, 0)
    orders = np.tile(np.arange(n), (len(couples), 1))
    for order, (a, b) in zip(orders, couples, strict=True):
        order[[a, b]] = b, a
    exchanged = np.concatenate(
        [
            misfit(np.broadcast_to(fixed, (len(part), *fixed.shape)), moving[part], model, weights)
            for part in np.split(orders, range(_CHUNK, len(orders), _CHUNK))
        ]
    )
    best = int(exchanged.argmin())
    gain = _gain(misfit(fixed, moving, model, weights), exchanged[best], n, freedom) - np.log(len(couples))
    a, b = couples[best]
    rest = [i for i in range(n) if i not in (a, b)]
    spare = 3 * len(rest) - PARAMETERS[model]
    if gain > 0 and spare >= 1:
        # An exchange that leaves its own two pairs misfitting does not explain the misfit.
        without = misfit(fixed[rest], moving[rest], model, weights[rest]) + _MIN_MM2 * n
        ratio = ((exchanged[best] + _MIN_MM2 * n - without) / 6) / (without / spare)
        if fdtrc(6, spare, ratio) < 1e-4:
            return -np.inf, (a, b)
    return gain, (a, b)


def reflection_gain(
    fixed: NDArray[np.float64], moving: NDArray[np.float64], model: Linear, weights: NDArray[np.float64]
) -> float:
    """Logarithm of the profile likelihood ratio of a mirror image less the threshold: above zero where one is clear.

    Parameters
    ----------
    fixed, moving : array, shape (N, 3)
        Partners, LPS, mm.
    model : str
        Of the fit. Rigid fits are compared for the translation, similarities for the affine model, which would absorb
        a reflection.
    weights : array, shape (N,)
        Inverse variances but for a common factor, mean 1.

    Returns
    -------
    float
        Above zero where only a mirror image fits.
    """
    compared: Linear = "rigid" if model in ("translation", "rigid") else "similarity"
    n = len(fixed)
    freedom = 3 * n - PARAMETERS[compared]
    if n < 4:
        return -np.inf
    proper, mirrored = (misfit(fixed, moving, compared, weights, mirrored=one) for one in (False, True))
    return _gain(proper, mirrored, n, freedom)


def _gain(squares: NDArray[np.float64], other: NDArray[np.float64], n: int, freedom: int) -> float:
    floor = _MIN_MM2 * n
    return float(0.5 * freedom * np.log((squares + floor) / (other + floor)) - _CLEAR)


def misfit(
    fixed_lps: NDArray[np.float64],
    moving_lps: NDArray[np.float64],
    model: Linear,
    weights: NDArray[np.float64] | None = None,
    *,
    mirrored: bool = False,
) -> NDArray[np.float64]:
    """Sum of squared distances of partners after the best fit, mm^2.

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (..., N, 3)
        Partners, LPS, mm.
    model : {"translation", "rigid", "similarity", "affine"}
        Of ``fixed_to_moving_lps``.
    weights : array, shape (..., N), optional
        Of the squared distances; all one by default.
    mirrored : bool, optional
        With a reflection (rigid and similarity).

    Returns
    -------
    array, shape (...,)
        Sums of squares in the moving frame.
    """
    each = np.ones(fixed_lps.shape[-2]) if weights is None else weights
    share = (each / each.sum(axis=-1, keepdims=True))[..., None]
    fixed = fixed_lps - np.sum(share * fixed_lps, axis=-2, keepdims=True)
    moving = moving_lps - np.sum(share * moving_lps, axis=-2, keepdims=True)
    if model == "translation":
        return np.asarray(np.sum(each[..., None] * (moving - fixed) ** 2, axis=(-1, -2)))
    if model == "affine":
        root = np.sqrt(each)[..., None]
        fixed, moving = root * fixed, root * moving
        residual = moving - fixed @ (np.linalg.pinv(fixed) @ moving)
        return np.asarray(np.sum(residual**2, axis=(-1, -2)))
    rotation, _, squares = superpose(fixed, moving, each, mirrored=mirrored)
    if model == "rigid":
        return squares
    mapped = fixed @ np.swapaxes(rotation, -1, -2)
    scale = np.sum(share * mapped * moving, axis=(-1, -2)) / np.maximum(np.sum(share * fixed**2, axis=(-1, -2)), 1e-12)
    return np.asarray(np.sum(each[..., None] * (moving - scale[..., None, None] * mapped) ** 2, axis=(-1, -2)))
