r"""Whether a transform is one that a body could undergo: folds, volume changes, smoothness, and the way back.

None of this says whether a registration is right, but what a body cannot do is wrong. The energies are

.. math:: E_h = \mathrm{mean} \left\| \partial u / \partial x \right\|_F^2, \qquad
   E_b = \mathrm{mean} \sum_{a, b, c} \left( \partial^2 u_c / \partial x_a \partial x_b \right)^2

of the displacement :math:`u`; the second, in 1/mm^2, is the bending energy of Rueckert et al. 1999
(doi:10.1109/42.796284) and leaves affine parts alone, while rotation and scaling count in the first. All derivatives
are central differences between nodes, so that a fold finer than the spacing of the nodes goes unseen. Where a
displacement field ends inside the region, its displacement jumps to zero, as ITK has it, and that shows as folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ..distance_statistics import DistanceStatistics
from ..working_grid import mask_on, node_grid, volume_of
from .derivatives import bending_density, determinants, displacement_gradients
from .inverse import return_errors_mm
from .structures import StructureMotion, structure_motions

__all__ = ["JacobianStatistics", "TransformHealth", "displacement_difference", "transform_health"]

_MOST_NODES = 1_000_000
_MOST_RETURNING = 125_000


@dataclass(frozen=True)
class JacobianStatistics:
    """Jacobian determinants of the mapping from fixed to moving: volume after over volume before.

    Parameters
    ----------
    minimum, maximum, mean : float
        Over the nodes.
    folded_share : float
        Share of the nodes at which it is not above zero.
    log_sd : float or None
        Standard deviation of the natural logarithm where it is above zero; None where it never is.
    """

    minimum: float
    maximum: float
    mean: float
    folded_share: float
    log_sd: float | None


@dataclass(frozen=True)
class TransformHealth:
    """Numbers and maps of one transform.

    Parameters
    ----------
    transform : str
        Its name.
    linear : bool
        Whether it is; then everything is analytic.
    spacing_mm, return_spacing_mm : tuple of 3 float
        Of the nodes, along I, J, K; of the coarser ones of ``return_error``.
    nodes : int
        Number of nodes in the region.
    jacobian : JacobianStatistics
        Over the nodes.
    displacement : DistanceStatistics
        How far the transform moves the nodes, rotation and translation included.
    harmonic_energy, bending_energy_per_mm2 : float
        See above.
    backward : str or None
        Name of the transform that led back; None for the numerical inverse.
    return_error : DistanceStatistics
        From a point to where it comes back.
    structures : tuple of StructureMotion
        One for each label; empty without structures.
    jacobian_map, return_error_map : Volume
        Determinants, and distances in mm, over the whole box of the nodes.
    """

    transform: str
    linear: bool
    spacing_mm: tuple[float, float, float]
    return_spacing_mm: tuple[float, float, float]
    nodes: int
    jacobian: JacobianStatistics
    displacement: DistanceStatistics
    harmonic_energy: float
    bending_energy_per_mm2: float
    backward: str | None
    return_error: DistanceStatistics
    structures: tuple[StructureMotion, ...]
    jacobian_map: Volume
    return_error_map: Volume


def transform_health(
    transform: SpatialTransform,
    grid: VolumeGrid,
    *,
    region: Volume | None = None,
    structures: Volume | None = None,
    backward: SpatialTransform | None = None,
) -> TransformHealth:
    """Examine a transform.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    grid : VolumeGrid
        Of the fixed volume; at most about a million nodes are spread over it, or over the box of the region.
    region : Volume, optional
        Voxels above zero count, in the frame of the fixed volume; all of the grid by default.
    structures : Volume, optional
        Label map of structures, in the frame of the fixed volume, that should move as rigid bodies.
    backward : SpatialTransform, optional
        ``moving_to_fixed_lps``, from a registration the other way; the numerical inverse by default.

    Raises
    ------
    InputError
        The region or the label map marks nothing.
    """
    nodes = node_grid(grid, _MOST_NODES, region=region)
    displacements = transform.displacements_mm(nodes)
    marked = _marked(nodes, region)
    if transform.matrix is not None:
        gradient = transform.matrix[:3, :3] - np.eye(3)
        jacobian = np.full(marked.shape, float(np.linalg.det(transform.matrix[:3, :3])))
        harmonic, bending = float(np.sum(gradient**2)), 0.0
    else:
        gradients = displacement_gradients(displacements, nodes)
        jacobian = determinants(gradients)
        harmonic = float(np.einsum("kjiab,kjiab->kji", gradients, gradients)[marked].mean())
        del gradients
        bending = float(bending_density(displacements, nodes)[marked].mean())
    coarse = node_grid(grid, _MOST_RETURNING, region=region)
    returned = return_errors_mm(transform, coarse, backward=backward)
    return TransformHealth(
        transform=transform.name,
        linear=transform.matrix is not None,
        spacing_mm=nodes.spacing_mm,
        return_spacing_mm=coarse.spacing_mm,
        nodes=int(np.count_nonzero(marked)),
        jacobian=_jacobian_statistics(jacobian[marked]),
        displacement=DistanceStatistics.of(np.linalg.norm(displacements[marked], axis=-1)),
        harmonic_energy=harmonic,
        bending_energy_per_mm2=bending,
        backward=None if backward is None else backward.name,
        return_error=DistanceStatistics.of(returned[_marked(coarse, region)]),
        structures=() if structures is None else structure_motions(transform, structures),
        jacobian_map=volume_of(jacobian, nodes, f"Jacobian determinant of {transform.name}"),
        return_error_map=volume_of(returned, coarse, f"return error of {transform.name}"),
    )


def displacement_difference(
    a: SpatialTransform, b: SpatialTransform, *, region: Volume | VolumeGrid
) -> DistanceStatistics:
    """Distances between where two transforms put the same points.

    Parameters
    ----------
    a, b : SpatialTransform
        ``fixed_to_moving_lps``, with the same fixed and moving volumes.
    region : Volume or VolumeGrid
        Voxels above zero, or a whole grid, in the frame of the fixed volume; about a million nodes at most.

    Raises
    ------
    InputError
        The region marks nothing.
    """
    mask = region if isinstance(region, Volume) else None
    nodes = node_grid(region.grid if isinstance(region, Volume) else region, _MOST_NODES, region=mask)
    apart = a.displacements_mm(nodes) - b.displacements_mm(nodes)
    return DistanceStatistics.of(np.linalg.norm(apart[_marked(nodes, mask)], axis=-1))


def jacobian_statistics(transform: SpatialTransform, grid: VolumeGrid, *, region: Volume) -> JacobianStatistics:
    """Jacobian determinants alone, at up to about a million nodes of a grid, where a region is above zero.

    Parameters
    ----------
    transform, grid, region
        As for :func:`transform_health`.

    Raises
    ------
    InputError
        The region marks nothing.
    """
    nodes = node_grid(grid, _MOST_NODES, region=region)
    jacobian = determinants(displacement_gradients(transform.displacements_mm(nodes), nodes))
    return _jacobian_statistics(jacobian[_marked(nodes, region)])


def _marked(nodes: VolumeGrid, region: Volume | None) -> NDArray[np.bool_]:
    return np.ones(nodes.size[::-1], dtype=bool) if region is None else mask_on(nodes, region)


def _jacobian_statistics(determinants: NDArray[np.float64]) -> JacobianStatistics:
    above = determinants[determinants > 0]
    return JacobianStatistics(
        minimum=float(determinants.min()),
        maximum=float(determinants.max()),
        mean=float(determinants.mean()),
        folded_share=1 - above.size / determinants.size,
        log_sd=float(np.log(above).std()) if above.size else None,
    )
