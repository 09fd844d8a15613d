"""Whether targets are what they are given as: points of these volumes, in this order, that no transform was made from.

The error at points that a transform was fitted to is small by construction and says nothing of the error elsewhere
(Fitzpatrick 2009, doi:10.1117/12.813601).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.points import Pairs
from ..core.spatial import SpatialTransform
from ..landmarks.models import MIN_PAIRS, LinearFit, ModelName, fit_model, is_determined

# Targets may lie a little outside of a cropped volume.
_MARGIN_MM = 50.0
_MAX_OUTSIDE = 0.5
# The inverse has to leave less than this share of the error, and the error has to be more than what is debatable.
_INVERSE_SHARE = 0.5
_MIN_MM = 5.0
_MODELS: tuple[ModelName, ...] = ("translation", "rigid", "similarity", "affine")
# Digits that files of points keep.
_SAME_PLACE_MM = 0.01
# A fit through points passes them to rounding; a registration of images never does.
_PASSES_MM = 1e-3
_SAME_TRANSFORM_MM = 0.01
# How well grids follow splines, and how far a spline has to be from affine to be told from a smooth truth.
_SAMPLED_MM = 0.2
_NOT_AFFINE_MM = 1.0
_MAX_PROBES = 500


def check_targets_lie_in_volumes(targets: Pairs, fixed: VolumeGrid, moving: VolumeGrid) -> None:
    """Refuse targets that belong to other volumes.

    Parameters
    ----------
    targets : Pairs
        World coordinates.
    fixed, moving : VolumeGrid
        The volumes that they should lie in.

    Raises
    ------
    InputError
        More than half of the points of a list lie outside of their volume by more than 50 mm.
    """
    outside = {"fixed": _share_outside(fixed, targets.fixed_lps), "moving": _share_outside(moving, targets.moving_lps)}
    if max(outside.values()) <= _MAX_OUTSIDE:
        return
    swapped = max(_share_outside(moving, targets.fixed_lps), _share_outside(fixed, targets.moving_lps))
    role = "fixed" if outside["fixed"] >= outside["moving"] else "moving"
    name = (targets.fixed if role == "fixed" else targets.moving).name
    remedy = "Check that the list, its coordinate system (LPS or RAS) and the volume belong to the same scene."
    if swapped <= _MAX_OUTSIDE:
        remedy = "The two lists fit the volumes the other way round: exchange them."
    raise InputError(
        name, f"{outside[role]:.0%} of the points lie more than {_MARGIN_MM:g} mm outside of the {role} volume", remedy
    )


def _share_outside(grid: VolumeGrid, points_lps: NDArray[np.float64]) -> float:
    index = apply_matrix(np.linalg.inv(grid.ijk_to_lps), points_lps)
    margin = _MARGIN_MM / np.asarray(grid.spacing_mm)
    inside = np.all((index >= -0.5 - margin) & (index <= np.asarray(grid.size) - 0.5 + margin), axis=1)
    return float(1.0 - inside.mean())


def inverse_fits_better(targets: Pairs, transform: SpatialTransform) -> tuple[float, float] | None:
    """Compare a transform with its inverse at targets.

    Parameters
    ----------
    targets : Pairs
        World coordinates.
    transform : SpatialTransform
        Taken as from fixed to moving.

    Returns
    -------
    tuple of 2 float, or None
        RMS distance in mm as given and the other way round, where the inverse fits far better; else None.
    """
    given = transform.to_moving(targets.fixed_lps) - targets.moving_lps
    inverse = transform.to_moving(targets.moving_lps) - targets.fixed_lps
    rms_given, rms_inverse = (float(np.sqrt(np.mean(np.sum(d**2, axis=1)))) for d in (given, inverse))
    if rms_given > _MIN_MM and rms_inverse < _INVERSE_SHARE * rms_given:
        return rms_given, rms_inverse
    return None


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
    given = transform.to_moving(targets.fixed_lps)
    residual = np.linalg.norm(given - targets.moving_lps, axis=1)
    every = frozenset(range(len(targets)))
    if transform.matrix is None:
        passed = frozenset(np.flatnonzero(residual < _PASSES_MM).tolist())
        if len(passed) >= MIN_PAIRS["tps"]:
            return UsedFiducials(passed, f"{transform.name} passes exactly through them, as only a fit to them does.")
        if _is_spline_of(targets, transform):
            return UsedFiducials(every, f"{transform.name} is the thin-plate spline through these very points.")
    # Exact pairs fit each model; nothing tells a fit from a truth.
    elif residual.max() >= _PASSES_MM:
        for model in _MODELS:
            fitted = (apply_matrix(matrix, targets.fixed_lps) for matrix in _least_squares(model, targets))
            if any(np.linalg.norm(points - given, axis=1).max() < _SAME_TRANSFORM_MM for points in fitted):
                return UsedFiducials(every, f"{transform.name} is the {model} least-squares fit of these very points.")
    return UsedFiducials(frozenset(), "")


def _is_spline_of(targets: Pairs, transform: SpatialTransform) -> bool:
    """Whether a transform is a sampled thin-plate spline through the targets; the sampling passes them nearly."""
    fixed, moving = targets.fixed_lps, targets.moving_lps
    if len(targets) <= MIN_PAIRS["tps"] or not is_determined("tps", moving, fixed):
        return False
    first, second = np.triu_indices(len(fixed), 1)
    between = (fixed[first] + fixed[second])[:_MAX_PROBES] / 2
    spline, affine = (fit_model(model, moving, fixed).to_moving(between) for model in ("tps", "affine"))
    deformable = np.linalg.norm(spline - affine, axis=1).max() > _NOT_AFFINE_MM
    gap = np.linalg.norm(spline - transform.to_moving(between), axis=1).max()
    return bool(deformable and gap < _SAMPLED_MM)


def _least_squares(model: ModelName, targets: Pairs) -> list[NDArray[np.float64]]:
    """The fit with errors in the fixed volume and that with errors in the moving one, ``fixed_to_moving_lps``.

    None where the points do not determine the model, or fit it exactly because they are so few.
    """
    fixed, moving = targets.fixed_lps, targets.moving_lps
    if len(targets) <= MIN_PAIRS[model] or not is_determined(model, moving, fixed):
        return []
    forward, backward = fit_model(model, moving, fixed), fit_model(model, fixed, moving)
    assert isinstance(forward, LinearFit)
    assert isinstance(backward, LinearFit)
    return [forward.fixed_to_moving_lps, np.asarray(np.linalg.inv(backward.fixed_to_moving_lps), dtype=np.float64)]
