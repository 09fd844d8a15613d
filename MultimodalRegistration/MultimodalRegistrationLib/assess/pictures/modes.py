"""How two volumes are shown in one plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .colours import EDGE_COLOUR, FIXED_COLOUR, MOVING_COLOUR
from .planes import strong_edges

__all__ = ["MODES", "PAINTERS", "checker_square_mm", "grey"]

MODES = ("overlay", "checkerboard", "edges", "side-by-side")
_SQUARES = (2, 5, 10, 20, 50, 100)
_SQUARES_ACROSS = 7

Shades = NDArray[np.float32]
"""Shape (H, W): 0 black to 1 white, NaN where there is nothing."""
Pixels = NDArray[np.float64]
"""Shape (H, W, 3): 0 to 255."""
Painter = Callable[[Shades, Shades, float], Pixels]


def checker_square_mm(field_mm: float) -> float:
    """Side of the squares of a checkerboard over a plane of a width."""
    return float(next((side for side in reversed(_SQUARES) if side * _SQUARES_ACROSS <= field_mm), _SQUARES[0]))


def grey(shades: Shades) -> Pixels:
    """One volume alone."""
    return np.repeat(255.0 * np.nan_to_num(shades)[..., None], 3, axis=2).astype(np.float64)


def _overlay(fixed: Shades, moving: Shades, square_px: float) -> Pixels:
    """Each in a colour of its own; where both are equally bright, the sum is grey."""
    del square_px
    return np.nan_to_num(fixed)[..., None] * FIXED_COLOUR + np.nan_to_num(moving)[..., None] * MOVING_COLOUR


def _checkerboard(fixed: Shades, moving: Shades, square_px: float) -> Pixels:
    rows, columns = np.indices(fixed.shape)
    of_moving = (np.floor(rows / square_px) + np.floor(columns / square_px)) % 2 == 1
    # Beyond the field of view of one volume there is nothing to compare, and black squares would hide the other.
    shown = np.where(of_moving, moving, fixed)
    return grey(np.where(np.isfinite(shown), shown, np.where(of_moving, fixed, moving)))


def _edges(fixed: Shades, moving: Shades, square_px: float) -> Pixels:
    """The fixed volume with the edges of the moving one."""
    del square_px
    picture = grey(fixed)
    lines = sitk.GetImageFromArray(strong_edges(moving).astype(np.uint8))
    # Three pixels wide, which print as a quarter of a millimetre.
    picture[sitk.GetArrayFromImage(sitk.BinaryDilate(lines, [1, 1])) > 0] = EDGE_COLOUR
    return picture


PAINTERS: Mapping[str, Painter] = {"overlay": _overlay, "checkerboard": _checkerboard, "edges": _edges}
