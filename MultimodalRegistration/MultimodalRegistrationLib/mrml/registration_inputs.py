"""What a registration is made of, and how it is carried out, as a user chooses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.points import Pairing
from ..engines.presets.model import Preset
from ..register.start import StartMethod

__all__ = ["Inputs", "Settings"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The nodes of a run.

    Parameters
    ----------
    fixed, moving : vtkMRMLScalarVolumeNode
        The volumes.
    initial_transform : vtkMRMLTransformNode, optional
        Linear; moves the moving volume, from where it lies, towards the fixed one.
    fixed_landmarks, moving_landmarks : vtkMRMLMarkupsNode, optional
        The run starts at their rigid fit; both or none.
    fixed_mask, moving_mask : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        What is used of the volume: its visible segments, or voxels above zero.
    roi : vtkMRMLMarkupsROINode, optional
        Only what lies in it is used of the fixed volume.
    structures : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        Of the fixed volume; each segment moves on its own.
    """

    fixed: Any
    moving: Any
    initial_transform: Any = None
    fixed_landmarks: Any = None
    moving_landmarks: Any = None
    fixed_mask: Any = None
    moving_mask: Any = None
    roi: Any = None
    structures: Any = None


@dataclass(frozen=True)
class Settings:
    """How a run is carried out.

    Parameters
    ----------
    preset : Preset
        Its settings, changed or not.
    then : Preset or None
        Of a second stage, which goes on from the result of the first with the best engine installed.
    engine : str or None
        Of the first stage; None for the best one installed.
    start : str
        As for :func:`~MultimodalRegistrationLib.register.run.register`; also the bounds.
    max_translation_mm, max_rotation_deg : float or None
        None for any.
    pairing : str
        Of the landmarks.
    resampled_volume : bool
        Also make the moving volume on the fixed grid.
    """

    preset: Preset
    then: Preset | None = None
    engine: str | None = None
    start: StartMethod = "auto"
    max_translation_mm: float | None = None
    max_rotation_deg: float | None = None
    pairing: Pairing = "order"
    resampled_volume: bool = False
