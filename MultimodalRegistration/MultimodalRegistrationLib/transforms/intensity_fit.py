r"""Least squares of intensities: where one volume shows the very voxels of another.

A resampled volume is :math:`R(x) = M(T x)` with the original :math:`M`, interpolated linearly. With the right
:math:`T` the residual is nothing but rounding, so that Gauss-Newton steps on

.. math:: \sum_i \rho\left( M(T x_i) - R(x_i) \right), \qquad T \leftarrow T \exp\Big( \sum_k \delta_k G_k \Big)

end within thousandths of a voxel. :math:`\rho` is Huber's function, so that single voxels that were changed weigh
little. The generators :math:`G_k` are those of rigid, similarity or affine motions about the middle of the points; a
rigid :math:`T` stays rigid. Larger starting errors are caught on volumes that are smoothed alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.ndimage import map_coordinates

from ..core.linear import apply_matrix

Motion = Literal["rigid", "similarity", "affine"]
MOTIONS: tuple[Motion, ...] = get_args(Motion)
_PARAMETERS = {"rigid": 6, "similarity": 7, "affine": 12}
_HUBER = 1.345
_TO_SD = 1.4826
_HALF_VOXEL = 0.5
_DAMPINGS = 6
_SETTLED_MM, _SETTLED_SHARE = 1e-5, 1e-4


@dataclass(frozen=True, eq=False)
class Source:
    """The volume that intensities are taken from.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities, 32-bit.
    lps_to_ijk : array, shape (4, 4)
        From points in mm to voxel indices.
    """

    voxels: NDArray[np.float32]
    lps_to_ijk: NDArray[np.float64]

    def inside(self, index: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which indices in I, J, K, shape (N, 3), lie between voxel centres."""
        return np.asarray(np.all((index >= 0) & (index <= np.asarray(self.voxels.shape[::-1]) - 1), axis=1))

    def values(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Linear interpolation at indices in I, J, K, shape (N, 3)."""
        return np.asarray(map_coordinates(self.voxels, index.T[::-1], order=1, mode="nearest", output=np.float64))

    def gradients(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Change along LPS, shape (N, 3), per mm, by differences over one voxel."""
        along = [
            (self.values(index + step) - self.values(index - step)) / (2 * _HALF_VOXEL)
            for step in np.eye(3) * _HALF_VOXEL
        ]
        return np.stack(along, axis=1) @ self.lps_to_ijk[:3, :3]


@dataclass(frozen=True, eq=False)
class Samples:
    """What is to be explained.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        LPS, mm.
    values : array, shape (N,)
        Intensities there.
    """

    points_lps: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IntensityFit:
    """Where the iteration ended.

    Parameters
    ----------
    matrix_lps : array, shape (4, 4)
        From the samples to the source, LPS, mm.
    residuals : array, shape (M,)
        Of the samples that lie in the source.
    inside : float
        Share of those, 0 to 1.
    cost : float
        Mean of Huber's function in units of the standard deviation of the samples; those outside count as one.
    """

    matrix_lps: NDArray[np.float64]
    residuals: NDArray[np.float64]
    inside: float
    cost: float


def fit_motion(
    source: Source, samples: Samples, start_lps: NDArray[np.float64], *, motion: Motion, most_steps: int
) -> IntensityFit:
    """Find the motion that explains samples best, near a start.

    Parameters
    ----------
    source : Source
        The original.
    samples : Samples
        Of the resampled volume.
    start_lps : array, shape (4, 4)
        From the samples to the source, LPS, mm.
    motion : str
        One of :data:`MOTIONS`: what may change about the start.
    most_steps : int
        Of the iteration.
    """
    center = samples.points_lps.mean(axis=0)
    radius = float(np.sqrt(((samples.points_lps - center) ** 2).sum(axis=1).mean()))
    generators = _generators(motion, center, radius)
    spread = float(samples.values.std()) or 1.0
    matrix = np.asarray(start_lps, dtype=np.float64)
    now, scale = _evaluate(source, samples, matrix, spread, None)
    damping = 1e-3
    for _ in range(most_steps):
        normal, slope = _normal_equations(source, samples, matrix, generators, scale)
        for _ in range(_DAMPINGS):
            diagonal = np.diag(normal).copy()
            step = np.linalg.lstsq(normal + damping * np.diag(diagonal + 1e-12 * diagonal.max()), -slope, rcond=None)[0]
            tried_matrix = matrix @ expm(np.tensordot(step, generators, axes=1))
            tried, _ = _evaluate(source, samples, tried_matrix, spread, scale)
            if tried.cost < now.cost:
                # Between volumes that do not show the same there is no minimum to settle in, only a slow fall.
                slow = now.cost - tried.cost < _SETTLED_SHARE * now.cost
                matrix, damping = tried_matrix, max(damping / 5, 1e-9)
                break
            damping *= 4
        else:
            return _evaluate(source, samples, matrix, spread, None)[0]
        now, scale = _evaluate(source, samples, matrix, spread, None)
        if slow or float(np.abs(step).max()) < _SETTLED_MM:
            break
    return now


def _generators(motion: Motion, center: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Velocities of about one mm at the radius, shape (P, 4, 4)."""
    linear: list[NDArray[np.float64]] = []
    if motion == "affine":
        linear = [np.outer(a, b) for a in np.eye(3) for b in np.eye(3)]
    else:
        for x, y in ((0, 1), (0, 2), (1, 2)):
            turn = np.zeros((3, 3))
            turn[x, y], turn[y, x] = -1.0, 1.0
            linear.append(turn)
        if motion == "similarity":
            linear.append(np.eye(3))
    generators = np.zeros((_PARAMETERS[motion], 4, 4))
    for generator, part in zip(generators, linear, strict=False):
        generator[:3, :3] = part / radius
        generator[:3, 3] = -generator[:3, :3] @ center
    for axis in range(3):
        generators[len(linear) + axis, axis, 3] = 1.0
    return generators


def _evaluate(
    source: Source, samples: Samples, matrix: NDArray[np.float64], spread: float, scale: float | None
) -> tuple[IntensityFit, float]:
    index = apply_matrix(source.lps_to_ijk @ matrix, samples.points_lps)
    inside = source.inside(index)
    residuals = source.values(index[inside]) - samples.values[inside]
    if scale is None:
        middle = float(np.median(np.abs(residuals))) if residuals.size else spread
        scale = max(_HUBER * _TO_SD * middle, 1e-6 * spread)
    size = np.abs(residuals)
    cost = np.where(size <= scale, size**2 / 2, scale * (size - scale / 2))
    outside = scale * (spread - scale / 2) if spread > scale else spread**2 / 2
    total = (float(cost.sum()) + outside * int(np.count_nonzero(~inside))) / len(inside) / spread**2
    return IntensityFit(matrix, residuals, float(inside.mean()), total), scale


def _normal_equations(
    source: Source,
    samples: Samples,
    matrix: NDArray[np.float64],
    generators: NDArray[np.float64],
    scale: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    index = apply_matrix(source.lps_to_ijk @ matrix, samples.points_lps)
    inside = source.inside(index)
    points = np.column_stack([samples.points_lps[inside], np.ones(int(inside.sum()))])
    residuals = source.values(index[inside]) - samples.values[inside]
    weights = np.minimum(1.0, scale / np.maximum(np.abs(residuals), 1e-300))
    gradients = source.gradients(index[inside]) @ matrix[:3, :3]
    # One column for each generator: how the residual changes with it.
    columns = np.stack([((points @ g[:3].T) * gradients).sum(axis=1) for g in generators], axis=1)
    weighted = columns * weights[:, None]
    return columns.T @ weighted, weighted.T @ residuals
