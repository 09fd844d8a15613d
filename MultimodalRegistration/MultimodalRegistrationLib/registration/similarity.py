r"""Mutual information of two volumes under a transform, the same for every engine.

With the joint histogram :math:`p(f, m)` and its marginals,

.. math:: I = \sum_{f, m} p(f, m) \ln \frac{p(f, m)}{p(f)\,p(m)}

(Viola and Wells 1997, doi:10.1023/A:1007958904918; Maes et al. 1997, doi:10.1109/42.563664), in nats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from MultimodalRegistrationLib.engines.handover import EngineVolume
from MultimodalRegistrationLib.geometry.linear import apply_matrix
from MultimodalRegistrationLib.geometry.marked import some_marked

__all__ = ["mutual_information", "mutual_information_of_joint", "mutual_information_of_samples"]

_BINS = 32
_SAMPLES = 100_000


def mutual_information(fixed: EngineVolume, moving: EngineVolume, fixed_to_moving_lps: ArrayLike) -> float | None:
    """Mutual information over a regular set of points of the fixed volume.

    Parameters
    ----------
    fixed, moving : EngineVolume
        Volumes and masks.
    fixed_to_moving_lps : array, shape (4, 4)
        Transform to judge.

    Returns
    -------
    float or None
        In nats; None when fewer than 1,000 points fall inside both.
    """
    index = _regular_index(fixed)
    values_fixed = fixed.voxels[index[:, 2], index[:, 1], index[:, 0]]
    points = apply_matrix(fixed.grid.ijk_to_lps, index)
    mapped = apply_matrix(np.linalg.inv(moving.grid.ijk_to_lps) @ np.asarray(fixed_to_moving_lps), points)
    inside = np.all((mapped >= 0) & (mapped <= np.asarray(moving.grid.size) - 1), axis=1)
    mapped = mapped[inside]
    if moving.mask is not None:
        nearest = np.rint(mapped).astype(int)
        marked = moving.mask[nearest[:, 2], nearest[:, 1], nearest[:, 0]] > 0
        inside[inside] = marked
        mapped = mapped[marked]
    if len(mapped) < 1000:
        return None
    return mutual_information_of_samples(values_fixed[inside], _interpolate(moving.voxels, mapped))


def mutual_information_of_samples(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mutual information in nats of paired samples, each of shape (N,), with 32 bins over each one's range."""
    joint, _, _ = np.histogram2d(a, b, bins=_BINS)
    return mutual_information_of_joint(joint)


def mutual_information_of_joint(joint: NDArray[np.float64]) -> float:
    """Mutual information in nats of a joint histogram, shape (N, M), of counts or weights."""
    p = joint / joint.sum()
    independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / independent[used])))


def _regular_index(volume: EngineVolume) -> NDArray[np.intp]:
    """Voxels at even strides, or of the mask, shape (N, 3), in I, J, K."""
    if volume.mask is not None:
        return some_marked(volume.mask, _SAMPLES)
    size = np.asarray(volume.grid.size)
    share = min(1.0, _SAMPLES / size.prod()) ** (1 / 3)
    axes = [np.unique(np.linspace(0, n - 1, max(2, round(n * share))).round().astype(int)) for n in size]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _interpolate(voxels: NDArray[np.float32], index: NDArray[np.float64]) -> NDArray[np.float32]:
    """Trilinear interpolation at continuous indices inside the volume, shape (N, 3) in I, J, K."""
    base = np.minimum(index.astype(int), np.asarray(voxels.shape[::-1]) - 2)
    weight = index - base
    result = np.zeros(len(index))
    for corner in np.ndindex(2, 2, 2):
        i, j, k = (base + corner).T
        share = np.prod(np.where(corner, weight, 1 - weight), axis=1)
        result += share * voxels[k, j, i]
    return result.astype(np.float32)
