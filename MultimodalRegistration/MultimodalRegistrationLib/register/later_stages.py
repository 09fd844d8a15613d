"""What the stages after the first one found."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.spatial import SpatialTransform
from ..engines.presets.model import Preset
from ..transforms.distance_statistics import DistanceStatistics
from .verdict.bending import BendingVerdict
from .verdict.convergence import Convergence

__all__ = ["BentStage", "LaterStage", "LinearStage"]


@dataclass(frozen=True, kw_only=True)
class LaterStage:
    """What any stage after the first one found.

    Parameters
    ----------
    preset : Preset
        Its settings.
    engine : str
        Name.
    transform : SpatialTransform
        ``fixed_to_moving_lps``, of what the subclass says.
    convergence : Convergence
        Whether the optimiser had settled.
    seconds : dict
        Wall-clock by what it was for; ``"engine"`` is the engine's own time.
    log : str
        What it printed.
    """

    preset: Preset
    engine: str
    transform: SpatialTransform
    convergence: Convergence
    seconds: dict[str, float]
    log: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class LinearStage(LaterStage):
    """A linear stage; its transform is that of this and all stages before it.

    Parameters
    ----------
    moved_mm : float
        How far from the stage before, on average.
    """

    moved_mm: float


@dataclass(frozen=True, kw_only=True)
class BentStage(LaterStage):
    """A stage that bends; its transform is of this stage alone and acts before those of the earlier stages.

    Parameters
    ----------
    verdict : BendingVerdict or None
        Whether it helped; None when no verdict was asked for.
    inverse_error : DistanceStatistics
        From points of the fixed volume through the stage and through its numerical inverse to where they come back.
    """

    verdict: BendingVerdict | None
    inverse_error: DistanceStatistics
