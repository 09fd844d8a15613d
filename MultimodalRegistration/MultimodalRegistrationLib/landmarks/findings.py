"""What is wrong or doubtful about paired landmarks before they are used; each finding names its points and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist, squareform

from ..core.linear import superpose
from ..core.points import Pairs, plain_label
from .matching import find_candidates
from .models import MIN_PAIRS, PARAMETERS, ModelName
from .outliers import Linear, exchange, misfit, outliers, reflection_gain

_COINCIDENT_MM = 0.1
_NEARLY_COLLINEAR, _NEARLY_COPLANAR = 0.1, 0.05
_FLAT_MM, _FLAT_SHARE, _FLAT_NOISE = 0.01, 1e-4, 1.5
_SYMMETRY_ODDS = float(np.log(1000.0))
_SYMMETRY_TURN_DEG = 20.0
_SYMMETRY_RATIO = 4.0
_SYMMETRY_MAX = 100

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or doubtful.

    Parameters
    ----------
    code : str
        ``too-few``, ``coincident``, ``collinear``, ``coplanar``, ``swapped``, ``mirrored``, ``outlier`` or
        ``symmetric``; ``label-order``; of a fit ``folds``, ``target-is-landmark``,
        ``targets-error-exceeds-expected`` and ``left-out-error-exceeds-expected``.
    severity : {"error", "warning", "note"}
        ``error``: a fit would be undetermined or wrong. ``warning``: look at it. ``note``: good to know.
    points : tuple of str
        The pairs it is about, as messages call them.
    message, remedy : str
        What was found, with values, and what to do.
    """

    code: str
    severity: Severity
    points: tuple[str, ...]
    message: str
    remedy: str


def find_problems(
    pairs: Pairs,
    *,
    model: ModelName,
    weights: NDArray[np.float64] | None = None,
    localisation_error_mm: float | None = None,
) -> tuple[Finding, ...]:
    """Look for what would spoil a fit of ``model`` to ``pairs``.

    Parameters
    ----------
    pairs : Pairs
        Any number.
    model : {"translation", "rigid", "similarity", "affine", "tps"}
        Of the fit. A thin-plate spline passes through all points, so departures from the affine model are
        judged.
    weights : array, shape (N,), optional
        Inverse variances of the pairs but for a common factor; all alike by default.
    localisation_error_mm : float, optional
        RMS of the three-dimensional localisation error of a pair of mean weight, both volumes together, where it is
        known; by default it is estimated from the pairs.

    Returns
    -------
    tuple of Finding
        Too few, the geometry, then what explains a misfit: a mirror image, else an exchange, else single pairs.

    Notes
    -----
    The noise is not assumed but estimated from the pairs (:mod:`.outliers`), so a wrong pair needs others to stand out
    from: nothing can be told from three pairs, and a rigid fit to four or five pairs has 3 or 6 degrees of freedom
    without the pair in question, which shows gross errors only (Testing/Benchmarks/landmarks.md).
    """
    labels = pairs.labels
    if len(pairs) < MIN_PAIRS[model]:
        message = f"{len(pairs)} pairs, and the {model} model needs at least {MIN_PAIRS[model]}."
        remedy = "Place more landmarks or choose a model with fewer parameters."
        return (Finding("too-few", "error", labels, message, remedy),)
    fixed, moving = pairs.fixed_lps, pairs.moving_lps
    judged: Linear = "affine" if model == "tps" else model
    each = np.ones(len(pairs)) if weights is None else weights / weights.mean()
    variance_mm2 = localisation_error_mm**2 / 3 if localisation_error_mm else None
    causes = _causes(fixed, moving, judged, labels, each, variance_mm2)
    # A misfit of known cause is no measure of the noise.
    freedom = 3 * len(pairs) - PARAMETERS[judged]
    noise_mm = 0.0
    if not causes and freedom > 0:
        noise_mm = float(np.sqrt(misfit(fixed, moving, judged, each) / freedom))
    found = _relabelled(pairs) + _coincident(pairs, model) + _flat(pairs, model, noise_mm) + causes
    if model != "translation" and not any(one.code in ("mirrored", "swapped") for one in causes):
        found += _symmetric(fixed, moving, labels, {name for one in causes for name in one.points})
    return tuple(found)


