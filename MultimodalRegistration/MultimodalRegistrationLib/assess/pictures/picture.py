"""A picture of a registration for a page: three planes of two volumes, before and after, without a display."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ...core.errors import FieldName, InputError
from ...core.frames import flip_points_lps_ras
from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ...io.outputs import writing
from .layout import EDGE_COLOUR, FIXED_COLOUR, MOVING_COLOUR, Page, Panel
from .planes import PLANES, cut, display_window, strong_edges

MODES = ("overlay", "checkerboard", "edges", "side-by-side")
_SQUARES = (2, 5, 10, 20, 50, 100)
_SQUARES_ACROSS = 7

Shades = NDArray[np.float32]
"""Shape (H, W): 0 black to 1 white, NaN where there is nothing."""
Pixels = NDArray[np.float64]
"""Shape (H, W, 3): 0 to 255."""
Painter = Callable[[Shades, Shades, float], Pixels]

# Of positive and of negative coordinates in RAS.
_SIDES = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    Parameters
    ----------
    pixels : array, shape (H, W, 3)
        RGB.
    panels : tuple of Panel
        Row by row, each with axial, coronal and sagittal: where which point is.
    """

    pixels: NDArray[np.uint8]
    panels: tuple[Panel, ...]


def registration_picture(
    fixed: Volume,
    moving: Volume,
    transform: SpatialTransform | None = None,
    *,
    mode: str = "overlay",
    center_lps: ArrayLike | None = None,
    field_mm: float | None = None,
) -> Picture:
    """Show two volumes in three planes along the patient's axes.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    transform : SpatialTransform, optional
        ``fixed_to_moving_lps``; with it there is a row before and one after it.
    mode : str
        One of :data:`MODES`.
    center_lps : array, shape (3,), optional
        Where the planes cross, LPS, mm; by default the centre of the fixed volume.
    field_mm : float, optional
        Side of a square part around that point; by default all of the fixed volume.

    Returns
    -------
    Picture
        In radiological convention: the patient's right is on the left of axial and coronal planes, anterior on the left
        of sagittal ones.

    Raises
    ------
    InputError
        Unknown mode, a field that is not positive, or a point outside of the fixed volume.
    """
    if mode not in MODES:
        raise InputError(mode, "no such mode", f"Use one of {', '.join(MODES)}.")
    if field_mm is not None and not 1 <= field_mm <= 10_000:
        raise InputError(FieldName("field"), f"{field_mm:g} mm", "Give a number from 1 to 10000.")
    center = fixed.grid.center_lps if center_lps is None else np.asarray(center_lps, dtype=np.float64)
    if not fixed.grid.contains(center[None])[0]:
        raise InputError(
            FieldName("at"),
            f"{_position(center)} is outside of the fixed volume {fixed.name}",
            f"Its centre is at {_position(fixed.grid.center_lps)}.",
        )
    states = [("before" if transform else "as placed", sitk.Transform(3, sitk.sitkIdentity))]
    states += [("after", transform.transform)] if transform else []
    titles = [title for title, _ in states]
    if mode == "side-by-side":
        titles = ["fixed", *(f"moving, {title}" for title in titles)]
    page = Page(fixed.grid, center, field_mm, titles)
    of_fixed = _shades(fixed, states[0][1], page)
    of_moving = [_shades(moving, each, page) for _, each in states]
    square_mm = checker_square_mm(page.smallest_side_mm)
    if mode == "side-by-side":
        contents = [[grey(plane) for plane in row] for row in (of_fixed, *of_moving)]
    else:
        paint = PAINTERS[mode]
        contents = [
            [paint(*pair, square_mm / page.mm_per_pixel) for pair in zip(of_fixed, row, strict=True)]
            for row in of_moving
        ]
    captions = [f"{plane.name}, {_axis_position(center, plane.normal)}" for plane in PLANES]
    return Picture(page.draw(contents, captions, mode, square_mm), page.panels)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as PNG."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(picture.pixels), isVector=True)
    with writing(path):
        sitk.WriteImage(image, str(path), True)


def _axis_position(point_lps: ArrayLike, axis: int) -> str:
    """Where a point lies along an axis of the patient, with the letter of the side."""
    value = round(float(flip_points_lps_ras(point_lps)[axis]), 1)
    return f"{_SIDES[axis][0 if value >= 0 else 1]} {abs(value):.1f} mm"


def _position(point_lps: ArrayLike) -> str:
    """Where a point lies, with the letters of the sides."""
    return ", ".join(_axis_position(point_lps, axis) for axis in range(3))


def _shades(volume: Volume, transform: sitk.Transform, page: Page) -> list[Shades]:
    """The three planes of a volume, from black to white."""
    low, high = display_window(volume, volume.voxels)
    planes = [cut(volume.image, transform, window) for window in page.windows]
    return [np.clip((plane - low) / (high - low), 0, 1) for plane in planes]


def checker_square_mm(field_mm: float) -> float:
    """Side of the squares of a checkerboard over a plane of a width."""
    return float(next((side for side in reversed(_SQUARES) if side * _SQUARES_ACROSS <= field_mm), _SQUARES[0]))


def grey(shades: Shades) -> Pixels:
    """One volume alone."""
    return np.repeat(255.0 * np.nan_to_num(shades)[..., None], 3, axis=2).astype(np.float64)


def _overlay(fixed: Shades, moving: Shades, _square_px: float) -> Pixels:
    """Each in a colour of its own; where both are equally bright, the sum is grey."""
    return np.nan_to_num(fixed)[..., None] * FIXED_COLOUR + np.nan_to_num(moving)[..., None] * MOVING_COLOUR


def _checkerboard(fixed: Shades, moving: Shades, square_px: float) -> Pixels:
    rows, columns = np.indices(fixed.shape)
    of_moving = (np.floor(rows / square_px) + np.floor(columns / square_px)) % 2 == 1
    # Beyond the field of view of one volume there is nothing to compare, and black squares would hide the other.
    shown = np.where(of_moving, moving, fixed)
    return grey(np.where(np.isfinite(shown), shown, np.where(of_moving, fixed, moving)))


def _edges(fixed: Shades, moving: Shades, _square_px: float) -> Pixels:
    """The fixed volume with the edges of the moving one."""
    picture = grey(fixed)
    lines = sitk.GetImageFromArray(strong_edges(moving).astype(np.uint8))
    # Three pixels wide, which print as a quarter of a millimetre.
    picture[sitk.GetArrayFromImage(sitk.BinaryDilate(lines, [1, 1])) > 0] = EDGE_COLOUR
    return picture


PAINTERS: Mapping[str, Painter] = {"overlay": _overlay, "checkerboard": _checkerboard, "edges": _edges}
