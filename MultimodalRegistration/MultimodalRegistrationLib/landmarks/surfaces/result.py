"""What a registration by shape reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.frames import modelling_ras_from_resampling_lps
from .iterate import Overlap, kept_share
from .planes import Model

__all__ = ["Distances", "Rival", "SurfaceRegistration"]


@dataclass(frozen=True)
class Distances:
    """Distances from the samples of one shape to the nearest points of the other, in the fixed frame.

    Parameters
    ----------
    kept_share : float
        Share of the samples taken to have a counterpart: the closest ones.
    mean_mm, rms_mm, p95_mm : float
        Mean, root mean square and 95th percentile over these.
    all_mean_mm, all_rms_mm, all_p95_mm : float
        The same over all samples.
    """

    kept_share: float
    mean_mm: float
    rms_mm: float
    p95_mm: float
    all_mean_mm: float
    all_rms_mm: float
    all_p95_mm: float

    @classmethod
    def of(cls, distances_mm: NDArray[np.float64], overlap: Overlap, floor_mm: float) -> Distances:
        """Summarise distances, shape (N,), of which the share ``overlap`` counts as kept."""
        everything = np.sort(distances_mm)
        count, _ = kept_share(everything, overlap, floor_mm)
        return cls(count / len(everything), *_summary(everything[:count]), *_summary(everything))


def _summary(distances_mm: NDArray[np.float64]) -> tuple[float, float, float]:
    rms = float(np.sqrt(np.mean(np.square(distances_mm))))
    return float(distances_mm.mean()), rms, float(np.percentile(distances_mm, 95))


@dataclass(frozen=True)
class Rival:
    """Another pose that was looked at closely.

    Parameters
    ----------
    start : str
        Where it came from.
    residual_mm : float
        Its trimmed residual, to compare with that of the result.
    away_mm : float
        Mean distance over the moving shape between where this pose and where the result put it.
    turn_deg : float
        Angle between the two.
    """

    start: str
    residual_mm: float
    away_mm: float
    turn_deg: float


@dataclass(frozen=True, eq=False)
class SurfaceRegistration:
    """The result of a registration by shape.

    Parameters
    ----------
    fixed_to_moving_lps : array, shape (4, 4)
        Maps points of the fixed shape to points of the moving one, LPS, mm.
    model : {"rigid", "similarity", "affine"}
        What was fitted.
    moving_to_fixed : Distances or None
        From the moved moving shape to the fixed one; None where the moving shape is a surface and the fixed one points.
    fixed_to_moving : Distances or None
        From the fixed shape to the moved moving one; None where the fixed shape is a surface and the moving one points.
    start : str
        Which kind of start led to the result: ``given``, ``principal axes`` or ``search``.
    iterations : int
        Rounds of its refinement.
    residual_mm : float
        Its trimmed residual, comparable with that of the rivals. It includes a floor for the size of the shapes.
    rivals : tuple of Rival
        Poses clearly apart from the result, the best first.
    ambiguous : bool
        Whether a rival fits about as well.
    notes : tuple of str
        Points that were left out and why, a sentence each, naming the list and the point.
    """

    fixed_to_moving_lps: NDArray[np.float64]
    model: Model
    moving_to_fixed: Distances | None
    fixed_to_moving: Distances | None
    start: str
    iterations: int
    residual_mm: float
    rivals: tuple[Rival, ...]
    ambiguous: bool
    notes: tuple[str, ...] = ()

    @property
    def scales(self) -> tuple[float, float, float]:
        """Principal scales from moving to fixed, largest first."""
        scales = np.linalg.svd(self.moving_to_fixed_ras[:3, :3], compute_uv=False)
        return float(scales[0]), float(scales[1]), float(scales[2])

    @property
    def mirrors(self) -> bool:
        """Whether the transform contains a reflection."""
        return bool(np.linalg.det(self.fixed_to_moving_lps[:3, :3]) < 0)

    @property
    def moving_to_fixed_ras(self) -> NDArray[np.float64]:
        """To-parent matrix, shape (4, 4), of the node that is applied to the moving shape."""
        return modelling_ras_from_resampling_lps(self.fixed_to_moving_lps)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before using the result, a sentence or two each."""
        if not self.ambiguous:
            return ()
        rival = self.rivals[0]
        return (
            f"The shape does not settle the pose: one turned by {rival.turn_deg:.0f} degrees, {rival.away_mm:.0f} mm "
            f"away on average, fits about as well (residual {rival.residual_mm:.2f} mm against "
            f"{self.residual_mm:.2f} mm). The one that moves the shape least was taken; check it by eye, or give an "
            "initial transform near the right one.",
        )
