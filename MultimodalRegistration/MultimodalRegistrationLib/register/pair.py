"""The two volumes as the search, the engine and the verdict see them: in the position of the start."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.linear import is_rigid
from ..core.volume import Volume
from ..engines.jobs import EngineVolume
from ..preprocess.equalise import equalised
from . import prepare

__all__ = ["Pair", "equalised_volume", "make_pair", "moved"]


@dataclass(frozen=True)
class Pair:
    """Two volumes with the start folded into the header of one, so that the start is the identity.

    Parameters
    ----------
    sampled : EngineVolume
        In which metrics are sampled: see :func:`~MultimodalRegistrationLib.register.prepare.sample_moving`. Where
        it was.
    other : EngineVolume
        Moved by the start.
    sampled_is_moving : bool
        Which of the user's two volumes ``sampled`` is.
    start_fixed_to_moving_lps : array, shape (4, 4)
        The start.
    """

    sampled: EngineVolume
    other: EngineVolume
    sampled_is_moving: bool
    start_fixed_to_moving_lps: NDArray[np.float64]

    def fixed_to_moving_lps(self, pose_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The user's transform from a pose ``sampled_to_other_lps`` of this pair, both of shape (4, 4)."""
        if self.sampled_is_moving:
            return np.asarray(np.linalg.inv(pose_lps) @ self.start_fixed_to_moving_lps)
        return self.start_fixed_to_moving_lps @ pose_lps

    def pose_lps(self, fixed_to_moving_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The pose, shape (4, 4), of a transform of the user's volumes: the inverse of :meth:`fixed_to_moving_lps`."""
        if self.sampled_is_moving:
            return np.asarray(self.start_fixed_to_moving_lps @ np.linalg.inv(fixed_to_moving_lps))
        return np.asarray(np.linalg.inv(self.start_fixed_to_moving_lps) @ fixed_to_moving_lps)


def moved(other: EngineVolume, pose_lps: NDArray[np.float64]) -> EngineVolume:
    """The other volume of a pair, moved so that a rigid pose, shape (4, 4), becomes the identity; voxels are shared."""
    return replace(other, grid=other.grid.moved(np.linalg.inv(pose_lps)))


def equalised_volume(volume: EngineVolume, share: float) -> EngineVolume:
    """What an engine gets of a volume: intensities that use little of their range are mixed with their ranks."""
    return replace(volume, voxels=equalised(volume.voxels, share, mask=volume.mask))


def make_pair(
    fixed: Volume,
    moving: Volume,
    start_fixed_to_moving_lps: NDArray[np.float64],
    *,
    fixed_mask: Volume | None,
    moving_mask: Volume | None,
    winsorize_percentiles: tuple[float, float],
    shared: Pair | None = None,
) -> Pair:
    """Make the engine's copies of two volumes.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; not changed.
    start_fixed_to_moving_lps : array, shape (4, 4)
        The start.
    fixed_mask, moving_mask : Volume or None
        Zeros and ones, each on the grid of its volume.
    winsorize_percentiles : tuple of 2 float
        From the preset.
    shared : Pair, optional
        Of the same volumes, start and percentiles with other masks: its intensities are used, not copied again.

    Returns
    -------
    Pair
        Intensities clipped, grids orthogonal.

    Raises
    ------
    InputError
        A volume without contrast.
    """
    start = start_fixed_to_moving_lps
    sampled_is_moving = prepare.sample_moving(fixed, moving, fixed_mask=fixed_mask, moving_mask=moving_mask)
    if sampled_is_moving:
        sampled, other, other_goes = (moving, moving_mask), (fixed, fixed_mask), start
    else:
        sampled, other, other_goes = (fixed, fixed_mask), (moving, moving_mask), np.asarray(np.linalg.inv(start))
    known: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None] = (None, None)
    # Otherwise one of them was resampled.
    if shared is not None and is_rigid(start):
        known = shared.sampled.voxels, shared.other.voxels
        if shared.sampled_is_moving != sampled_is_moving:
            known = known[1], known[0]
    return Pair(
        prepare.engine_copy(*sampled, np.eye(4), winsorize_percentiles, known[0]),
        prepare.engine_copy(*other, other_goes, winsorize_percentiles, known[1]),
        sampled_is_moving,
        start,
    )
