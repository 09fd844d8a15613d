r"""Mutual information of two volumes under a transform, the same for every engine.

With the joint histogram :math:`p(f, m)` and its marginals,

.. math:: I = \sum_{f, m} p(f, m) \ln \frac{p(f, m)}{p(f)\,p(m)}

(Viola and Wells 1997, doi:10.1023/A:1007958904918; Maes et al. 1997, doi:10.1109/42.563664), in nats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.linear import apply_matrix
from ..core.spatial import SpatialTransform
from ..core.volume import some_marked
from ..engines.jobs import EngineVolume

__all__ = [
    "compared_information",
    "inside_volume",
    "mutual_information",
    "mutual_information_of_joint",
    "mutual_information_of_samples",
]

_BINS = 32
_SAMPLES = 100_000
_FEWEST_SAMPLES = 1000


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
    found = compared_information(fixed, moving, [SpatialTransform.of_matrix("", fixed_to_moving_lps)])
    return None if found is None else found[0]


def compared_information(
    fixed: EngineVolume, moving: EngineVolume, transforms: Sequence[SpatialTransform]
) -> list[float] | None:
    """Mutual information under several transforms, at the same points of the fixed volume.

    Parameters
    ----------
    fixed, moving : EngineVolume
        Volumes and masks.
    transforms : sequence of SpatialTransform
        ``fixed_to_moving_lps``, to compare.

    Returns
    -------
    list of float or None
        In nats, for each transform; None when fewer than 1,000 points fall inside both under all of them.
    """
    index = _regular_index(fixed)
    points = apply_matrix(fixed.grid.ijk_to_lps, index)
    to_index = np.linalg.inv(moving.grid.ijk_to_lps)
    mapped = [apply_matrix(to_index, transform.to_moving(points)) for transform in transforms]
    inside = np.logical_and.reduce([inside_volume(moving, positions) for positions in mapped])
    if np.count_nonzero(inside) < _FEWEST_SAMPLES:
        return None
    i, j, k = index[inside].T
    values = fixed.voxels[k, j, i]
    return [
        mutual_information_of_samples(values, _interpolate(moving.voxels, positions[inside])) for positions in mapped
    ]


def inside_volume(volume: EngineVolume, index: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which continuous indices, shape (N, 3) in I, J, K, lie in a volume and its mask."""
    inside = np.asarray(np.all((index >= 0) & (index <= np.asarray(volume.grid.size) - 1), axis=1))
    if volume.mask is not None:
        i, j, k = np.rint(index[inside]).astype(int).T
        inside[inside] = volume.mask[k, j, i] > 0
    return inside


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
