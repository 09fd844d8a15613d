"""Whether a constant border is the end of the field of view, or a background that was set to a constant.

The first shows nothing, right up to the tissue it cuts through. The second, as around an extracted brain, shows the
outline. A field of view is a box or a cylinder, cut and rotated as it may be: its border is made of few planes, or is
straight along one direction. The outline of a body is neither.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .coarse import shrink

__all__ = ["ends_field_of_view"]

_SMOOTHING_MM = 4.0
_MOST_PLANES = 6
_SAME_DIRECTION = np.cos(np.radians(10.0))
_SHARE_ON_PLANES = 0.5
# Mean square of the normals' component along the straightest direction; a third for a sphere.
_STRAIGHT = 0.02


def ends_field_of_view(padding: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> bool:
    """Tell a border from a background.

    Parameters
    ----------
    padding : array of bool, shape (K, J, I)
        Constant voxels that are connected to the edge of the volume.
    spacing_mm : tuple of 3 float
        Along I, J, K; the axes are taken to be perpendicular.

    Returns
    -------
    bool
        Whether the surface of the padding is that of a box or a cylinder.
    """
    coarse = shrink(padding, spacing_mm)
    if min(coarse.means.shape) < 2:
        return False
    smooth = ndimage.gaussian_filter(coarse.means, [_SMOOTHING_MM / step for step in coarse.spacing_mm])
    surface = (smooth > 0.3) & (smooth < 0.7)
    normals = np.stack([part[surface] for part in np.gradient(smooth, *coarse.spacing_mm)], axis=1)
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 0] / lengths[lengths > 0, None]
    if not len(normals):
        return True
    if np.linalg.eigvalsh(normals.T @ normals / len(normals))[0] < _STRAIGHT:
        return True
    return _share_on_planes(normals) >= _SHARE_ON_PLANES


def _share_on_planes(normals: NDArray[np.float32]) -> float:
    """Share of the normals, shape (N, 3), that point in one of the few most frequent directions."""
    rest = normals
    for _ in range(_MOST_PLANES):
        if not len(rest):
            break
        candidates = rest[:: max(1, len(rest) // 200)]
        close = candidates @ rest.T > _SAME_DIRECTION
        rest = rest[~close[close.sum(axis=1).argmax()]]
    return 1.0 - len(rest) / len(normals)
