"""What two volumes say for or against a transform between them.

Similarity and overlap are weak evidence: transforms that scramble anatomy can raise both, and only distances of
landmarks or of small labelled structures tell right from wrong registrations (Rohlfing 2012,
doi:10.1109/TMI.2011.2163944). The numbers here compare two transforms of the same pair, such as before and after a
registration, and the maps show where to look; none of them is an accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ...register.overlap import overlap_fraction
from ...transforms.distance_statistics import DistanceStatistics
from ...transforms.working_grid import volume_of
from .edge_distance import edge_distances_mm
from .gradient_agreement import agreement_terms, local_agreement, total_agreement
from .gradients import Edges, edges_of, gradients_of
from .information import information_of_joint, joint_histogram, local_information
from .pair import CLASSES, LOCAL_CLASSES, ImagePair, prepare_pair
from .windows import NOTHING, windows_on

__all__ = ["ImageEvidence", "image_evidence", "pair_evidence"]

_FEWEST_VOXELS = 1000
_FEWEST_EDGES = 100
_SMALLEST_PART_OF_A_WINDOW = 0.25


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
        0 to 1, see :mod:`MultimodalRegistrationLib.assess.images.gradient_agreement`.
    edges_of_fixed, edges_of_moving : DistanceStatistics or None
        From strong edges of one volume to the nearest of the other, see
        :mod:`MultimodalRegistrationLib.assess.images.edge_distance`; None when either has fewer than 100.
    overlap : float
        Share of the smaller volume that lies inside the other, 0 to 1.
    covered : float
        Share of the region that the moving volume shows, 0 to 1.
    spacing_mm : tuple of 3 float
        Of the working grid, along I, J, K.
    window_mm : tuple of 3 float
        Size of the windows of the maps, along I, J, K.
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
    window_mm: tuple[float, float, float]
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
    enough = len(used) >= _FEWEST_VOXELS
    information = information_of_joint(joint_histogram(of_fixed, of_moving, CLASSES)) if enough else (None, None)
    pairs = pair.fixed_side.coarser[of_fixed] * np.int32(LOCAL_CLASSES) + pair.moving_side.coarser[of_moving]
    local, count, varied = local_information(pairs, all_cells[used], windows, LOCAL_CLASSES)

    gradients = gradients_of(moved.voxels, pair.grid, pair.smoothing_mm)
    sound = gradients.unaffected(moved.inside)
    compared = np.flatnonzero(pair.region & sound)
    strengths = pair.fixed_side.strength, pair.moving_side.strength
    terms = agreement_terms(pair.fixed_gradients, gradients, *strengths, compared)
    agreement, has_edges = local_agreement(terms, all_cells[compared], windows)
    edges = pair.fixed_edges.within(sound), edges_of(gradients, strengths[1]).within(sound)

    filled = count >= _SMALLEST_PART_OF_A_WINDOW * windows.voxels
    # The noise of air agrees with nothing, wherever it lies.
    shown = pair.region & moved.inside & (pair.fixed_side.body.voxels.astype(bool) | moved.body)

    def map_of(name: str, values: NDArray[np.floating], known: NDArray[np.bool_]) -> Volume:
        spread = np.where(shown, windows.spread(values, known), np.float32(NOTHING))
        return volume_of(spread, pair.grid, f"{name} of {transform.name}")

    return ImageEvidence(
        transform=transform.name,
        mutual_information=information[0],
        normalized_mutual_information=information[1],
        gradient_agreement=total_agreement(terms) if len(compared) >= _FEWEST_VOXELS else None,
        edges_of_fixed=_edge_statistics(edges[0], edges[1], pair),
        edges_of_moving=_edge_statistics(edges[1], edges[0], pair),
        overlap=overlap_fraction(pair.fixed, pair.moving, transform),
        covered=len(used) / int(np.count_nonzero(pair.region)),
        spacing_mm=pair.grid.spacing_mm,
        window_mm=windows.size_mm,
        local_information=map_of("local mutual information", local, filled & varied),
        local_agreement=map_of("local gradient agreement", agreement, filled & has_edges),
    )


def _edge_statistics(edges: Edges, others: Edges, pair: ImagePair) -> DistanceStatistics | None:
    if len(others.voxels) < _FEWEST_EDGES or len(edges.within(pair.region).voxels) < _FEWEST_EDGES:
        return None
    spacing = np.asarray(pair.grid.spacing_mm[::-1])
    return DistanceStatistics.of(edge_distances_mm(edges, others, spacing, pair.region))
