"""Poses to start from: principal axes, and a search of all orientations and all translations.

For each of many orientations the overlap at every translation is one correlation of two coarse grids (the samples of
one shape, and how near the other shape is), computed by Fourier transform. Samples without a counterpart add nothing,
so a shape of which a part is missing is found as well as a whole one.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.ndimage import distance_transform_edt

from ...core.linear import translation_matrix
from ...core.rotations import even_rotations

__all__ = ["Start", "principal_axis_starts", "searched_starts"]

_ORIENTATIONS = 600
_CELLS_ACROSS = 20
_KEPT = 30


class Start(NamedTuple):
    """A pose to start from.

    Parameters
    ----------
    name : str
        Where it comes from: ``given``, ``principal axes`` or ``search``.
    matrix_lps : array, shape (4, 4)
        The pose.
    """

    name: str
    matrix_lps: NDArray[np.float64]


def principal_axis_starts(source_lps: NDArray[np.float64], target_lps: NDArray[np.float64]) -> list[Start]:
    """The four rigid poses that lay the centre and principal axes of one point cloud on those of another.

    Parameters
    ----------
    source_lps, target_lps : array, shape (N, 3)
        Even samples of the shapes, LPS, mm.

    Returns
    -------
    list of Start
        From source to target.
    """
    starts = []
    centers = [points.mean(axis=0) for points in (source_lps, target_lps)]
    axes = []
    for points, center in zip((source_lps, target_lps), centers, strict=True):
        directions = np.linalg.svd(points - center, full_matrices=False)[2].T
        axes.append(directions * [1.0, 1.0, np.sign(np.linalg.det(directions))])
    for signs in itertools.product((1.0, -1.0), repeat=2):
        flip = np.array([*signs, signs[0] * signs[1]])
        starts.append(Start("principal axes", _pose(axes[1] * flip @ axes[0].T, *centers)))
    return starts


def searched_starts(source_lps: NDArray[np.float64], target_lps: NDArray[np.float64]) -> list[Start]:
    """The rigid poses with the largest overlap, of all orientations and translations.

    Parameters
    ----------
    source_lps, target_lps : array, shape (N, 3)
        Even samples of the shapes, LPS, mm. The source should be the smaller part.

    Returns
    -------
    list of Start
        From source to target, the best first.
    """
    center = source_lps.mean(axis=0)
    centered = source_lps - center
    reach = float(np.linalg.norm(centered, axis=1).max())
    low, high = target_lps.min(axis=0), target_lps.max(axis=0)
    cell = max(2 * reach, float(np.linalg.norm(high - low))) / _CELLS_ACROSS
    margin = 3
    shape = np.ceil((high - low) / cell).astype(int) + 1 + 2 * margin
    origin = low - margin * cell
    nearness = _nearness(target_lps, origin, cell, shape)
    half = int(np.ceil(reach / cell)) + 1
    size = [next_fast_len(int(n) + 2 * half, real=True) for n in shape]
    spectrum = rfftn(nearness, size)
    found = []
    for rotation in even_rotations(count=_ORIENTATIONS):
        index = np.rint(centered @ rotation.T / cell).astype(int) + half
        flat = np.ravel_multi_index(index.T.tolist(), size)
        counts = np.bincount(flat, minlength=int(np.prod(size))).reshape(size).astype(np.float32)
        overlap = irfftn(spectrum * np.conj(rfftn(counts)), size)
        best = np.unravel_index(int(overlap.argmax()), size)
        # Shifts beyond the target's grid are negative ones, wrapped around.
        shift = np.array([b if b < n else b - s for b, n, s in zip(best, shape, size, strict=True)])
        goal = origin + (shift + half) * cell
        found.append((float(overlap[best]), _pose(rotation, center, goal)))
    found.sort(key=lambda pose: -pose[0])
    return [Start("search", matrix) for _, matrix in found[:_KEPT]]


def _nearness(
    points: NDArray[np.float64], origin: NDArray[np.float64], cell: float, shape: NDArray[np.int_]
) -> NDArray[np.float32]:
    """One on the shape, falling to zero over about two cells."""
    empty = np.ones(shape, dtype=bool)
    empty[tuple(np.rint((points - origin) / cell).astype(int).T)] = False
    return np.exp(-0.5 * np.square(distance_transform_edt(empty))).astype(np.float32)


def _pose(rotation: NDArray[np.float64], center: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = np.eye(4)
    turn[:3, :3] = rotation
    return translation_matrix(goal) @ turn @ translation_matrix(-center)
