"""What two volumes say for or against a transform between them.

Similarity and overlap are weak evidence: transforms that scramble anatomy can raise both, and only distances of
landmarks or of small labelled structures tell right from wrong registrations (Rohlfing 2012,
doi:10.1109/TMI.2011.2163944). The numbers here compare two transforms of the same pair, such as before and after a
registration, and the maps show where to look; none of them is an accuracy.

Everything that does not depend on the transform is prepared once for a pair: the working grid, the classes of the
intensities, the strength from which a gradient counts, and the edges of the fixed volume. So the numbers of two
transforms compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ...io.downsample import box_mean, coarse_grid
from ...preprocess.foreground import foreground
from ...register.overlap import overlap_fraction
from ...register.search.lattice import class_centers
from ...transforms.working_grid import DistanceStatistics, bounded_size, mask_on, volume_of
from ..pictures.planes import resampled
from .gradients import (
    Edges,
    Gradients,
    Strength,
    agreement_terms,
    edge_distances_mm,
    edges_of,
    gradients_of,
    local_agreement,
    some_of,
    total_agreement,
)
from .information import NOTHING, information_of_joint, joint_histogram, local_information, windows_on

_CLASSES = 32
_LOCAL_CLASSES = 8
_MAX_VOXELS = 3_000_000
# Standard deviation of the Gaussian before gradients, in working voxels: more merges both faces of a thin wall.
_SMOOTHING = 0.5
# Metal and single hot voxels are cut off at these percentiles.
_LIMITS = (0.1, 99.9)
_MIN_SHARED_VOXELS = 1000
_MIN_EDGES = 100
_MIN_SHARE_OF_WINDOW = 0.25


@dataclass(frozen=True)
class Side:
    """What is fixed about one volume.

    Parameters
    ----------
    volume : Volume
        32 bit, coarsened by means over blocks, cut off at outliers.
    borders : array, shape (31,)
        Intensities between the classes.
    coarser : array of int, shape (32,)
        The class in windows that each class belongs to, where there are too few voxels for so many.
    strength : Strength
        Of its gradients.
    body : Volume
        Zeros and ones on the grid of the volume: head, body or specimen, without the air around it and the table.
    """

    volume: Volume
    borders: NDArray[np.float32]
    coarser: NDArray[np.int32]
    strength: Strength
    body: Volume

    def classes_of(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Class of each intensity, any shape."""
        return np.searchsorted(self.borders, values).astype(np.uint8)


@dataclass(frozen=True)
class ImagePair:
    """The pair on its working grid.

    Parameters
    ----------
    fixed, moving : Volume
        As given.
    grid : VolumeGrid
        Working grid: the box of the fixed volume in at most 3 million voxels.
    region : array of bool, shape (K, J, I)
        Voxels of the working grid that count.
    smoothing_mm : float
        Standard deviation of the Gaussian before gradients are taken.
    fixed_side, moving_side : Side
        See there; the moving one lies on a grid of its own.
    fixed_classes : array of int, shape (K, J, I)
        On the working grid.
    fixed_gradients : Gradients
        On the working grid.
    fixed_edges : Edges
        On the working grid.
    """

    fixed: Volume
    moving: Volume
    grid: VolumeGrid
    region: NDArray[np.bool_]
    smoothing_mm: float
    fixed_side: Side
    fixed_classes: NDArray[np.uint8]
    moving_side: Side
    fixed_gradients: Gradients
    fixed_edges: Edges

    def move(self, transform: SpatialTransform) -> Moved:
        """Bring the moving volume onto the working grid by ``fixed_to_moving_lps``."""
        volume, body = self.moving_side.volume, self.moving_side.body
        voxels = resampled(volume.image, transform.transform, self.grid)
        inside = np.isfinite(voxels)
        return Moved(
            voxels=np.where(inside, voxels, volume.voxels.min()),
            inside=inside,
            body=resampled(body.image, transform.transform, self.grid, sitk.sitkNearestNeighbor) > 0,
        )


