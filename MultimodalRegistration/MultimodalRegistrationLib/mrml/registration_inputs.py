"""What a registration is made of, and how it is carried out, as a user chooses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.points import Pairing


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
    options : mapping
        Fields of :class:`~MultimodalRegistrationLib.register.request.RegisterRequest`, but for those that name files;
        what is missing has its default.
    resampled_volume : bool
        Also make the moving volume on the fixed grid.
    fixed_mask_segments, moving_mask_segments : sequence of str or None
        Identifiers or names of the segments of a mask; None for all visible ones. Of segmentations only.
    fixed_mask_outside, moving_mask_outside : bool
        Use everything but what the mask marks.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    resampled_volume: bool = False
    fixed_mask_segments: Sequence[str] | None = None
    moving_mask_segments: Sequence[str] | None = None
    fixed_mask_outside: bool = False
    moving_mask_outside: bool = False

    @property
    def pairing(self) -> Pairing:
        """Of the landmarks."""
        return self.options.get("pairing", "order")
