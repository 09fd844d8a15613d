"""Pairs with a known smooth deformation: the fixed volume of a real pair, bent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.preprocess.foreground import foreground
from MultimodalRegistrationLib.register.deformable import run_deformable_stage
from MultimodalRegistrationLib.register.masks import Masks
from MultimodalRegistrationLib.register.plan import Part
from MultimodalRegistrationLib.register.resample import resample_to_fixed
from MultimodalRegistrationLib.register.result import DeformableStage
from MultimodalRegistrationLib.register.run import Run
from scipy.ndimage import gaussian_filter

__all__ = ["DeformedPair", "bend_from_rigid", "deformed_pair"]

_NODE_MM = 4.0
_POINTS = 4000


@dataclass(frozen=True)
class DeformedPair:
    """A pair whose transform is known at some points.

    Parameters
    ----------
    fixed, moving : Volume
        The fixed volume is bent, and resampled by it; the moving one is as it was.
    rigid_lps : array, shape (4, 4)
        ``fixed_to_moving_lps`` without the bending.
    points_lps, wanted_lps : array, shape (N, 3)
        Points of what the fixed volume shows, and where they lie in the moving one.
    """

    fixed: Volume
    moving: Volume
    rigid_lps: np.ndarray
    points_lps: np.ndarray
    wanted_lps: np.ndarray

    def errors_mm(self, transform: SpatialTransform) -> np.ndarray:
        """Distance of each point from where it should be, shape (N,)."""
        return np.linalg.norm(transform.to_moving(self.points_lps) - self.wanted_lps, axis=1)


def deformed_pair(
    case: dict[str, Any], folder: Path, *, largest_mm: float = 12.0, smooth_mm: float = 22.0, seed: int = 1
) -> DeformedPair:
    """Bend the fixed volume of a case by a random field.

    Parameters
    ----------
    case : dict
        Of ``cases.json``.
    folder : Path
        Of the data.
    largest_mm : float
        Displacement where it is largest, somewhere in the volume.
    smooth_mm : float
        Standard deviation of the Gaussian that smooths the random numbers.
    seed : int
        Of those.
    """
    fixed, moving = read_volume(folder / case["fixed"]), read_volume(folder / case["moving"])
    bending = _random_field(fixed.grid, largest_mm, smooth_mm, seed)
    bent = resample_to_fixed(fixed, fixed, bending)
    rigid = np.asarray(case["truth_matrix_lps"])
    truth = sitk.CompositeTransform([sitk_from_matrix(rigid), bending.transform])
    index = np.argwhere(foreground(bent).voxels > 0)[:, ::-1]
    index = index[np.random.default_rng(0).permutation(len(index))]
    points = index @ bent.grid.ijk_to_lps[:3, :3].T + bent.grid.ijk_to_lps[:3, 3]
    wanted = SpatialTransform("truth", truth).to_moving(points[: 4 * _POINTS])
    shown = np.flatnonzero(moving.grid.contains(wanted))[:_POINTS]
    return DeformedPair(bent, moving, rigid, points[shown], wanted[shown])


def bend_from_rigid(
    engines: EngineSessions, engine: str, pair: DeformedPair, *, verdict: bool, on_warning: Callable[[str], None]
) -> DeformableStage:
    """Deform with the preset ``warp``, from the true rigid transform."""
    return run_deformable_stage(
        pair.fixed,
        pair.moving,
        Masks(),
        SpatialTransform.of_matrix("rigid", pair.rigid_lps),
        Part(find_preset("warp"), engine, is_deformable=True, masks=Masks()),
        Run(engines, on_warning=on_warning),
        verdict=verdict,
        seed=1,
    )


def _random_field(grid: VolumeGrid, largest_mm: float, smooth_mm: float, seed: int) -> SpatialTransform:
    size = [int(np.ceil(n * mm / _NODE_MM)) + 1 for n, mm in zip(grid.size, grid.spacing_mm, strict=True)]
    # Made larger and cut, so that it is as strong at the border as inside.
    pad = int(4 * smooth_mm / _NODE_MM)
    rng = np.random.default_rng(seed)
    noise = [rng.normal(size=[n + 2 * pad for n in size[::-1]]) for _ in range(3)]
    inner = (slice(pad, -pad),) * 3
    field = np.stack([gaussian_filter(part, smooth_mm / _NODE_MM)[inner] for part in noise], axis=-1)
    field *= largest_mm / np.linalg.norm(field, axis=-1).max()
    image = sitk.GetImageFromArray(field, isVector=True)
    image.SetOrigin(grid.origin_lps)
    image.SetDirection(grid.direction)
    image.SetSpacing([_NODE_MM] * 3)
    return SpatialTransform("bending", sitk.DisplacementFieldTransform(image))
