"""What a registration and its stages give."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.frames import modelling_ras_from_resampling_lps
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..engines.presets.preset import Preset
from ..preprocess.steps import Steps
from ..transforms.working_grid import DistanceStatistics
from .landmark_start import LandmarkErrors
from .verdict.convergence import Convergence
from .verdict.deformable import DeformableVerdict
from .verdict.rule import Verdict


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
class DeformableStage(LaterStage):
    """A deformable stage; its transform is of this stage alone and acts before those of the earlier stages.

    Parameters
    ----------
    verdict : DeformableVerdict or None
        Whether it helped; None when no verdict was asked for.
    inverse_error : DistanceStatistics
        From points of the fixed volume through the stage and through its numerical inverse to where they come back.
    """

    verdict: DeformableVerdict | None
    inverse_error: DistanceStatistics


@dataclass(frozen=True)
class RegistrationResult:
    """A transform and what is known about it.

    Parameters
    ----------
    fixed_to_moving_lps : array, shape (4, 4)
        Of the first stage. Resampling direction, LPS, mm: maps points of the fixed volume to the moving one.
    steps : Steps
        What was done to copies of the volumes first.
    preprocess_facts : tuple of str
        The same in words, with what was found.
    engine : str
        Name.
    preset : Preset
        The settings used.
    seed : int
        Of every random draw.
    sampled : str
        ``"fixed"`` or ``"moving"``: the volume in which the engine sampled its metric.
    start_method : str
        ``"auto"``, ``"given"``, ``"center"`` or ``"moments"``.
    start : str
        The start in words.
    start_fixed_to_moving_lps : array, shape (4, 4)
        The start.
    fixed_grid : VolumeGrid
        Of the fixed volume.
    max_translation_mm, max_rotation_deg : float or None
        Bounds of the run.
    candidates : int
        How many poses the engine started from.
    overlap_at_start, overlap_at_end : float
        Share of the smaller volume that lies inside the other, 0 to 1.
    mutual_information_at_start, mutual_information_at_end : float or None
        In nats, computed alike for every engine; None when the overlap is too small.
    moved_mm, rotated_deg : float
        How far the result is from the start: mean over the sampled volume, and rotation.
    bounds_touched : tuple of str
        Limits of the movement that the result is at, in words.
    landmarks : LandmarkErrors or None
        Errors at the landmarks that the run started from.
    convergence : Convergence
        Whether the optimiser had settled.
    verdict : Verdict or None
        Whether to trust the result; None when no verdict was asked for.
    seconds : dict
        Wall-clock of each stage, and ``"total"``, which is their sum; ``"engine"`` is the engine's own time.
    warnings : tuple of str
        What the user should know.
    log : str
        What the engine printed.
    later : tuple of LinearStage or DeformableStage
        Stages after the first, in their order.
    """

    fixed_to_moving_lps: NDArray[np.float64]
    steps: Steps
    preprocess_facts: tuple[str, ...]
    engine: str
    preset: Preset
    seed: int
    sampled: str
    start_method: str
    start: str
    start_fixed_to_moving_lps: NDArray[np.float64]
    fixed_grid: VolumeGrid
    max_translation_mm: float | None
    max_rotation_deg: float | None
    candidates: int
    overlap_at_start: float
    overlap_at_end: float
    mutual_information_at_start: float | None
    mutual_information_at_end: float | None
    moved_mm: float
    rotated_deg: float
    bounds_touched: tuple[str, ...]
    landmarks: LandmarkErrors | None
    convergence: Convergence
    verdict: Verdict | None
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    log: str = field(repr=False, default="")
    later: tuple[LinearStage | DeformableStage, ...] = ()

    @property
    def linear_fixed_to_moving_lps(self) -> NDArray[np.float64]:
        """Of all linear stages together, shape (4, 4): where the deformable stages began, or the whole result."""
        refined = [stage.transform.matrix for stage in self.later if isinstance(stage, LinearStage)]
        return self.fixed_to_moving_lps if not refined or refined[-1] is None else refined[-1]

    @property
    def transform(self) -> SpatialTransform:
        """``fixed_to_moving_lps`` of all stages: linear, or a composite that keeps each of them."""
        linear = SpatialTransform.of_matrix("result", self.linear_fixed_to_moving_lps)
        deformed = [stage.transform.transform for stage in self.later if isinstance(stage, DeformableStage)]
        if not deformed:
            return linear
        # The one that is added last acts first.
        composite = sitk.CompositeTransform([linear.transform, *deformed])
        # ITK's files hold no composite within a composite.
        composite.FlattenTransform()
        return SpatialTransform("result", composite)

    @property
    def moving_to_fixed_ras(self) -> NDArray[np.float64]:
        """Matrix of the MRML transform node of the linear stages, which is applied to the moving volume, (4, 4)."""
        return modelling_ras_from_resampling_lps(self.linear_fixed_to_moving_lps)
