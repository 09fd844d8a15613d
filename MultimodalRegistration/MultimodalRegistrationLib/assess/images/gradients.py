r"""Gradients of a volume, the edges they show, and how well those of two volumes agree.

Edges are where the length of the gradient is largest along its direction (Canny 1986,
doi:10.1109/TPAMI.1986.4767851), placed between voxels by a parabola, if it is above a threshold that parts the lengths
into two classes (Otsu 1979, doi:10.1109/TSMC.1979.4310076).

**Gradient agreement** says whether the gradients of two volumes point along the same lines. With gradients normalised
by their volume's noise, :math:`n = \nabla I / \sqrt{|\nabla I|^2 + \eta^2}` (Haber and Modersitzki 2006,
doi:10.1007/11866763_89),

.. math:: A = \frac{\sum (n_f \cdot n_m)^2}{\sqrt{\sum |n_f|^4 \sum |n_m|^4}}

is one where every gradient has a parallel or opposite partner of its rank, and near zero where edges stand alone or
cross. The normalised field is taken rather than the smaller of the two lengths (Pluim et al. 2000,
doi:10.1109/42.876307), which compares intensities of two modalities per mm as if they had one unit. Directions at
random give a third where both volumes have edges.

**Edge distance** says how far the edges of one volume lie from those of the other. Where both modalities show a
surface, the distance of its two images is an error in mm, whatever the contrasts. Where only one shows it, the distance
is to some other edge and says nothing: even at the true pose the mean is some mm, and the 95th percentile far more. Of
the two directions, the one from the volume with fewer kinds of edges says more: bones in CT are seen in MR, while fat
and muscle in MR have no strong edge in CT beside bone and air. The median, and the change from one transform to the
other, say more than the mean. A wall of few voxels, such as the skull in coarse scans, shows as one edge, at its
outside in one modality and at its inside in the other; the distance then is lowest at a pose that is off by up to the
thickness of the wall. Edges that slide along each other go unnoticed, and far from the true pose the nearest edge is
seldom the right one, so that the distance is bounded by how dense the edges are. Half a voxel of the working grid is
the smallest error that can be told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from ...core.grid import VolumeGrid
from .information import Windows

_TRUNCATE = 3.0
_HISTOGRAM_BINS = 256
_SOME = 200_000
# Mean of |n|^4 over a window below which there is no edge in it.
_MIN_EDGES = 0.02
_MAX_POINTS = 10_000


@dataclass(frozen=True)
class Strength:
    """What counts as a gradient in a volume, in its own intensities per mm.

    Parameters
    ----------
    noise : float
        Mean length of all gradients: much below it, directions mean nothing.
    edge : float
        Length from which it is an edge.
    """

    noise: float
    edge: float


@dataclass(frozen=True)
class Gradients:
    """Gradients of a smoothed volume along the axes of its grid.

    Parameters
    ----------
    along : tuple of 3 arrays of float32, shape (K, J, I)
        Components along the axes K, J, I, intensities per mm.
    squares : array of float32, shape (K, J, I)
        Squared lengths.
    spacing_mm : array, shape (3,)
        Along K, J, I.
    reach : tuple of 3 int
        Voxels along K, J, I from which a gradient draws.
    """

    along: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    squares: NDArray[np.float32]
    spacing_mm: NDArray[np.float64]
    reach: tuple[int, int, int]

    def strength(self) -> Strength:
        """The volume's own scale of gradients."""
        length = np.sqrt(some_of(self.squares))
        otsu = sitk.OtsuThresholdImageFilter()
        otsu.SetNumberOfHistogramBins(_HISTOGRAM_BINS)
        otsu.Execute(sitk.GetImageFromArray(length[None]))
        # Never zero: the normalised gradients of a volume without any are zero, not undefined.
        return Strength(noise=max(float(length.mean(dtype=np.float64)), 1e-12), edge=float(otsu.GetThreshold()))

    def unaffected(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Voxels, shape (K, J, I), whose gradients draw only from those ``inside``."""
        eroded = inside.view(np.uint8)
        for axis, reach in enumerate(self.reach):
            eroded = ndimage.minimum_filter1d(eroded, 2 * reach + 1, axis=axis, mode="nearest")
        return np.asarray(eroded, dtype=bool)


@dataclass(frozen=True)
class Edges:
    """Points on edges, in mm along the axes K, J, I of the grid.

    Parameters
    ----------
    points_mm, normals : array, shape (N, 3)
        Places from the centre of the first voxel, and unit vectors across the edge.
    voxels : array of int, shape (N,)
        Flat index of the voxel of each.
    """

    points_mm: NDArray[np.float64]
    normals: NDArray[np.float64]
    voxels: NDArray[np.intp]

    def within(self, marked: NDArray[np.bool_]) -> Edges:
        """Those in marked voxels, shape (K, J, I)."""
        kept = marked.ravel()[self.voxels]
        return Edges(self.points_mm[kept], self.normals[kept], self.voxels[kept])


def gradients_of(voxels: NDArray[np.float32], grid: VolumeGrid, smoothing_mm: float) -> Gradients:
    """Smooth a volume and take its gradients by central differences.

    Parameters
    ----------
    voxels : array of float32, shape (K, J, I)
        Intensities.
    grid : VolumeGrid
        Their grid, its axes at right angles.
    smoothing_mm : float
        Standard deviation of the Gaussian.
    """
    spacing = np.asarray(grid.spacing_mm[::-1])
    sigma = smoothing_mm / spacing
    smooth = ndimage.gaussian_filter(voxels, sigma, truncate=_TRUNCATE, mode="nearest")
    k, j, i = (_slope(smooth, axis, float(step)) for axis, step in enumerate(spacing))
    reach = [int(_TRUNCATE * s + 0.5) + 1 for s in sigma]
    return Gradients((k, j, i), k * k + j * j + i * i, spacing, (reach[0], reach[1], reach[2]))


def edges_of(gradients: Gradients, strength: Strength) -> Edges:
    """Find the edges of a volume."""
    shape = gradients.squares.shape
    voxels = np.flatnonzero(gradients.squares > strength.edge**2)
    index = np.stack(np.unravel_index(voxels, shape)).astype(np.float32)
    length = np.sqrt(gradients.squares)
    here = length.ravel()[voxels]
    normals = np.stack([along.ravel()[voxels] for along in gradients.along]) / here
    # As far as the next voxel along the axis on which that is nearest.
    step = normals / gradients.spacing_mm.astype(np.float32)[:, None]
    step /= np.maximum(np.maximum(np.abs(step[0]), np.abs(step[1])), np.abs(step[2]))
    ahead, behind = (ndimage.map_coordinates(length, index + sign * step, order=1, mode="nearest") for sign in (1, -1))
    highest = (here >= behind) & (here > ahead)
    for axis, n in enumerate(shape):
        highest &= (index[axis] > 0) & (index[axis] < n - 1)
    index, step, normals = (each[:, highest].T.astype(np.float64) for each in (index, step, normals))
    here, ahead, behind = here[highest], ahead[highest], behind[highest]
    shift = 0.5 * (behind - ahead) / (behind - 2 * here + ahead)
    return Edges((index + shift[:, None] * step) * gradients.spacing_mm, normals, voxels[highest])


def some_of(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some 200,000 voxels, spread evenly, for statistics; shape (N,)."""
    return np.ascontiguousarray(voxels.ravel()[:: max(1, voxels.size // _SOME) | 1])


def _slope(voxels: NDArray[np.float32], axis: int, step_mm: float) -> NDArray[np.float32]:
    if voxels.shape[axis] == 1:
        return np.zeros_like(voxels)
    return np.asarray(np.gradient(voxels, np.float32(step_mm), axis=axis))


def agreement_terms(
    fixed: Gradients, moving: Gradients, fixed_strength: Strength, moving_strength: Strength, used: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The three squares of the formula at voxels, flat indices of shape (N,): both, fixed and moving, each (N,)."""
    product = np.zeros_like(fixed.squares)
    for a, b in zip(fixed.along, moving.along, strict=True):
        product += a * b
    both, fixed_squares, moving_squares = (each.ravel()[used] for each in (product, fixed.squares, moving.squares))
    fixed_norm = fixed_squares + np.float32(fixed_strength.noise**2)
    moving_norm = moving_squares + np.float32(moving_strength.noise**2)
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
    known = np.maximum(fixed, moving) > _MIN_EDGES * np.maximum(count, 1)
    scale = np.sqrt(fixed * moving)
    return np.minimum(np.divide(both, scale, out=np.zeros_like(both), where=scale > 0), 1.0), known


def edge_distances_mm(
    edges: Edges, others: Edges, spacing_mm: NDArray[np.float64], marked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Distances from the edges of one volume to the nearest ones of another on the same grid.

    An edge point stands for the piece of surface in its voxel: the part of a distance along that surface counts only
    beyond half a voxel.

    Parameters
    ----------
    edges : Edges
        Where distances are taken, at 10,000 of them at most.
    others : Edges
        Where they lead to, at least one.
    spacing_mm : array, shape (3,)
        Of the grid, along K, J, I.
    marked : array of bool, shape (K, J, I)
        Only edges in these voxels are asked, while the nearest ones may lie anywhere.

    Returns
    -------
    array, shape (N,)
        In mm.
    """
    asked = edges.within(marked).points_mm
    asked = asked[:: -(-len(asked) // _MAX_POINTS) or 1]
    _, nearest = KDTree(others.points_mm, balanced_tree=False, compact_nodes=False).query(asked)
    apart = asked - others.points_mm[nearest]
    across = np.sum(apart * others.normals[nearest], axis=1)
    sideways = np.abs(apart - across[:, None] * others.normals[nearest])
    beyond = np.maximum(sideways - spacing_mm / 2, 0.0)
    return np.asarray(np.sqrt(across**2 + np.sum(beyond**2, axis=1)))
