"""Which targets are no targets, because the transform was computed from them.

The error at points that a transform was fitted to is small by construction and says nothing of the error elsewhere
(Fitzpatrick 2009, doi:10.1117/12.813601).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.linear import apply_matrix
from ..core.points import Pairs
from ..core.spatial import SpatialTransform
from ..landmarks.models import MIN_PAIRS, LinearFit, ModelName, fit_model, is_determined

__all__ = ["UsedFiducials", "find_used_fiducials"]

_MODELS: tuple[ModelName, ...] = ("translation", "rigid", "similarity", "affine")
# Digits that files of points keep.
_SAME_PLACE_MM = 0.01
# A fit through points passes them to rounding; a registration of images never does.
_PASSES_MM = 1e-3
_SAME_TRANSFORM_MM = 0.01
# How well grids follow splines, and how much a spline has to bend to be told from a smooth truth.
_SAMPLED_MM = 0.2
_BENDS_MM = 1.0
_MOST_PROBES = 500


@dataclass(frozen=True)
class UsedFiducials:
    """Pairs that a transform was computed from.

    Parameters
    ----------
    index : frozenset of int
        Into the pairs of targets.
    why : str
        How that was found, a sentence; empty when there are none.
    """

    index: frozenset[int]
    why: str


def find_used_fiducials(
    targets: Pairs, transform: SpatialTransform, known_fixed_lps: NDArray[np.float64] | None = None
) -> UsedFiducials:
    """Find the targets that a transform was computed from.

    Parameters
    ----------
    targets : Pairs
        What was given as targets.
    transform : SpatialTransform
        To be judged.
    known_fixed_lps : array, shape (M, 3), optional
        Fixed points of the fiducials, LPS, mm, where a record of how the transform was made names them.

    Returns
    -------
    UsedFiducials
        By the record; else by the transform itself: one that passes exactly through points that do not fit it
        otherwise, or one that is the least-squares fit of all the points.
    """
    if known_fixed_lps is not None and len(known_fixed_lps):
        gaps = np.linalg.norm(targets.fixed_lps[:, None] - known_fixed_lps[None], axis=2).min(axis=1)
        same = frozenset(np.flatnonzero(gaps < _SAME_PLACE_MM).tolist())
        if same:
            return UsedFiducials(same, f"{transform.name} was computed from them, as its record says.")
    residual = np.linalg.norm(transform.to_moving(targets.fixed_lps) - targets.moving_lps, axis=1)
    if transform.matrix is None:
        passed = frozenset(np.flatnonzero(residual < _PASSES_MM).tolist())
        if len(passed) >= MIN_PAIRS["tps"]:
            return UsedFiducials(passed, f"{transform.name} passes exactly through them, as only a fit to them does.")
        if _is_spline_of(targets, transform):
            every = frozenset(range(len(targets)))
            return UsedFiducials(every, f"{transform.name} is the thin-plate spline through these very points.")
        return UsedFiducials(frozenset(), "")
    if residual.max() < _PASSES_MM:
        # Exact pairs fit each model; nothing tells a fit from a truth.
        return UsedFiducials(frozenset(), "")
    for model in _MODELS:
        if len(targets) <= MIN_PAIRS[model] or not is_determined(model, targets.moving_lps, targets.fixed_lps):
            continue
        given = transform.to_moving(targets.fixed_lps)
        if any(
            np.linalg.norm(apply_matrix(matrix, targets.fixed_lps) - given, axis=1).max() < _SAME_TRANSFORM_MM
            for matrix in _least_squares(model, targets)
        ):
            return UsedFiducials(
                frozenset(range(len(targets))),
                f"{transform.name} is the {model} least-squares fit of these very points.",
            )
    return UsedFiducials(frozenset(), "")


def _is_spline_of(targets: Pairs, transform: SpatialTransform) -> bool:
    """Whether a transform is a sampled thin-plate spline through the targets; the sampling passes them nearly."""
    fixed, moving = targets.fixed_lps, targets.moving_lps
    if len(targets) <= MIN_PAIRS["tps"] or not is_determined("tps", moving, fixed):
        return False
    first, second = np.triu_indices(len(fixed), 1)
    between = (fixed[first] + fixed[second])[:_MOST_PROBES] / 2
    spline, affine = (fit_model(model, moving, fixed).to_moving(between) for model in ("tps", "affine"))
    bends = np.linalg.norm(spline - affine, axis=1).max() > _BENDS_MM
    gap = np.linalg.norm(spline - transform.to_moving(between), axis=1).max()
    return bool(bends and gap < _SAMPLED_MM)


def _least_squares(model: ModelName, targets: Pairs) -> list[NDArray[np.float64]]:
    """The fit with errors in the fixed volume and that with errors in the moving one, ``fixed_to_moving_lps``."""
    there = fit_model(model, targets.moving_lps, targets.fixed_lps)
    back = fit_model(model, targets.fixed_lps, targets.moving_lps)
    assert isinstance(there, LinearFit)
    assert isinstance(back, LinearFit)
    return [there.fixed_to_moving_lps, np.asarray(np.linalg.inv(back.fixed_to_moving_lps), dtype=np.float64)]
