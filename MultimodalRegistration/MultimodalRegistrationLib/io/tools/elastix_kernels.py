r"""Spline kernel transforms of elastix, from landmarks.

:math:`f(p) = p + A p + b + \sum_i G(p - p_i)\,d_i`, with :math:`\sum_i d_i = 0` and :math:`\sum_i d_i p_i^T = 0`,
through the landmarks, or with the stiffness :math:`\lambda` added to the diagonal of the kernel matrix near them. The
kernels in three dimensions are :math:`|r| I` (thin plate), :math:`|r|^3 I` (volume spline), :math:`\alpha |r|^3 I - 3
|r| r r^T` (elastic body) and :math:`\alpha |r| I - r r^T / |r|` (reciprocal elastic body), see Davis et al. 1997,
doi:10.1109/42.585767.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["KERNELS", "KernelSpline"]


# Of the kernels that are a power of the distance.
_POWERS = {"ThinPlateSpline": 1, "VolumeSpline": 3}


def _radial(power: int) -> Callable[[NDArray[np.float64], float], NDArray[np.float64]]:
    def kernel(offsets: NDArray[np.float64], poisson_ratio: float) -> NDArray[np.float64]:
        radius = np.linalg.norm(offsets, axis=-1)
        return np.asarray((radius**power)[..., None, None] * np.eye(3))

    return kernel


def _elastic(offsets: NDArray[np.float64], poisson_ratio: float) -> NDArray[np.float64]:
    alpha = 12.0 * (1.0 - poisson_ratio) - 1.0
    radius = np.linalg.norm(offsets, axis=-1)[..., None, None]
    return np.asarray(alpha * radius**3 * np.eye(3) - 3.0 * radius * offsets[..., :, None] * offsets[..., None, :])


def _reciprocal(offsets: NDArray[np.float64], poisson_ratio: float) -> NDArray[np.float64]:
    alpha = 8.0 * (1.0 - poisson_ratio) - 1.0
    radius = np.linalg.norm(offsets, axis=-1)[..., None, None]
    with np.errstate(divide="ignore"):
        share = np.where(radius > 1e-8, 1.0 / radius, 0.0)
    return np.asarray(alpha * radius * np.eye(3) - share * offsets[..., :, None] * offsets[..., None, :])


KERNELS = {
    **{kind: _radial(power) for kind, power in _POWERS.items()},
    "ElasticBodySpline": _elastic,
    "ElasticBodyReciprocalSpline": _reciprocal,
}


@dataclass(frozen=True)
class KernelSpline:
    """A spline through pairs of landmarks.

    Parameters
    ----------
    kernel : str
        One of :data:`KERNELS`.
    fixed_lps, moving_lps : array, shape (N, 3)
        Landmarks, LPS, mm; at least four that are not in a plane.
    stiffness : float
        0 passes through the landmarks.
    poisson_ratio : float
        Of the elastic bodies.

    Raises
    ------
    numpy.linalg.LinAlgError
        The landmarks lie in a plane, or one is given twice.
    """

    kernel: str
    fixed_lps: NDArray[np.float64]
    moving_lps: NDArray[np.float64]
    stiffness: float
    poisson_ratio: float
    _weights: NDArray[np.float64] = field(init=False, repr=False)
    _affine: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.fixed_lps)
        blocks = KERNELS[self.kernel](self.fixed_lps[:, None] - self.fixed_lps[None], self.poisson_ratio)
        blocks[np.arange(count), np.arange(count)] = self.stiffness * np.eye(3)
        kernel = blocks.swapaxes(1, 2).reshape(3 * count, 3 * count)
        homogeneous = np.column_stack([self.fixed_lps, np.ones(count)])
        polynomial = np.kron(homogeneous, np.eye(3))
        system = np.block([[kernel, polynomial], [polynomial.T, np.zeros((12, 12))]])
        displacements = np.concatenate([(self.moving_lps - self.fixed_lps).ravel(), np.zeros(12)])
        found = np.linalg.solve(system, displacements)
        object.__setattr__(self, "_weights", found[: 3 * count].reshape(count, 3))
        object.__setattr__(self, "_affine", found[3 * count :].reshape(4, 3))

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map fixed points, shape (N, 3), LPS, mm, to moving ones."""
        points = np.asarray(fixed_lps, dtype=np.float64)
        if self.kernel in _POWERS:
            # Few files need it, and the import would slow the start of every command.
            from scipy.spatial.distance import cdist

            bent = cdist(points, self.fixed_lps) ** _POWERS[self.kernel] @ self._weights
        else:
            blocks = KERNELS[self.kernel](points[:, None] - self.fixed_lps[None], self.poisson_ratio)
            bent = np.einsum("nmij,mj->ni", blocks, self._weights)
        return np.asarray(points + np.column_stack([points, np.ones(len(points))]) @ self._affine + bent)
