r"""Whether the gradients of two volumes point along the same lines.

With gradients normalised by their volume's noise, :math:`n = \nabla I / \sqrt{|\nabla I|^2 + \eta^2}` (Haber and
Modersitzki 2006, doi:10.1007/11866763_89),

.. math:: A = \frac{\sum (n_f \cdot n_m)^2}{\sqrt{\sum |n_f|^4 \sum |n_m|^4}}

is one where every gradient has a parallel or opposite partner of its rank, and near zero where edges stand alone or
cross. The normalised field is taken rather than the smaller of the two lengths (Pluim et al. 2000,
doi:10.1109/42.876307), which compares intensities of two modalities per mm as if they had one unit. Directions at
random give a third where both volumes have edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .gradients import Gradients, Strength
from .windows import Windows

__all__ = ["agreement_terms", "local_agreement", "total_agreement"]

# Mean of |n|^4 over a window below which there is no edge in it.
_FEWEST_EDGES = 0.02


def agreement_terms(
    fixed: Gradients, moving: Gradients, fixed_strength: Strength, moving_strength: Strength, used: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The three squares of the formula at voxels, flat indices of shape (N,): both, fixed and moving, each (N,)."""
    product = np.zeros_like(fixed.squares)
    for a, b in zip(fixed.along, moving.along, strict=True):
        product += a * b
    both, fixed_squares, moving_squares = (each.ravel()[used] for each in (product, fixed.squares, moving.squares))
    fixed_norm = fixed_squares + np.float32(_noise(fixed_strength) ** 2)
    moving_norm = moving_squares + np.float32(_noise(moving_strength) ** 2)
    both *= both
    both /= fixed_norm
    both /= moving_norm
    return both, (fixed_squares / fixed_norm) ** 2, (moving_squares / moving_norm) ** 2


def total_agreement(terms: tuple[NDArray[np.float32], ...]) -> float:
    """Agreement over all voxels of :func:`agreement_terms`, 0 to 1; 0 where one of the volumes has no edges."""
    both, fixed, moving = (float(term.sum(dtype=np.float64)) for term in terms)
    return min(1.0, both / float(np.sqrt(fixed * moving))) if fixed > 0 and moving > 0 else 0.0


def local_agreement(
    terms: tuple[NDArray[np.float32], ...], cells: NDArray[np.int32], windows: Windows
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Agreement in each window, shape (K', J', I'), and whether either volume has edges there at all.

    Parameters
    ----------
    terms : tuple of 3 arrays, shape (N,)
        From :func:`agreement_terms`.
    cells : array of int, shape (N,)
        Flat index of the cell of each voxel.
    windows : Windows
        The division.
    """
    number = int(np.prod(windows.cells))
    both, fixed, moving = (
        windows.sums(np.bincount(cells, term, number).reshape(windows.cells).astype(np.float64)) for term in terms
    )
    count = windows.sums(np.bincount(cells, minlength=number).astype(np.float64).reshape(windows.cells))
    known = np.maximum(fixed, moving) > _FEWEST_EDGES * np.maximum(count, 1)
    scale = np.sqrt(fixed * moving)
    return np.minimum(np.divide(both, scale, out=np.zeros_like(both), where=scale > 0), 1.0), known


def _noise(strength: Strength) -> float:
    """A volume without gradients has noise of zero; its normalised gradients are zero then, not undefined."""
    return max(strength.noise, 1e-12)