def _rms(squares: float, count: int) -> float:
    return float(np.sqrt(squares / count))


def _relabelled(pairs: Pairs) -> list[Finding]:
    """Pairs by order whose labels say another order."""
    if pairs.how != "order":
        return []
    labels = [
        [plain_label(one.landmarks[i].label) for i in index]
        for one, index in ((pairs.fixed, pairs.fixed_index), (pairs.moving, pairs.moving_index))
    ]
    if labels[0] == labels[1] or sorted(labels[0]) != sorted(labels[1]) or len(set(labels[0])) < len(pairs):
        return []
    names = tuple(name for name, one, other in zip(pairs.labels, *labels, strict=True) if one != other)
    message = f"Both lists have the same labels in another order: {', '.join(names)}."
    return [Finding("label-order", "warning", names, message, "Pair by label, or give the lists in the same order.")]


def _coincident(pairs: Pairs, model: ModelName) -> list[Finding]:
    found = []
    for landmarks, points in ((pairs.fixed, pairs.fixed_lps), (pairs.moving, pairs.moving_lps)):
        for a, b in np.argwhere(np.triu(squareform(pdist(points)) < _COINCIDENT_MM, 1)).tolist():
            names = (pairs.labels[a], pairs.labels[b])
            message = f"{names[0]} and {names[1]} lie at the same place in {landmarks.name}."
            severity: Severity = "error" if model == "tps" else "warning"
            found.append(Finding("coincident", severity, names, message, "Move or remove one of them."))
    return found


def _off_line_mm(points: NDArray[np.float64]) -> float:
    """Root-mean-square distance of three or more points from the line along them, in the wider direction."""
    return float(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1] / np.sqrt(len(points)))


def _flat(pairs: Pairs, model: ModelName, noise_mm: float) -> list[Finding]:
    """Points on a line or in a plane, exactly, within the noise, or nearly; the flatter list counts."""
    if model == "translation":
        return []
    sizes = []
    for points in (pairs.fixed_lps, pairs.moving_lps):
        values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        sizes.append(np.append(values, [0.0] * (3 - len(values))) / np.sqrt(len(points)))
    length, width, height = np.min(sizes, axis=0)
    # What is flat by its geometry is refused; what may be flat but for noise is only said.
    floor = max(_FLAT_MM, _FLAT_SHARE * length)
    doubtful = _FLAT_NOISE * noise_mm
    spread = "Place further landmarks away from"
    if width <= max(floor, doubtful, _NEARLY_COLLINEAR * length):
        exact = bool(width <= floor)
        message = (
            f"The points lie {'' if exact else 'nearly '}on a line ({width:.2g} mm off it, root mean square, over "
            f"{length:.3g} mm): the rotation about it is {'not' if exact else 'poorly'} determined."
        )
        return [Finding("collinear", "error" if exact else "warning", pairs.labels, message, f"{spread} the line.")]
    if model in ("affine", "tps") and height <= max(floor, doubtful, _NEARLY_COPLANAR * length):
        exact = bool(height <= floor)
        message = (
            f"The points lie {'' if exact else 'nearly '}in a plane ({height:.2g} mm off it, root mean square): "
            f"scale, shear and reflection across it are {'not' if exact else 'poorly'} determined."
        )
        remedy = f"{spread} the plane, or choose the rigid model."
        return [Finding("coplanar", "error" if exact else "warning", pairs.labels, message, remedy)]
    if len(pairs) >= 4 and height <= max(floor, doubtful):
        message = "The points lie in a plane: a mirror image across it would not be noticed."
        return [Finding("coplanar", "note", pairs.labels, message, f"{spread} the plane.")]
    return []


