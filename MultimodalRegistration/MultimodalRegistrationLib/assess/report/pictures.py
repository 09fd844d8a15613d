"""The volumes of the viewer: both on one grid along the patient's axes, before and after each registration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...core.frames import flip_ijk_to_space
from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ...io.box_mean import box_mean, coarse_grid, coarse_size
from ..pictures.planes import resampled
from ..pictures.window import display_window
from .coding import IntensityCode
from .sprites import jpeg_sprite, sprite_layout

__all__ = ["LARGEST_SIDE", "ViewerPictures", "make_pictures", "viewer_grid"]

LARGEST_SIDE = 176
_SMALLEST_SIDE = 2


@dataclass(frozen=True)
class ViewerPictures:
    """What the viewer shows.

    Parameters
    ----------
    geometry : dict
        JSON: ``size``, ``origin_ras`` and ``step_ras`` of the grid, whose axes run to the patient's left, back and
        head; ``tile`` (px) and ``columns`` of the sprites; ``fixed`` and ``moving`` with ``values`` of the codes and
        ``window``.
    sprites : dict
        Data URIs: ``fixed``, ``before``, ``after-0``, ``after-1`` and so on.
    """

    geometry: dict[str, Any]
    sprites: dict[str, str]


def viewer_grid(grid: VolumeGrid) -> VolumeGrid:
    """Grid along the axes of LPS over the field of view of a volume, of any orientation.

    Voxels are as fine as the finest side of the volume's, or as :data:`LARGEST_SIDE` of them along an axis allow; they
    may be longer along one axis than along another.
    """
    corners = grid.corners_lps
    low, extent = corners.min(axis=0), np.ptp(corners, axis=0)
    size = np.clip(np.ceil(extent / min(grid.spacing_mm) - 1e-6), _SMALLEST_SIDE, LARGEST_SIDE).astype(int)
    spacing = extent / size
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = low + spacing / 2
    return VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), matrix)


def make_pictures(fixed: Volume, moving: Volume, transforms: Sequence[SpatialTransform]) -> ViewerPictures:
    """Resample both volumes for the viewer.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    transforms : sequence of SpatialTransform
        ``fixed_to_moving_lps``, one for each state after a registration.

    Returns
    -------
    ViewerPictures
        With the moving volume as it lies, and after each transform.
    """
    grid = viewer_grid(fixed.grid)
    width, height, columns = sprite_layout(grid.size)
    origin = flip_ijk_to_space(grid.ijk_to_lps)
    geometry: dict[str, Any] = {
        "size": list(grid.size),
        "origin_ras": origin[:3, 3].tolist(),
        "step_ras": np.diag(origin)[:3].tolist(),
        "tile": [width, height],
        "columns": columns,
    }
    as_it_lies = sitk.Transform(3, sitk.sitkIdentity)
    named = {f"after-{index}": transform.transform for index, transform in enumerate(transforms)}
    sprites = {}
    for role, volume, views in (
        ("fixed", fixed, {"fixed": as_it_lies}),
        ("moving", moving, {"before": as_it_lies, **named}),
    ):
        reduced = _reduced(volume, min(grid.spacing_mm))
        voxels = sitk.GetArrayViewFromImage(reduced)
        code = IntensityCode.of(voxels)
        geometry[role] = {
            "values": [float(f"{value:.6g}") for value in code.values],
            "window": list(display_window(volume, voxels)),
        }
        for key, transform in views.items():
            sprites[key] = jpeg_sprite(code.encode(resampled(reduced, transform, grid)))
    return ViewerPictures(geometry, sprites)


def _reduced(volume: Volume, spacing_mm: float) -> sitk.Image:
    """Means over boxes of about the spacing of the viewer, so that nothing is lost between its voxels."""
    size = coarse_size(volume.grid, spacing_mm)
    if size == volume.grid.size:
        return sitk.Cast(volume.image, sitk.sitkFloat32)
    image = sitk.GetImageFromArray(box_mean(volume.voxels, volume.grid.size, size))
    coarse_grid(volume.grid, size).place(image)
    return image
