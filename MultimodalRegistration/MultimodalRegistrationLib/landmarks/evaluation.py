"""Evaluation of pairs while they are being placed: nothing is refused, everything is reported.

:func:`~MultimodalRegistrationLib.landmarks.prealign.prealign` refuses landmarks that would give a wrong transform. Who
is placing them wants to see all errors and findings nevertheless, to know which point to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError, RegistrationError
from ..core.points import Pairs
from .accuracy import PointErrors, errors_at, leave_one_out, leave_one_out_both_directions
from .findings import Finding, find_problems
from .models import MIN_PAIRS, MODELS, FitOptions, ModelName, fit_model, is_determined
from .prealign import Prealignment, prealign, with_targets

if TYPE_CHECKING:
    from typing_extensions import Unpack


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
    fiducial: PointErrors | None = None
    left_out: PointErrors | None = None
    both_ways: PointErrors | None = None
    missing: Literal["pairs", "spread", "fit"] | None = None


@dataclass(frozen=True)
class PairEvaluation:
    """Everything about pairs and a model.

    Parameters
    ----------
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

    model: ModelName
    fiducial: PointErrors | None
    left_out: PointErrors | None
    findings: tuple[Finding, ...]
    evidence: tuple[ModelEvidence, ...]
    result: Prealignment | None
    refused: RegistrationError | None
    targets_refused: RegistrationError | None


def fiducial_errors(pairs: Pairs, model: ModelName, **options: Unpack[FitOptions]) -> PointErrors | None:
    """Fiducial errors of a model, fast enough for every move of the mouse; None where the pairs do not allow a fit.

    Parameters
    ----------
    pairs, model, options
        As for :func:`~MultimodalRegistrationLib.landmarks.prealign.prealign`, without ``"auto"``.
    """
    moving, fixed = pairs.moving_lps, pairs.fixed_lps
    if not is_determined(model, moving, fixed):
        return None
    try:
        return errors_at(fit_model(model, moving, fixed, **options), moving, fixed)
    except RegistrationError:
        # The full evaluation, which follows when the point rests, says why.
        return None


def evaluate_pairs(
    pairs: Pairs,
    *,
    model: ModelName | Literal["auto"] = "rigid",
    localisation_error_mm: float | None = None,
    targets: Pairs | None = None,
    over_fixed_lps: NDArray[np.float64] | None = None,
    over_name: str | None = None,
    **options: Unpack[FitOptions],
) -> PairEvaluation:
    """Fit a model and say everything about it, also where it is refused.

    Parameters
    ----------
    pairs, model, localisation_error_mm, targets, over_fixed_lps, over_name, options
        As for :func:`~MultimodalRegistrationLib.landmarks.prealign.prealign`.

    Returns
    -------
    PairEvaluation
        With the result or the reason why there is none.
    """
    result, refused, targets_refused = None, None, None
    shown: ModelName = "rigid" if model == "auto" else model
    try:
        result = prealign(
            pairs,
            model=model,
            localisation_error_mm=localisation_error_mm,
            over_fixed_lps=over_fixed_lps,
            over_name=over_name,
            **options,
        )
        shown, findings = result.model, result.findings
    except InputError as error:
        refused = error
        findings = find_problems(pairs, model=shown, localisation_error_mm=localisation_error_mm)
    if result is not None and targets is not None:
        try:
            result = with_targets(result, targets, **options)
            findings = result.findings
        except InputError as error:
            targets_refused = error
    evidence = tuple(_evidence(each, pairs, result, options) for each in MODELS)
    of_shown = evidence[MODELS.index(shown)]
    return PairEvaluation(
        shown, of_shown.fiducial, of_shown.left_out, findings, evidence, result, refused, targets_refused
    )


def _evidence(model: ModelName, pairs: Pairs, result: Prealignment | None, options: FitOptions) -> ModelEvidence:
    moving, fixed = pairs.moving_lps, pairs.fixed_lps
    if len(pairs) < MIN_PAIRS[model]:
        return ModelEvidence(model, missing="pairs")
    if not is_determined(model, moving, fixed):
        return ModelEvidence(model, missing="spread")
    fiducial = fiducial_errors(pairs, model, **options)
    if fiducial is None:
        return ModelEvidence(model, missing="fit")
    if result is not None:
        return ModelEvidence(model, fiducial, result.left_out.get(model), result.evidence.get(model))
    left_out = leave_one_out(model, moving, fixed, **options)
    both_ways = leave_one_out_both_directions(model, moving, fixed, left_out, **options)
    return ModelEvidence(model, fiducial, left_out, both_ways)
