r"""Thin-plate spline through pairs of landmarks.

In three dimensions the spline of least bending energy has the kernel :math:`|r|` (Bookstein 1989,
doi:10.1109/34.24792; Wahba 1990, doi:10.1137/1.9781611970128): :math:`f(p) = A p + b + \sum_i c_i |p - p_i|`, with
:math:`\sum c_i = 0` and :math:`\sum c_i p_i^T = 0`. It is the one of ``vtkThinPlateSplineTransform`` with the basis R,
which transform nodes use. A stiffness adds :math:`\lambda I` to the kernel matrix: the spline then passes near the
landmarks instead of through them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from ..core.errors import InputError, RegistrationError
from ..core.grid import VolumeGrid
from ..core.linear import fit_affine
from ..core.spatial import DisplacementGrid, displacement_grid

_INVERSE_TOLERANCE_MM = 1e-7
_MAX_ITERATIONS = 100
_DIFFERENCE_MM = 1e-3
_SPACINGS_MM = (8.0, 4.0, 2.0, 1.0)
_TOLERANCE_MM = 0.1
_MAX_NODES = 20_000_000
_PROBES = 2_000
_MARGIN = 0.25
_MIN_MARGIN_MM = 20.0


@dataclass(frozen=True)
class ThinPlateSpline:
    """A thin-plate spline from the fixed to the moving volume, which is the direction that resampling needs.

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (N, 3)
        Pairs of landmarks, LPS, mm; at least 4 fixed points that are not in one plane.
    stiffness_mm : float, optional
        0 passes through every landmark; the larger, the closer to an affine transform.
    weights : array, shape (N,), optional
        The stiffness of each landmark is divided by its weight, relative to the mean weight.
    """

    fixed_lps: NDArray[np.float64]
    moving_lps: NDArray[np.float64]
    stiffness_mm: float = 0.0
    weights: NDArray[np.float64] | None = None
    _spline: RBFInterpolator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        share = 1.0 if self.weights is None else self.weights / self.weights.mean()
        smoothing = np.broadcast_to(self.stiffness_mm / share, len(self.fixed_lps))
        spline = RBFInterpolator(self.fixed_lps, self.moving_lps, kernel="linear", degree=1, smoothing=smoothing)
        object.__setattr__(self, "_spline", spline)

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map fixed points, shape (N, 3), LPS, mm, to moving ones."""
        return np.asarray(self._spline(np.asarray(fixed_lps, dtype=np.float64)))

    def to_fixed(self, moving_lps: ArrayLike) -> NDArray[np.float64]:
        """Map moving points, shape (N, 3), LPS, mm, to fixed ones: the inverse, by damped Newton iterations.

        Raises
        ------
        RegistrationError
            The spline folds, so that a point has no inverse.
        """
        target = np.asarray(moving_lps, dtype=np.float64)
        # From the nearest landmark, so that the inverse is exact at landmarks even where the spline folds beside them.
        nearest = cKDTree(self.moving_lps).query(target)[1]
        backward = fit_affine(self.moving_lps, self.fixed_lps)[:3, :3]
        found = self.fixed_lps[nearest] + (target - self.moving_lps[nearest]) @ backward.T
        miss = self.to_moving(found) - target
        for _ in range(_MAX_ITERATIONS):
            todo = np.flatnonzero(np.linalg.norm(miss, axis=1) > _INVERSE_TOLERANCE_MM)
            if not len(todo):
                return found
            step = _newton_steps(self.jacobian(found[todo]), miss[todo])
            for share in (1.0, 0.5, 0.25, 0.125):
                tried = found[todo] - share * step
                missed = self.to_moving(tried) - target[todo]
                better = np.linalg.norm(missed, axis=1) < np.linalg.norm(miss[todo], axis=1)
                found[todo[better]], miss[todo[better]] = tried[better], missed[better]
                todo, step = todo[~better], step[~better]
                if not len(todo):
                    break
        point = int(np.argmax(np.linalg.norm(miss, axis=1)))
        raise RegistrationError(
            "The thin-plate spline",
            f"folds: the moving point {np.round(target[point], 1).tolist()} (LPS) has no inverse",
            "Look for exchanged or misplaced landmarks, or give the spline a stiffness.",
        )

    def jacobian(self, fixed_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivative of the moving by the fixed point at fixed points, shape (N, 3), as an array (N, 3, 3)."""
        steps = _DIFFERENCE_MM * np.eye(3)
        ahead, behind = (self.to_moving((fixed_lps[:, None] + sign * steps).reshape(-1, 3)) for sign in (1, -1))
        # The middle axis counts the direction of the step, which is the column of the derivative.
        return np.asarray((ahead - behind).reshape(-1, 3, 3).swapaxes(1, 2) / (2 * _DIFFERENCE_MM))


def _newton_steps(jacobians: NDArray[np.float64], miss: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions of ``jacobian @ step = miss``, shape (N, 3); the shortest one nearest to it where there is none."""
    try:
        return np.asarray(np.linalg.solve(jacobians, miss[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        # Beside two landmarks that have the same partner the spline may be flat in one direction, at a point.
        return np.asarray((np.linalg.pinv(jacobians) @ miss[:, :, None])[:, :, 0])


def box_of_points(points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of a box around points, shape (N, 3), LPS, mm, with a margin of a quarter and at least 20 mm: (2, 3)."""
    low, high = points_lps.min(axis=0), points_lps.max(axis=0)
    margin = np.maximum(_MARGIN * (high - low), _MIN_MARGIN_MM)
    return np.stack([low - margin, high + margin])


def spline_grid(spline: ThinPlateSpline, box_lps: NDArray[np.float64]) -> DisplacementGrid:
    """Sample a spline over a box, as finely as it takes to be within 0.1 mm, but not finer than 1 mm.

    Parameters
    ----------
    spline : ThinPlateSpline
        From fixed to moving.
    box_lps : array, shape (2, 3)
        Lowest and highest corner of what the grid has to cover, LPS, mm.

    Returns
    -------
    DisplacementGrid
        The grid and how far it is from the spline.

    Raises
    ------
    InputError
        The box is larger than any body.
    """
    random = np.random.default_rng(0)
    landmarks = spline.fixed_lps[np.all((spline.fixed_lps >= box_lps[0]) & (spline.fixed_lps <= box_lps[1]), axis=1)]
    probes = np.concatenate([random.uniform(box_lps[0], box_lps[1], (_PROBES, 3)), landmarks])
    found = displacement_grid(
        spline.to_moving,
        [_grid_over(box_lps, spacing_mm) for spacing_mm in _SPACINGS_MM],
        probes,
        good_enough_mm=_TOLERANCE_MM,
        most_nodes=_MAX_NODES,
    )
    if found is None:
        extent = " x ".join(f"{side:.0f}" for side in box_lps[1] - box_lps[0])
        raise InputError("The grid of the spline", f"it would cover {extent} mm", "Look for misplaced landmarks.")
    return found


def _grid_over(box_lps: NDArray[np.float64], spacing_mm: float) -> VolumeGrid:
    size = np.ceil((box_lps[1] - box_lps[0]) / spacing_mm).astype(int) + 1
    return VolumeGrid(
        (int(size[0]), int(size[1]), int(size[2])),
        (spacing_mm,) * 3,
        (float(box_lps[0, 0]), float(box_lps[0, 1]), float(box_lps[0, 2])),
        tuple(np.eye(3).ravel().tolist()),
    )