@dataclass(frozen=True)
class Moved:
    """The moving volume on the working grid.

    Parameters
    ----------
    voxels : array of float32, shape (K, J, I)
        Its lowest value outside.
    inside : array of bool, shape (K, J, I)
        Where the moving volume shows something.
    body : array of bool, shape (K, J, I)
        Where it shows a head, body or specimen.
    """

    voxels: NDArray[np.float32]
    inside: NDArray[np.bool_]
    body: NDArray[np.bool_]


def prepare_pair(fixed: Volume, moving: Volume, *, region: Volume | None = None) -> ImagePair:
    """Make two volumes ready.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates, axes at right angles.
    region : Volume, optional
        Voxels above zero count, in the frame of the fixed volume; all of it by default.

    Raises
    ------
    InputError
        Axes are not at right angles, or the region marks nothing in the fixed volume.
    """
    for volume in (fixed, moving):
        if not volume.grid.is_orthogonal:
            raise InputError(
                volume.name,
                "its axes are not at right angles",
                "Resample it onto a grid whose axes are at right angles.",
            )
    coarse_fixed = _coarse(fixed, 0.0)
    grid = coarse_fixed.grid
    spacing_mm = float(np.prod(grid.spacing_mm)) ** (1 / 3)
    # Along the finest axis: thick slices of the fixed volume are no reason to blur the moving one within its own.
    coarse_moving = _coarse(moving, min(grid.spacing_mm))
    smoothing_mm = _SMOOTHING * spacing_mm
    gradients = gradients_of(coarse_fixed.voxels, grid, smoothing_mm)
    fixed_side = _side(coarse_fixed, gradients)
    return ImagePair(
        fixed=fixed,
        moving=moving,
        grid=grid,
        region=np.ones(grid.size[::-1], dtype=bool) if region is None else mask_on(grid, region),
        smoothing_mm=smoothing_mm,
        fixed_side=fixed_side,
        fixed_classes=fixed_side.classes_of(coarse_fixed.voxels),
        moving_side=_side(coarse_moving, gradients_of(coarse_moving.voxels, coarse_moving.grid, smoothing_mm)),
        fixed_gradients=gradients,
        fixed_edges=edges_of(gradients, fixed_side.strength),
    )


def _coarse(volume: Volume, finest_mm: float) -> Volume:
    grid = volume.grid
    size = bounded_size(grid, _MAX_VOXELS, finest_mm)
    voxels = box_mean(volume.voxels, grid.size, size)
    low, high = np.percentile(some_of(voxels), _LIMITS)
    return volume_of(np.clip(voxels, low, high), coarse_grid(grid, size), volume.name)


def _side(volume: Volume, gradients: Gradients) -> Side:
    some = some_of(volume.voxels)
    centers, coarse = (class_centers(some, count) for count in (_CLASSES, _LOCAL_CLASSES))
    coarser = np.searchsorted(_borders(coarse), centers).astype(np.int32)
    return Side(volume, _borders(centers), coarser, gradients.strength(), foreground(volume))


def _borders(centers: NDArray[np.float64]) -> NDArray[np.float32]:
    return ((centers[1:] + centers[:-1]) / 2).astype(np.float32)


@dataclass(frozen=True)
class ImageEvidence:
    """Numbers and maps of one transform.

    Parameters
    ----------
    transform : str
        Its name.
    mutual_information : float or None
        In nats; None, as are the next two, when the volumes share fewer than 1,000 voxels of the region.
    normalized_mutual_information : float or None
        1 to 2.
    gradient_agreement : float or None
        0 to 1, see :mod:`MultimodalRegistrationLib.assess.images.gradients`.
    edges_of_fixed, edges_of_moving : DistanceStatistics or None
        From strong edges of one volume to the nearest of the other, see
        :mod:`MultimodalRegistrationLib.assess.images.gradients`; None when either has fewer than 100.
    overlap : float
        Share of the smaller volume that lies inside the other, 0 to 1.
    covered : float
        Share of the region that the moving volume shows, 0 to 1.
    spacing_mm : tuple of 3 float
        Of the working grid, along I, J, K.
    local_information, local_agreement : Volume
        Mutual information in nats and gradient agreement in windows, on the working grid; -1 where there is nothing to
        compare: outside the region or the moving volume, in the air around both bodies, where both are uniform, or, for
        gradients, without edges.
    """

    transform: str
    mutual_information: float | None
    normalized_mutual_information: float | None
    gradient_agreement: float | None
    edges_of_fixed: DistanceStatistics | None
    edges_of_moving: DistanceStatistics | None
    overlap: float
    covered: float
    spacing_mm: tuple[float, float, float]
    local_information: Volume
    local_agreement: Volume


