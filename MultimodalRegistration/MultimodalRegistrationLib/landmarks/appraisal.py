"""What can be said about pairs while they are being placed: nothing is refused, everything is told.

:func:`~MultimodalRegistrationLib.landmarks.prealign.prealign` refuses landmarks that would give a wrong transform. Who
is placing them wants to see all errors and findings nevertheless, to know which point to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError, RegistrationError
from ..core.points import Pairs
from .accuracy import PointErrors, errors_at, leave_one_out, left_out_both_ways
from .findings import Finding, find_problems
from .models import FEWEST_PAIRS, MODELS, Fit, ModelName, fit_model, is_determined
from .prealign import Prealignment, prealign, with_targets

__all__ = ["Appraisal", "ModelEvidence", "QuickFit", "appraise", "fit_quickly"]


@dataclass(frozen=True)
class QuickFit:
    """A fit with the errors at its own points, fast enough for every move of the mouse.

    Parameters
    ----------
    model : str
        What was fitted.
    fit : Fit
        The transform.
    fiducial : PointErrors
        Errors at the pairs.
    """

    model: ModelName
    fit: Fit
    fiducial: PointErrors


@dataclass(frozen=True)
class ModelEvidence:
    """What speaks for a model.

    Parameters
    ----------
    model : str
        The model.
    fiducial, left_out : PointErrors or None
        Errors at its own points, and leave-one-out errors; None where these landmarks do not allow them.
    both_ways : PointErrors or None
        Leave-one-out errors of both directions, which the models are compared by.
    missing : {"pairs", "spread", "fit"} or None
        Why there is no fit: too few pairs, all in a plane or on a line, or a fit that mirrors or flattens.
    """

    model: ModelName
    fiducial: PointErrors | None
    left_out: PointErrors | None
    both_ways: PointErrors | None
    missing: Literal["pairs", "spread", "fit"] | None


@dataclass(frozen=True)
class Appraisal:
    """Everything about pairs and a model.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    model : str
        The chosen model, or the recommended one.
    fiducial, left_out : PointErrors or None
        Of this model.
    findings : tuple of Finding
        All of them, errors included.
    evidence : tuple of ModelEvidence
        Model by model, the simplest first.
    result : Prealignment or None
        The registration; None where it is refused.
    refused : RegistrationError or None
        Why it is refused.
    targets_refused : RegistrationError or None
        Why there is no error at targets though some were given.
    """

    pairs: Pairs
    model: ModelName
    fiducial: PointErrors | None
    left_out: PointErrors | None
    findings: tuple[Finding, ...]
    evidence: tuple[ModelEvidence, ...]
    result: Prealignment | None
    refused: RegistrationError | None
    targets_refused: RegistrationError | None


def fit_quickly(
    pairs: Pairs, model: ModelName, *, stiffness_mm: float = 0.0, reflection: bool = False
) -> QuickFit | None:
    """Fit a model and nothing more; None where the pairs do not determine it or it mirrors or flattens.

    Parameters
    ----------
    pairs, model, stiffness_mm, reflection
        As for :func:`~MultimodalRegistrationLib.landmarks.prealign.prealign`, without ``"auto"``.
    """
    moving, fixed = pairs.moving_lps, pairs.fixed_lps
    if not is_determined(model, moving, fixed):
        return None
    try:
        fit = fit_model(model, moving, fixed, stiffness_mm=stiffness_mm, reflection=reflection)
    except RegistrationError:
        # The full appraisal, which follows when the point rests, says why.
        return None
    return QuickFit(model, fit, errors_at(fit, moving, fixed))


def appraise(
    pairs: Pairs,
    *,
    model: ModelName | Literal["auto"] = "rigid",
    stiffness_mm: float = 0.0,
    reflection: bool = False,
    localisation_error_mm: float | None = None,
    targets: Pairs | None = None,
    over_fixed_lps: NDArray[np.float64] | None = None,
    over_name: str | None = None,
) -> Appraisal:
    """Fit a model and say everything about it, also where it is refused.

    Parameters
    ----------
    pairs, model, stiffness_mm, reflection, localisation_error_mm, targets, over_fixed_lps, over_name
        As for :func:`~MultimodalRegistrationLib.landmarks.prealign.prealign`.

    Returns
    -------
    Appraisal
        With the result or the reason why there is none.
    """
    result, refused, targets_refused = None, None, None
    try:
        result = prealign(
            pairs,
            model=model,
            stiffness_mm=stiffness_mm,
            reflection=reflection,
            localisation_error_mm=localisation_error_mm,
            over_fixed_lps=over_fixed_lps,
            over_name=over_name,
        )
    except InputError as error:
        refused = error
    if result is not None and targets is not None:
        try:
            result = with_targets(result, targets, stiffness_mm=stiffness_mm, reflection=reflection)
        except InputError as error:
            targets_refused = error
    shown: ModelName = result.model if result is not None else "rigid" if model == "auto" else model
    if result is not None:
        findings = result.findings
    else:
        findings = find_problems(pairs, model=shown, localisation_error_mm=localisation_error_mm)
    evidence = tuple(_evidence(each, pairs, stiffness_mm, reflection, result) for each in MODELS)
    of_shown = evidence[MODELS.index(shown)]
    return Appraisal(
        pairs, shown, of_shown.fiducial, of_shown.left_out, findings, evidence, result, refused, targets_refused
    )


def _evidence(
    model: ModelName,
    pairs: Pairs,
    stiffness_mm: float,
    reflection: bool,
    result: Prealignment | None,
) -> ModelEvidence:
    moving, fixed = pairs.moving_lps, pairs.fixed_lps
    if len(pairs) < FEWEST_PAIRS[model]:
        return ModelEvidence(model, None, None, None, "pairs")
    if not is_determined(model, moving, fixed):
        return ModelEvidence(model, None, None, None, "spread")
    quick = fit_quickly(pairs, model, stiffness_mm=stiffness_mm, reflection=reflection)
    if quick is None:
        return ModelEvidence(model, None, None, None, "fit")
    if result is not None:
        left_out, both_ways = result.left_out.get(model), result.evidence.get(model)
    else:
        left_out = leave_one_out(model, moving, fixed, stiffness_mm=stiffness_mm, reflection=reflection)
        both_ways = left_out_both_ways(model, moving, fixed, left_out, stiffness_mm=stiffness_mm, reflection=reflection)
    return ModelEvidence(model, quick.fiducial, left_out, both_ways, None)