def _causes(
    fixed: NDArray[np.float64],
    moving: NDArray[np.float64],
    model: Linear,
    labels: tuple[str, ...],
    weights: NDArray[np.float64],
    variance_mm2: float | None,
) -> list[Finding]:
    """What explains a misfit: a mirror image, else an exchange, else single pairs."""
    n = len(fixed)
    before = _rms(float(misfit(fixed, moving, model)), n)
    gain, (a, b) = exchange(fixed, moving, model, weights)
    if reflection_gain(fixed, moving, model, weights) > max(gain, 0.0):
        mirrored = _rms(float(misfit(fixed, moving, "similarity", mirrored=True)), n)
        message = f"Only a mirror image fits (root mean square {mirrored:.2f} mm)."
        remedy = (
            "Check whether all left and right labels are exchanged, and the coordinate system (RAS or LPS) of both "
            "lists."
        )
        return [Finding("mirrored", "error", labels, message, remedy)]
    if gain > 0:
        order = np.arange(n)
        order[[a, b]] = b, a
        after = _rms(float(misfit(fixed, moving[order], model)), n)
        message = (
            f"{labels[a]} and {labels[b]} have exchanged partners: with them put right the root mean square falls from "
            f"{before:.2f} to {after:.2f} mm."
        )
        remedy = "Exchange the two points in one of the lists."
        return [Finding("swapped", "error", (labels[a], labels[b]), message, remedy)]
    worst = outliers(fixed, moving, model, weights, variance_mm2)
    rest = [j for j in range(n) if j not in worst]
    others = " and the other outliers" if len(worst) > 1 else ""
    found = []
    for i in worst:
        after = _rms(float(misfit(fixed[rest], moving[rest], model)), len(rest))
        message = (
            f"{labels[i]} does not fit with the others: without it{others} the root mean square falls from "
            f"{before:.2f} to {after:.2f} mm."
        )
        remedy = "Correct its position in one of the lists, or unselect it."
        found.append(Finding("outlier", "warning", (labels[i],), message, remedy))
    return found


def _symmetric(
    fixed: NDArray[np.float64], moving: NDArray[np.float64], labels: tuple[str, ...], apart: set[str]
) -> list[Finding]:
    """Another assignment of the same points, in a clearly different pose, that fits nearly as well."""
    keep = [i for i, name in enumerate(labels) if name not in apart]
    fixed, moving, labels = fixed[keep], moving[keep], tuple(labels[i] for i in keep)
    n, freedom = len(fixed), 3 * len(fixed) - PARAMETERS["rigid"]
    if not 3 <= n <= _SYMMETRY_MAX:
        return []
    rotation, _, squares = superpose(fixed, moving)
    noise = float(np.sqrt(squares / freedom))
    extent = float(np.sqrt(fixed.var(axis=0).sum()))
    floor = n * (0.01 * extent) ** 2
    search_mm = float(np.clip(1.5 * noise, 0.01 * extent, 0.05 * extent))
    # A point that could stand for another one has the same distances to all others. The rest must stay where they are,
    # so they must lie on the axis of the turn; nearly all sets end here.
    rows_fixed, rows_moving = (np.sort(squareform(pdist(points)), axis=1) for points in (fixed, moving))
    alike = cdist(rows_fixed, rows_moving, "chebyshev") < 4.0 * search_mm
    stay = fixed[alike.sum(axis=1) <= 1]
    if len(stay) == n or (len(stay) >= 3 and _off_line_mm(stay) > 8.0 * search_mm):
        return []
    for candidate in find_candidates(fixed, moving, noise_mm=search_mm, seed=0):
        order = candidate.moving_index
        if candidate.mirrored or len(order) < n or np.array_equal(order, np.arange(n)):
            continue
        turned, _, other = superpose(fixed, moving[order])
        turn = np.degrees(np.arccos(np.clip((np.trace(turned @ rotation.T) - 1) / 2, -1, 1)))
        ratio = (other + floor) / (squares + floor)
        if turn > _SYMMETRY_TURN_DEG and ratio < _SYMMETRY_RATIO and 0.5 * freedom * np.log(ratio) < _SYMMETRY_ODDS:
            changed = tuple(labels[i] for i in range(n) if order[i] != i)
            message = (
                f"The points fit in two ways: with {', '.join(changed)} in another order, turned by {turn:.0f} "
                f"degrees, the root mean square is {_rms(float(other), n):.2f} instead of "
                f"{_rms(float(squares), n):.2f} mm."
            )
            remedy = "Check the labels, or place a landmark that breaks the symmetry."
            return [Finding("symmetric", "warning", changed, message, remedy)]
    return []
