r"""Mutual information of the intensities, of the whole and in windows.

With the entropies :math:`H` of the classes of two volumes, mutual information is :math:`I = H(f) + H(m) - H(f, m)`, and
its normalised form :math:`(H(f) + H(m)) / H(f, m)`, from 1 to 2, depends less on how much the volumes overlap
(Studholme et al. 1999, doi:10.1016/S0031-3203(98)00091-0). In a window of N voxels, chance alone gives about
:math:`(C_f - 1)(C_m - 1) / 2N` nats to :math:`C_f` and :math:`C_m` classes (Miller 1955); the local map is
without them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...register.similarity import mutual_information_of_joint
from .windows import Windows

__all__ = ["information_of_joint", "joint_histogram", "local_information"]

# Of the voxels of a window: in one pair of classes, but for some noise.
_UNIFORM = 0.99


def joint_histogram(
    fixed_classes: NDArray[np.integer], moving_classes: NDArray[np.integer], classes: int
) -> NDArray[np.float64]:
    """Count the pairs of classes, each of shape (N,), 0 to ``classes`` - 1: shape (classes, classes), fixed first."""
    pairs = fixed_classes.astype(np.int32) * classes + moving_classes
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def information_of_joint(joint: NDArray[np.float64]) -> tuple[float, float]:
    """Mutual information in nats, and its normalised form, of a joint histogram, shape (N, M)."""
    information = mutual_information_of_joint(joint)
    p = joint[joint > 0] / joint.sum()
    together = -float(np.sum(p * np.log(p)))
    return information, 1.0 + information / together if together > 0 else 1.0


def local_information(
    pairs: NDArray[np.int32],
    cells: NDArray[np.int32],
    windows: Windows,
    classes: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Mutual information in each window.

    Parameters
    ----------
    pairs : array of int, shape (N,)
        Pair of classes of each voxel, fixed times ``classes`` plus moving.
    cells : array of int, shape (N,)
        Flat index of the cell of each voxel.
    windows : Windows
        The division.
    classes : int
        Of each volume.

    Returns
    -------
    information : array, shape (K', J', I')
        In nats, never negative.
    counts : array, shape (K', J', I')
        Voxels in each window.
    varied : array of bool, shape (K', J', I')
        Whether either volume shows more than one class there: of air over air there is nothing to compare.
    """
    number = int(np.prod(windows.cells))
    counted = np.bincount(cells * np.int32(classes**2) + pairs, minlength=number * classes**2)
    joint = windows.sums(counted.astype(np.float32).reshape(*windows.cells, classes, classes))
    of_fixed, of_moving = joint.sum(axis=4), joint.sum(axis=3)
    count = of_fixed.sum(axis=3)
    n = np.maximum(count, 1)
    terms = _n_log_n(joint).sum(axis=(3, 4)) - _n_log_n(of_fixed).sum(axis=3) - _n_log_n(of_moving).sum(axis=3)
    freedom = ((of_fixed > 0).sum(axis=3) - 1) * ((of_moving > 0).sum(axis=3) - 1)
    information = terms / n + np.log(n) - freedom / (2 * n)
    varied = joint.max(axis=(3, 4)) < _UNIFORM * count
    return np.maximum(information, 0).astype(np.float32), count, varied


def _n_log_n(counts: NDArray[np.floating]) -> NDArray[np.floating]:
    return counts * np.log(np.maximum(counts, 1))
