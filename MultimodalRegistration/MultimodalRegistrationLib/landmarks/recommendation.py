"""Which model the landmarks support: judged by leave-one-out errors, in one sentence.

The fiducial error always falls with a richer model, down to zero for a thin-plate spline, whether or not the
registration improves. The leave-one-out error falls only while the richer model predicts better. Of all models, the
simplest one is taken whose mean squared leave-one-out error is within one standard error of the best (the
one-standard-error rule, Breiman, Friedman, Olshen and Stone 1984, section 3.4.3, doi:10.1201/9781315139470), where the
standard error is that of the paired difference to the best model. The errors are those of both directions, so that the
advice stays the same when fixed and moving change places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .accuracy import PointErrors
from .models import MODELS, ModelName

__all__ = ["Recommendation", "recommend"]

_FIRST = MODELS.index("rigid")
# Files keep three digits of a millimetre: points that agree better than that agree.
_ROUNDING_MM = 1e-3


@dataclass(frozen=True)
class Recommendation:
    """A model and why.

    Parameters
    ----------
    model : str
        The recommended one.
    words : str
        One sentence.
    """

    model: ModelName
    words: str


def recommend(left_out: dict[ModelName, PointErrors | None]) -> Recommendation:
    """Recommend a model.

    Parameters
    ----------
    left_out : dict
        Leave-one-out errors of each model in both directions
        (:func:`~MultimodalRegistrationLib.landmarks.accuracy.left_out_both_ways`); None where the landmarks do not
        allow them.

    Returns
    -------
    Recommendation
        Rigid when nothing can be compared: bodies that keep their shape are the safe assumption.
    """
    known = {m: errors for m in MODELS[_FIRST:] if (errors := left_out.get(m)) is not None}
    if not known:
        return Recommendation(
            "rigid",
            "No model can be judged by leaving landmarks out: place at least four that are spread in space. Bodies "
            "that keep their shape are registered rigidly.",
        )
    best = min(known, key=lambda model: known[model].rms_mm)
    chosen = best
    for model in known:
        extra = np.square(known[model].per_point_mm) - np.square(known[best].per_point_mm)
        standard_error = extra.std(ddof=1) / np.sqrt(len(extra)) if len(extra) > 1 else 0.0
        rounding = known[model].rms_mm - known[best].rms_mm < _ROUNDING_MM
        if extra.mean() <= standard_error or rounding:
            chosen = model
            break
    figures = ", ".join(f"{model} {errors.rms_mm:.1f}" for model, errors in known.items())
    if len(known) == 1:
        reason = "these landmarks allow no comparison with a richer model"
    elif known[chosen].rms_mm < _ROUNDING_MM:
        reason = "it predicts landmarks that it has not seen exactly"
    elif chosen == best:
        reason = "it predicts landmarks that it has not seen best"
    else:
        reason = f"{best} predicts landmarks it has not seen only as much better as chance may"
    return Recommendation(chosen, f"Use {chosen}: {reason} (leave-one-out RMS of both directions in mm: {figures}).")
