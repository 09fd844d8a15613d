r"""Intensities spread over the histogram of a metric.

Mutual information sorts intensities into bins of equal width. Where a few voxels are far brighter than the rest, as in
PET, or bone and air stretch the range, as in CT, almost all that could be told apart shares a few bins. Equalising
(:math:`v \mapsto P(V \le v)`) gives each bin as many voxels, but spends them on air and noise too. The mean of both,
:math:`v \mapsto (1 - s)\,(v - v_0) / (v_1 - v_0) + s\,P(V \le v)`, keeps what is bright apart and opens up the rest.
Mapping intensities one to one changes no geometry.

Intensities that spread by themselves, as in most MRI, are left alone: there it only makes room for the noise of the
background. How far they spread is the effective number of bins, :math:`2^H` with the entropy :math:`H` in bits of the
histogram without its fullest bin, which is the background. Figures are in ``Resources/Docs/decisions.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BINS = 4096
_COARSE_BINS = 32
# Parts of the histogram that are used: below the first the whole share of the ranks is mixed in, above the second none.
_LITTLE, _ENOUGH = 0.25, 0.375


def used_part(voxels: NDArray[np.float32]) -> float:
    """The effective number of bins that intensities fill beside the background, 0 to 1 of all bins.

    Parameters
    ----------
    voxels : array
        Intensities, not all the same.
    """
    # From zero: edges in 32 bits cannot part a narrow range far from it.
    low = voxels.min()
    counts, _ = np.histogram(voxels - low, _COARSE_BINS, (0.0, float(voxels.max() - low)))
    beside = np.delete(counts, counts.argmax())
    shares = beside[beside > 0] / beside.sum()
    return float(2.0 ** -(shares * np.log2(shares)).sum() / _COARSE_BINS)


def equalised(
    voxels: NDArray[np.float32], share: float, *, mask: NDArray[np.uint8] | None = None
) -> NDArray[np.float32]:
    """Mix each intensity with its rank where the intensities use little of their range.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities.
    share : float
        Largest share of the rank in the result, 0 to 1.
    mask : array, shape (K, J, I), optional
        What the intensities use, and their ranks, are those of the voxels that it marks.

    Returns
    -------
    array, shape (K, J, I)
        The voxels themselves where there is nothing to do, else a copy, 0 to 1, rising with the intensities.
    """
    if share == 0:
        return voxels
    inside = voxels if mask is None else voxels[mask > 0]
    if inside.min() == inside.max():
        return voxels
    share *= float(np.interp(used_part(inside), (_LITTLE, _ENOUGH), (1.0, 0.0)))
    if share == 0:
        return voxels
    low = voxels.min()
    extent = float(voxels.max() - low)
    counts, _ = np.histogram(inside - low, _BINS, (0.0, extent))
    edges = np.linspace(0.0, extent, _BINS + 1)
    ranks = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    mapped = (1 - share) * edges / extent + share * ranks
    result = np.empty_like(voxels)
    # Slice by slice: in 64 bits the volume would be twice as large.
    for slice_in, slice_out in zip(voxels, result, strict=True):
        slice_out[...] = _interpolated((slice_in - low).astype(np.float64) * (_BINS / extent), mapped)
    return result


def _interpolated(position: NDArray[np.float64], mapped: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear between the elements of a list, at positions from 0 to its last index.

    ``numpy.interp`` searches the interval of each; knowing it takes less than half the time.
    """
    below = np.minimum(position.astype(np.int32), len(mapped) - 2)
    return mapped[below] + np.diff(mapped)[below] * (position - below)
