"""Where a run begins, before any search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldName, InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, translation_matrix
from ..core.volume import Volume
from .inputs import Inputs
from .landmark_start import LandmarkStart, landmark_start
from .masks import Masks
from .request import RegisterRequest


def center_start(fixed: VolumeGrid, moving: VolumeGrid) -> NDArray[np.float64]:
    """Start transform that puts the centres of the two volumes onto each other.

    Parameters
    ----------
    fixed, moving : VolumeGrid
        World coordinates.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, a translation in mm.
    """
    return translation_matrix(moving.center_lps - fixed.center_lps)


def moments_start(
    fixed: Volume, moving: Volume, fixed_mask: Volume | None = None, moving_mask: Volume | None = None
) -> NDArray[np.float64]:
    """Start transform that puts the centres of mass of the intensities onto each other.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; intensities above the mean count.
    fixed_mask, moving_mask : Volume, optional
        Zeros and ones on the volume's grid; only marked voxels count.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, a translation in mm.
    """
    return translation_matrix(_center_of_mass_lps(moving, moving_mask) - _center_of_mass_lps(fixed, fixed_mask))


def _center_of_mass_lps(volume: Volume, mask: Volume | None) -> NDArray[np.float64]:
    voxels = np.asarray(volume.voxels, dtype=np.float64)
    # Only what is brighter than the mean: neither noise nor a padding value far below all tissue may outweigh it.
    marked = np.ones(voxels.shape, dtype=bool) if mask is None else mask.voxels > 0
    weights = np.where(marked, np.maximum(voxels - voxels[marked].mean(), 0.0), 0.0)
    total = weights.sum()
    if total <= 0:
        return volume.grid.center_lps
    mean = [
        float((weights.sum(axis=tuple({0, 1, 2} - {axis})) @ np.arange(weights.shape[axis])) / total)
        for axis in (2, 1, 0)
    ]
    return apply_matrix(volume.grid.ijk_to_lps, mean)


@dataclass(frozen=True, eq=False)
class Start:
    """Where a run begins, and how far from there it may go.

    Parameters
    ----------
    fixed_to_moving_lps : array, shape (4, 4)
        The initial transform, or the positions in the files where none was given, for ``auto`` and ``given``.
    name : str
        What it is, for messages.
    max_translation_mm, max_rotation_deg : float or None
        Bounds of the request, or those of the landmarks.
    landmarks : LandmarkStart or None
        That it was fitted to.
    """

    fixed_to_moving_lps: NDArray[np.float64]
    name: str
    max_translation_mm: float | None
    max_rotation_deg: float | None
    landmarks: LandmarkStart | None = None


def choose_start(request: RegisterRequest, inputs: Inputs, fixed: Volume, moving: Volume, masks: Masks) -> Start:
    """The transform that a run starts from or searches around.

    Parameters
    ----------
    request : RegisterRequest
        Its method and its bounds.
    inputs : Inputs
        Initial transform and landmarks of the user.
    fixed, moving : Volume
        World coordinates.
    masks : Masks
        Each on the grid of its volume.

    Raises
    ------
    InputError
        Landmarks or an initial transform together with a method that does not use them.
    """
    method, initial_lps, name = request.start, inputs.initial_fixed_to_moving_lps, inputs.initial_name
    bounds = request.max_translation_mm, request.max_rotation_deg
    landmarks: LandmarkStart | None = None
    if inputs.landmarks is not None:
        landmarks = _fit_of_landmarks(inputs, request, fixed, moving)
        initial_lps, name = landmarks.fixed_to_moving_lps, landmarks.name
        if bounds == (None, None):
            bounds = landmarks.max_translation_mm, landmarks.max_rotation_deg
    if method in ("center", "moments"):
        if initial_lps is not None:
            raise InputError(
                name,
                f"an initial transform was given together with the start '{method}', which does not use it",
                "Leave one of them out, or use the start 'given' or 'auto'.",
            )
        if method == "center":
            return Start(center_start(fixed.grid, moving.grid), "the centres aligned", *bounds)
        return Start(moments_start(fixed, moving, masks.fixed, masks.moving), "the centres of mass aligned", *bounds)
    if initial_lps is None:
        return Start(np.eye(4), "the positions in the files", *bounds)
    return Start(np.asarray(initial_lps, dtype=np.float64), f"the initial transform {name}", *bounds, landmarks)


def _fit_of_landmarks(inputs: Inputs, request: RegisterRequest, fixed: Volume, moving: Volume) -> LandmarkStart:
    assert inputs.landmarks is not None, "checked before"
    if request.start not in ("auto", "given"):
        raise InputError(
            FieldName("start"),
            f"'{request.start}' was given together with landmarks",
            "Use 'auto' or 'given', or leave the landmarks out.",
        )
    if inputs.initial_fixed_to_moving_lps is not None:
        raise InputError(
            inputs.initial_name,
            "an initial transform was given together with landmarks",
            "Leave one of them out: the rigid fit of the landmarks is an initial transform.",
        )
    return landmark_start(inputs.landmarks, fixed.grid, moving.grid)
