"""Registration from landmarks: from two lists to a transform with everything that is known about its errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError, RegistrationError
from ..core.linear import fit_affine
from ..core.points import Pairs
from .accuracy import PointErrors, Recommendation, errors_at, leave_one_out, leave_one_out_both_directions, recommend
from .confidence import Confidence
from .error_bounds import ErrorBounds, Extremes, error_bounds, region_around, region_of_volume
from .expected_error import ExpectedError, expected_error, localisation_error_from_fit
from .findings import Finding, find_problems
from .measured_errors import Excess, Headline, Targets, excess_at_targets, excess_left_out, headline, target_errors
from .models import MODELS, UNFITTED, Fit, FitOptions, LinearFit, ModelName, fit_model, is_determined
from .thin_plate import ThinPlateSpline

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MAX_MM = 1e4
_FOLD_PROBES = 2_000


@dataclass(frozen=True)
class Prealignment:
    """A transform from landmarks.

    Parameters
    ----------
    model : str
        What was fitted.
    fit : Fit
        The transform, in both directions.
    pairs : Pairs
        What it was fitted to.
    findings : tuple of Finding
        What speaks against the landmarks.
    before, fiducial : PointErrors
        Error at the landmarks before, and of the fit (FRE).
    left_out : dict
        Leave-one-out errors of every model that these landmarks determine; None where they cannot be had.
    evidence : dict
        Leave-one-out errors of every model in both directions, which the models are compared by.
    recommendation : Recommendation
        Which model the landmarks support.
    localisation_error_mm : float or None
        RMS of the localisation error of a pair: as given, or as the fiducial error suggests; None where neither is
        there, or where each landmark has its own.
    expected : ExpectedError or None
        Error to expect anywhere if the misfit is localisation error; None where the localisation error is not known.
    expected_over : tuple of 2 float or None
        RMS and largest expected error over the points that were asked for, mm.
    bounds : ErrorBounds or None
        Bounds of the error anywhere, whatever the misfit comes from; None where the pairs do not show it.
    extremes : Extremes or None
        These at the worst and the best place of the points that were asked for, else of the surroundings of the
        landmarks.
    excesses : tuple of Excess
        Measured errors that are more than twice what was expected.
    targets : Targets or None
        Errors at independent pairs.
    """

    model: ModelName
    fit: Fit
    pairs: Pairs
    findings: tuple[Finding, ...]
    before: PointErrors
    fiducial: PointErrors
    left_out: dict[ModelName, PointErrors | None]
    evidence: dict[ModelName, PointErrors | None]
    recommendation: Recommendation
    localisation_error_mm: float | None
    expected: ExpectedError | None
    expected_over: tuple[float, float] | None
    bounds: ErrorBounds | None
    extremes: Extremes | None
    excesses: tuple[Excess, ...]
    targets: Targets | None = None

    @property
    def headline(self) -> Headline:
        """What is said first."""
        return headline(self.extremes, self.excesses)

    @property
    def left_out_of_model(self) -> PointErrors | None:
        """Leave-one-out errors of the model that was fitted."""
        return self.left_out.get(self.model)

    @property
    def scales(self) -> tuple[float, float, float] | None:
        """Principal scales from moving to fixed, largest first; None for a thin-plate spline."""
        if not isinstance(self.fit, LinearFit):
            return None
        largest, middle, smallest = np.linalg.svd(self.fit.moving_to_fixed_lps[:3, :3], compute_uv=False).tolist()
        return largest, middle, smallest

    @property
    def mirrors(self) -> bool:
        """Whether the transform contains a reflection."""
        if isinstance(self.fit, LinearFit):
            return bool(np.linalg.det(self.fit.moving_to_fixed_lps[:3, :3]) < 0)
        return _affine_sign(self.pairs) < 0


def prealign(
    pairs: Pairs,
    *,
    model: ModelName | Literal["auto"] = "rigid",
    confidence: Confidence | None = None,
    stiffness_mm: float = 0.0,
    reflection: bool = False,
    localisation_error_mm: float | None = None,
    targets: Pairs | None = None,
    over_fixed_lps: NDArray[np.float64] | None = None,
    over_name: str | None = None,
) -> Prealignment:
    """Fit a transform to pairs of landmarks and say how good it is.

    Parameters
    ----------
    pairs : Pairs
        Landmarks in world coordinates.
    model : str, optional
        One of :data:`MultimodalRegistrationLib.landmarks.models.MODELS`, or ``"auto"`` for the recommended one.
    confidence : Confidence, optional
        Weights or covariances, pair by pair.
    stiffness_mm : float, optional
        Of the thin-plate spline: 0 passes through every landmark.
    reflection : bool, optional
        Whether the transform may mirror.
    localisation_error_mm : float, optional
        RMS of the localisation error of a pair, both volumes together; by default what the fiducial error suggests.
    targets : Pairs, optional
        Independent pairs. Those that are landmarks of the fit are left out, and named in a finding.
    over_fixed_lps : array, shape (M, 3), optional
        Points of the fixed volume over which the expected error is summed up, its corners among them; by default the
        surroundings of the landmarks.
    over_name : str, optional
        Name of that volume, for messages.

    Returns
    -------
    Prealignment
        The transform with its errors.

    Raises
    ------
    InputError
        The landmarks do not determine the model, or an error among the findings, such as a mirrored set.
    """
    for name, value in (("stiffness", stiffness_mm), ("localisation error", localisation_error_mm or 0.0)):
        if not 0.0 <= value <= _MAX_MM:
            raise InputError(name, f"{value} mm was given", f"Give a number of mm from 0 to {_MAX_MM:g}.")
    moving, fixed = pairs.moving_lps, pairs.fixed_lps
    confidence = confidence or Confidence()
    if localisation_error_mm is not None and confidence.is_absolute:
        raise InputError(
            "The localisation error",
            f"{localisation_error_mm} mm was given together with standard deviations of the landmarks",
            "Leave one of them out.",
        )
    known_mm = localisation_error_mm if localisation_error_mm is not None else confidence.localisation_error_mm

    def checked(model: ModelName) -> tuple[Finding, ...]:
        found = find_problems(pairs, model=model, weights=confidence.relative_weights, localisation_error_mm=known_mm)
        return _refused_errors(pairs, found, reflection)

    findings: tuple[Finding, ...] = ()
    if model != "auto" or not is_determined("rigid", moving, fixed):
        findings = checked("rigid" if model == "auto" else model)
    of_rigid: FitOptions = {"confidence": confidence, "stiffness_mm": stiffness_mm, "reflection": reflection}
    of_others: FitOptions = {**of_rigid, "confidence": Confidence(weights=confidence.weights)}
    left_out: dict[ModelName, PointErrors | None] = {}
    evidence: dict[ModelName, PointErrors | None] = {}
    for name in (name for name in MODELS if is_determined(name, moving, fixed)):
        options = of_rigid if name == "rigid" else of_others
        left_out[name] = leave_one_out(name, moving, fixed, **options)
        evidence[name] = leave_one_out_both_directions(name, moving, fixed, left_out[name], **options)
    recommendation = recommend(evidence)
    chosen = model
    if chosen == "auto":
        chosen = recommendation.model
        findings = checked(chosen)
    if unsettled := [point for finding in findings if finding.code == "outlier" for point in finding.points]:
        # A deformable model would pass through them.
        words = f"Settle {' and '.join(unsettled)} first. As the points are: {recommendation.words}"
        recommendation = replace(recommendation, words=words)
    fit = fit_model(chosen, moving, fixed, **of_rigid)
    error_mm = localisation_error_mm
    if error_mm is None and not confidence.is_absolute:
        error_mm = localisation_error_from_fit(chosen, fit, moving, fixed, confidence.weights)
    expected, over = None, None
    if error_mm is not None or confidence.is_absolute:
        expected = expected_error(
            chosen,
            fit,
            fixed,
            localisation_error_mm=error_mm,
            confidence=confidence,
            stiffness_mm=stiffness_mm,
        )
    bounds = error_bounds(
        chosen,
        fit,
        moving,
        fixed,
        left_out.get(chosen),
        localisation_error_mm=localisation_error_mm,
        confidence=confidence,
        stiffness_mm=stiffness_mm,
    )
    region = region_around(fixed) if over_fixed_lps is None else region_of_volume(over_fixed_lps, over_name)
    if expected is not None and over_fixed_lps is not None:
        at_points = expected.target_rms_mm(over_fixed_lps)
        over = float(np.sqrt(np.mean(at_points**2))), float(at_points.max())
    if isinstance(fit, ThinPlateSpline):
        findings += _folds(fit, pairs)
    excess = excess_left_out(bounds, left_out.get(chosen), pairs.labels)
    if excess is not None:
        findings = (*findings, excess.finding)
        recommendation = _doubted(recommendation, excess)
    result = Prealignment(
        model=chosen,
        fit=fit,
        pairs=pairs,
        findings=findings,
        before=errors_at(UNFITTED, moving, fixed),
        fiducial=errors_at(fit, moving, fixed),
        left_out=left_out,
        evidence=evidence,
        recommendation=recommendation,
        localisation_error_mm=error_mm,
        expected=expected,
        expected_over=over,
        bounds=bounds,
        extremes=None if bounds is None else bounds.over(region),
        excesses=() if excess is None else (excess,),
    )
    return result if targets is None else with_targets(result, targets, **of_others)


def with_targets(result: Prealignment, targets: Pairs, **options: Unpack[FitOptions]) -> Prealignment:
    """Add the errors at independent pairs, and what they say against the result.

    Parameters
    ----------
    result : Prealignment
        Without targets.
    targets : Pairs
        Independent pairs.
    options
        As for :func:`prealign`; for the errors of the other models.

    Returns
    -------
    Prealignment
        With findings, headline and recommendation to match.

    Raises
    ------
    InputError
        All targets are landmarks of the fit.
    """
    found, notes = target_errors(result.fit, result.bounds, targets, result.pairs)
    excess = excess_at_targets(result.bounds, result.extremes, found)
    if excess is None:
        return replace(result, targets=found, findings=result.findings + notes)
    figures = []
    for name in result.left_out:
        try:
            fit = fit_model(name, result.pairs.moving_lps, result.pairs.fixed_lps, **options)
            errors = errors_at(fit, found.pairs.moving_lps, found.pairs.fixed_lps)
        except RegistrationError:
            # A model that mirrors or folds is none of the alternatives.
            continue
        figures.append(f"{name} {errors.rms_mm:.1f}")
    return replace(
        result,
        targets=found,
        findings=(excess.finding, *result.findings, *notes),
        excesses=(excess, *result.excesses),
        recommendation=_doubted(result.recommendation, excess, f" (RMS in mm: {', '.join(figures)})"),
    )


def _doubted(recommendation: Recommendation, excess: Excess, figures: str = "") -> Recommendation:
    """The recommendation, after what has to be settled before."""
    words = (
        f"Settle first why the error {excess.where}{figures} is {excess.times} the expected one. "
        f"As the points are: {recommendation.words}"
    )
    return replace(recommendation, words=words)


def _refused_errors(pairs: Pairs, found: tuple[Finding, ...], reflection: bool) -> tuple[Finding, ...]:
    """The findings; those that are errors are raised, but for a reflection that was allowed."""
    findings = tuple(
        replace(finding, severity="note", remedy="It was allowed.")
        if reflection and finding.code == "mirrored"
        else finding
        for finding in found
    )
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        others = [finding for finding in findings if finding.code == "label-order"]
        raise InputError(
            f"{pairs.fixed.name} and {pairs.moving.name}",
            "; ".join(finding.message.rstrip(".") for finding in errors + others),
            " ".join(dict.fromkeys(finding.remedy for finding in others + errors)),
        )
    return findings


def _affine_sign(pairs: Pairs) -> float:
    """Sign of the determinant of the affine fit: negative where the landmarks mirror."""
    return float(np.sign(np.linalg.det(fit_affine(pairs.moving_lps, pairs.fixed_lps)[:3, :3])))


def _folds(spline: ThinPlateSpline, pairs: Pairs) -> tuple[Finding, ...]:
    """Whether the spline turns space inside out between the landmarks, and beside which one."""
    low, high = spline.fixed_lps.min(axis=0), spline.fixed_lps.max(axis=0)
    points = np.random.default_rng(0).uniform(low, high, (_FOLD_PROBES, 3))
    points = np.concatenate([points, (spline.fixed_lps[:, None] + spline.fixed_lps[None]).reshape(-1, 3) / 2])
    determinants = np.linalg.det(spline.jacobian(points)) * _affine_sign(pairs)
    worst = int(np.argmin(determinants))
    if determinants[worst] > 0:
        return ()
    name = pairs.labels[int(np.argmin(np.linalg.norm(spline.fixed_lps - points[worst], axis=1)))]
    message = f"The spline folds near {name}: there it turns space inside out (determinant {determinants[worst]:.2g})."
    return (Finding("folds", "warning", (name,), message, "Look for misplaced landmarks, or give it a stiffness."),)
