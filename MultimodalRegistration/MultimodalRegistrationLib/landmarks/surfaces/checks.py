"""The two sides of a registration by shape, checked before anything is computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.errors import InputError
from ...core.points import LandmarkList
from ...core.shapes import PointSet, Shape
from ...core.surface import Surface
from .planes import FEWEST_POINTS, Model

__all__ = ["checked_shape", "left_out"]

# In how many dimensions a shape has to spread.
_DIMENSIONS: dict[Model, int] = {"rigid": 2, "similarity": 2, "affine": 3}
# A spread below this share of the largest is how exactly points were placed or saved, not shape.
_FLAT = 1e-3
# A spread below this share of the coordinates is the rounding of a file.
_ROUNDING = 1e-6
_SAMPLES = 1000


def checked_shape(shape: Surface | LandmarkList | ArrayLike, name: str, model: Model) -> Shape:
    """Take one side, if a transform can be found from it.

    Parameters
    ----------
    shape : Surface, LandmarkList or array, shape (N, 3)
        A surface, or points on one in LPS, mm. Of a list those points that are placed and selected.
    name : str
        What messages call an array.
    model : {"rigid", "similarity", "affine"}
        What the transform may do.

    Returns
    -------
    Shape
        The same.

    Raises
    ------
    InputError
        Too few points for the model, all of them in one place or on one line, or in one plane if the model is affine.
    """
    if isinstance(shape, Surface):
        _check_spread(shape.name, "the surface lies", shape.samples(_SAMPLES, seed=0).points_lps, model)
        return shape
    if isinstance(shape, LandmarkList):
        points = PointSet(shape.name, shape.points_lps[list(shape.used)])
    else:
        points = PointSet(name, np.asarray(shape, dtype=np.float64))
    count, places = len(points.points_lps), len(np.unique(points.points_lps, axis=0))
    if count >= FEWEST_POINTS[model]:
        _check_spread(points.name, f"its {count} points lie", points.points_lps, model)
    if places < FEWEST_POINTS[model]:
        raise InputError(
            points.name,
            f"{count} points" + (f" at {places} different places" if places < count else ""),
            f"A point on a surface fixes one number of the transform: {model} takes at least {FEWEST_POINTS[model]}.",
        )
    return points


def left_out(shape: Surface | LandmarkList | ArrayLike) -> tuple[str, ...]:
    """Which points of a list are not used and why, a sentence each."""
    return shape.unused_notes if isinstance(shape, LandmarkList) else ()


def _check_spread(name: str, they_lie: str, points_lps: NDArray[np.float64], model: Model) -> None:
    spread = np.linalg.svd(points_lps - points_lps.mean(axis=0), compute_uv=False) / np.sqrt(len(points_lps))
    dimensions = 0
    if spread[0] > _ROUNDING * np.abs(points_lps).max():
        dimensions = int((spread > _FLAT * spread[0]).sum())
    if dimensions < _DIMENSIONS[model]:
        where = ("in one place", "on one line", "in one plane")[dimensions]
        remedy = "Use a rigid or similarity model, or a shape with depth."
        if dimensions < 2:
            remedy = "Give points that are spread over the surface, in all directions."
        raise InputError(name, f"{they_lie} {where}, which leaves the {model} transform open", remedy)
