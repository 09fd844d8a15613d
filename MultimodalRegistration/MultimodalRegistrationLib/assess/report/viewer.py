r"""The volumes of the viewer: both on one grid along the patient's axes, before and after each registration.

Intensities are 8-bit codes that lose little where the volume has most of its voxels. The spacing of the codes follows
the cube root of the histogram, which is optimal for the mean square error (:math:`\lambda \propto p^{1/3}`, Panter and
Dite 1951, doi:10.1109/JRPROC.1951.230419). A narrow window of a CT thus has many more grey levels than with even steps.

All axial planes of a volume are side by side in one compressed picture (a sprite), which a browser can decode.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image

from ...core.frames import flip_ijk_to_space
from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ...io.downsample import box_mean, coarse_grid, coarse_size
from ..pictures.planes import display_window, finite_sample, resampled

MAX_SIDE = 176
_MIN_SIDE = 2
OUTSIDE = 0
# The gap to the code of what lies outside survives compression as JPEG.
FIRST_CODE = 40
_BINS = 2048
_PERCENTILES = (0.02, 99.98)
# Planes begin at whole blocks of JPEG, so that no plane shows through at the edge of another.
_BLOCK = 8
_QUALITY = 88


def viewer_grid(grid: VolumeGrid) -> VolumeGrid:
    """Grid along the axes of LPS over the field of view of a volume, of any orientation.

    Voxels are as fine as the finest side of the volume's, or as :data:`MAX_SIDE` of them along an axis allow; they
    may be longer along one axis than along another.
    """
    corners = grid.corners_lps
    low, extent = corners.min(axis=0), np.ptp(corners, axis=0)
    size = np.clip(np.ceil(extent / min(grid.spacing_mm) - 1e-6), _MIN_SIDE, MAX_SIDE).astype(int)
    spacing = extent / size
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = low + spacing / 2
    return VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), matrix)


def make_pictures(
    fixed: Volume, moving: Volume, transforms: Sequence[SpatialTransform]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Resample both volumes for the viewer.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    transforms : sequence of SpatialTransform
        ``fixed_to_moving_lps``, one for each state after a registration.

    Returns
    -------
    geometry : dict
        JSON: ``size``, ``origin_ras`` and ``step_ras`` of the grid, whose axes run to the patient's left, back and
        head; ``tile`` (px) and ``columns`` of the sprites; ``fixed`` and ``moving`` with ``values`` of the codes and
        ``window``.
    sprites : dict
        Data URIs: ``fixed``, ``before`` (the moving volume as it lies), ``after-0``, ``after-1`` and so on.
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
    identity = sitk.Transform(3, sitk.sitkIdentity)
    after = {f"after-{index}": transform.transform for index, transform in enumerate(transforms)}
    sprites = {}
    views = ("fixed", fixed, {"fixed": identity}), ("moving", moving, {"before": identity, **after})
    for role, volume, placed in views:
        reduced = _reduced(volume, min(grid.spacing_mm))
        voxels = sitk.GetArrayViewFromImage(reduced)
        code = IntensityCode.of(voxels)
        geometry[role] = {
            "values": [float(f"{value:.6g}") for value in code.values],
            "window": list(display_window(volume, voxels)),
        }
        for key, transform in placed.items():
            sprites[key] = jpeg_sprite(code.encode(resampled(reduced, transform, grid)))
    return geometry, sprites


def _reduced(volume: Volume, spacing_mm: float) -> sitk.Image:
    """Means over boxes of about the spacing of the viewer, so that nothing is lost between its voxels."""
    size = coarse_size(volume.grid, spacing_mm)
    if size == volume.grid.size:
        return sitk.Cast(volume.image, sitk.sitkFloat32)
    image = sitk.GetImageFromArray(box_mean(volume.voxels, volume.grid.size, size))
    coarse_grid(volume.grid, size).place(image)
    return image


@dataclass(frozen=True)
class IntensityCode:
    """Code of the intensities of one volume.

    Parameters
    ----------
    values : array, shape (256,)
        Intensity of each code, rising; those below :data:`FIRST_CODE` are not used.
    """

    values: NDArray[np.float64]

    @classmethod
    def of(cls, voxels: NDArray[np.float32]) -> IntensityCode:
        """Fit to voxels, which may hold values that are not finite."""
        sample = finite_sample(voxels)
        low, high = np.percentile(sample, _PERCENTILES)
        if not high > low:
            low, high = low - 0.5, high + 0.5
        counts, edges = np.histogram(sample, bins=_BINS, range=(low, high))
        density = np.cbrt(counts + 1e-4 * sample.size / _BINS)
        cumulative = np.concatenate([[0.0], np.cumsum(density)])
        wanted = np.linspace(0, cumulative[-1], 256 - FIRST_CODE)
        values = np.interp(wanted, cumulative, edges)
        return cls(np.concatenate([np.full(FIRST_CODE, values[0]), values]))

    def encode(self, voxels: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes of voxels of any shape; NaN is :data:`OUTSIDE`."""
        codes = np.interp(voxels, self.values[FIRST_CODE:], np.arange(FIRST_CODE, 256, dtype=np.float32))
        return np.where(np.isfinite(voxels), np.rint(codes), OUTSIDE).astype(np.uint8)


def sprite_layout(size: tuple[int, int, int]) -> tuple[int, int, int]:
    """Width and height of the tile of a plane, px, and the number of tiles in a row, for a size along I, J, K."""
    width, height = (-(-n // _BLOCK) * _BLOCK for n in size[:2])
    columns = max(1, round(float(np.sqrt(size[2] * height / width))))
    return width, height, columns


def jpeg_sprite(codes: NDArray[np.uint8]) -> str:
    """Compress planes.

    Parameters
    ----------
    codes : array, shape (K, J, I)
        Grey values.

    Returns
    -------
    str
        Data URI of a JPEG; plane k is in column ``k % columns`` and row ``k // columns``.
    """
    planes, rows, across = codes.shape
    width, height, columns = sprite_layout((across, rows, planes))
    lines = -(-planes // columns)
    tiles = np.zeros((lines * columns, height, width), dtype=np.uint8)
    # Repeating the last row and column compresses better than a step to black.
    tiles[:planes] = np.pad(codes, ((0, 0), (0, height - rows), (0, width - across)), mode="edge")
    sheet = tiles.reshape(lines, columns, height, width).swapaxes(1, 2).reshape(lines * height, columns * width)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "JPEG", quality=_QUALITY, progressive=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
