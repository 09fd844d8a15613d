"""One volume averaged over the thick slices of another, as a scanner averages over a slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..core.grid import VolumeGrid
from ..engines.jobs import EngineVolume

__all__ = ["averaged_over_slices"]

# Parts of a slice that are averaged.
_PARTS = 9


def averaged_over_slices(volume: EngineVolume, thick: VolumeGrid) -> EngineVolume:
    """Average a volume along the direction of the thick slices of another, over their thickness.

    Parameters
    ----------
    volume : EngineVolume
        Not changed.
    thick : VolumeGrid
        Where the other volume lies in the same space; its largest spacing is the thickness, mm.

    Returns
    -------
    EngineVolume
        On the same grid, with the same mask. Beyond its border the volume goes on as it ends.
    """
    spacing_mm = np.asarray(thick.spacing_mm)
    axis = int(spacing_mm.argmax())
    across_lps = spacing_mm[axis] * np.reshape(thick.direction, (3, 3))[:, axis]
    across_ijk = np.linalg.solve(volume.grid.ijk_to_lps[:3, :3], across_lps)
    total = np.zeros(volume.voxels.shape, dtype=np.float32)
    for part in (np.arange(_PARTS) - (_PARTS - 1) / 2) / _PARTS:
        total += ndimage.shift(volume.voxels, part * across_ijk[::-1], order=1, mode="nearest")
    return replace(volume, voxels=(total / _PARTS).astype(np.float32))