def image_evidence(
    fixed: Volume, moving: Volume, transform: SpatialTransform, *, region: Volume | None = None
) -> ImageEvidence:
    """Measure one transform of a pair.

    To measure several of the same pair, ``prepare_pair`` once and :func:`pair_evidence` for each is faster, with the
    same results.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates, axes at right angles.
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    region : Volume, optional
        Voxels above zero count, in the frame of the fixed volume; all of it by default.

    Raises
    ------
    InputError
        Axes are not at right angles, or the region marks nothing in the fixed volume.
    """
    return pair_evidence(prepare_pair(fixed, moving, region=region), transform)


def pair_evidence(pair: ImagePair, transform: SpatialTransform) -> ImageEvidence:
    """Measure one transform of a prepared pair: ``fixed_to_moving_lps``.

    The moving volume, coarsened like the fixed one, is resampled once onto the working grid by linear interpolation.
    That smooths a little, which the identity between two volumes of one grid is spared.
    """
    moved = pair.move(transform)
    used = np.flatnonzero(pair.region & moved.inside)
    windows = windows_on(pair.grid)
    all_cells = windows.cell_of_voxels().ravel()
    of_fixed = pair.fixed_classes.ravel()[used]
    of_moving = pair.moving_side.classes_of(moved.voxels.ravel()[used])
    enough = len(used) >= _MIN_SHARED_VOXELS
    information = information_of_joint(joint_histogram(of_fixed, of_moving, _CLASSES)) if enough else (None, None)
    pairs = pair.fixed_side.coarser[of_fixed] * np.int32(_LOCAL_CLASSES) + pair.moving_side.coarser[of_moving]
    local, count, varied = local_information(pairs, all_cells[used], windows, _LOCAL_CLASSES)

    gradients = gradients_of(moved.voxels, pair.grid, pair.smoothing_mm)
    sound = gradients.unaffected(moved.inside)
    compared = np.flatnonzero(pair.region & sound)
    strengths = pair.fixed_side.strength, pair.moving_side.strength
    terms = agreement_terms(pair.fixed_gradients, gradients, *strengths, compared)
    agreement, has_edges = local_agreement(terms, all_cells[compared], windows)
    edges = pair.fixed_edges.within(sound), edges_of(gradients, strengths[1]).within(sound)

    filled = count >= _MIN_SHARE_OF_WINDOW * windows.voxels
    # The noise of air agrees with nothing, wherever it lies.
    shown = pair.region & moved.inside & (pair.fixed_side.body.voxels.astype(bool) | moved.body)

    def map_of(name: str, values: NDArray[np.floating], known: NDArray[np.bool_]) -> Volume:
        spread = np.where(shown, windows.spread(values, known), np.float32(NOTHING))
        return volume_of(spread, pair.grid, f"{name} of {transform.name}")

    return ImageEvidence(
        transform=transform.name,
        mutual_information=information[0],
        normalized_mutual_information=information[1],
        gradient_agreement=total_agreement(terms) if len(compared) >= _MIN_SHARED_VOXELS else None,
        edges_of_fixed=_edge_statistics(edges[0], edges[1], pair),
        edges_of_moving=_edge_statistics(edges[1], edges[0], pair),
        overlap=overlap_fraction(pair.fixed, pair.moving, transform),
        covered=len(used) / int(np.count_nonzero(pair.region)),
        spacing_mm=pair.grid.spacing_mm,
        local_information=map_of("local mutual information", local, filled & varied),
        local_agreement=map_of("local gradient agreement", agreement, filled & has_edges),
    )


def _edge_statistics(edges: Edges, others: Edges, pair: ImagePair) -> DistanceStatistics | None:
    if len(others.voxels) < _MIN_EDGES or len(edges.within(pair.region).voxels) < _MIN_EDGES:
        return None
    spacing = np.asarray(pair.grid.spacing_mm[::-1])
    return DistanceStatistics.of(edge_distances_mm(edges, others, spacing, pair.region))
