"""The content of the JSON file of a landmark registration, and its message for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

import MultimodalRegistrationLib

from ..core.frames import flip_matrix_lps_ras
from .accuracy import PointErrors
from .error_bounds import CASES, ErrorBounds, Extremes
from .expected_error import ExpectedError
from .measured_errors import Targets
from .models import LinearFit
from .prealign import Prealignment

_SCHEMA_VERSION = 1


def prealignment_content(result: Prealignment, *, inputs: dict[str, Any]) -> dict[str, Any]:
    """Everything about a landmark registration that a script may want, ready for JSON.

    Parameters
    ----------
    result : Prealignment
        The registration.
    inputs : dict
        What was given, by option.

    Returns
    -------
    dict
        Keys and values are documented in ``Resources/Docs/landmarks.md``.
    """
    linear = result.fit if isinstance(result.fit, LinearFit) else None
    left_out = result.left_out_of_model
    return {
        "schema": _SCHEMA_VERSION,
        "inputs": inputs,
        "headline": asdict(result.headline),
        "model": result.model,
        "transform": {
            "type": "thin-plate spline" if linear is None else "linear",
            "moving_to_fixed_ras": None if linear is None else flip_matrix_lps_ras(linear.moving_to_fixed_lps).tolist(),
            "scales": result.scales,
            "mirrors": result.mirrors,
        },
        "pairing": {"how": result.pairs.how, "notes": list(result.pairs.notes)},
        "pairs": [
            {
                "name": name,
                "fixed_lps": fixed.tolist(),
                "moving_lps": moving.tolist(),
                "before_mm": result.before.per_point_mm[i],
                "fiducial_error_mm": result.fiducial.per_point_mm[i],
                "leave_one_out_error_mm": None if left_out is None else left_out.per_point_mm[i],
            }
            for i, (name, fixed, moving) in enumerate(
                zip(result.pairs.labels, result.pairs.fixed_lps, result.pairs.moving_lps, strict=True)
            )
        ],
        "fiducial_error": _summary(result.fiducial),
        "leave_one_out_error": {model: _summary(errors) for model, errors in result.left_out.items()},
        "leave_one_out_error_both_ways": {model: _summary(errors) for model, errors in result.evidence.items()},
        "recommendation": asdict(result.recommendation),
        "findings": [asdict(finding) for finding in result.findings],
        "localisation_error_mm": result.localisation_error_mm,
        "expected": None if result.expected is None else _expected(result.expected, result.expected_over),
        "error_bounds": _bounds(result.bounds, result.extremes),
        "targets": None if result.targets is None else _targets(result.targets),
        "versions": {"multimodal-registration": MultimodalRegistrationLib.__version__, "numpy": np.__version__},
    }


def _summary(errors: PointErrors | None) -> dict[str, float] | None:
    return None if errors is None else {key: getattr(errors, key) for key in ("rms_mm", "mean_mm", "max_mm")}


def _expected(expected: ExpectedError, over: tuple[float, float] | None) -> dict[str, Any]:
    weakest = expected.weakest_rotation
    return {
        "center_lps": expected.center_lps.tolist(),
        "at_center_rms_mm": float(expected.target_rms_mm(expected.center_lps[None])[0]),
        "at_landmarks_rms_mm": expected.target_rms_mm(expected.fixed_lps).tolist(),
        "over_volume": None if over is None else {"rms_mm": over[0], "max_mm": over[1]},
        "rotation_sd_deg": expected.rotation_sd_deg,
        "translation_sd_mm": expected.translation_sd_mm,
        "scale_sd": expected.scale_sd,
        "weakest_rotation": None if weakest is None else {"sd_deg": weakest[0], "axis_lps": weakest[1]},
    }


def _bounds(bounds: ErrorBounds | None, extremes: Extremes | None) -> dict[str, Any] | None:
    if bounds is None or extremes is None:
        return None
    return {
        "share_of_cases": CASES,
        "region": extremes.region.words,
        "worst_mm": extremes.worst_mm,
        "worst_lps": extremes.worst_lps,
        "best_mm": extremes.best_mm,
        "best_lps": extremes.best_lps,
        "worst_of_placement_mm": extremes.placement_mm,
        "degrees_of_freedom": bounds.freedom,
        "misfit_ratio": bounds.misfit_ratio,
        "localisation_error_is_known": bounds.is_known,
    }


def _targets(targets: Targets) -> dict[str, Any]:
    expected = targets.expected_rms_mm or (None,) * len(targets.pairs)
    return {
        "pairing": {"how": targets.pairs.how, "notes": list(targets.pairs.notes)},
        "before": _summary(targets.before),
        "after": _summary(targets.after),
        "per_target": [
            {"name": name, "before_mm": before, "after_mm": after, "expected_rms_mm": rms}
            for name, before, after, rms in zip(
                targets.pairs.labels, targets.before.per_point_mm, targets.after.per_point_mm, expected, strict=True
            )
        ],
    }


def prealignment_message(result: Prealignment) -> list[str]:
    """The result in lines of text: what matters most, errors apart by what they say, then findings and advice."""
    left_out = result.left_out_of_model
    lines = [
        *result.headline.words,
        f"Fitted {result.model} to {len(result.pairs)} pairs (paired by {result.pairs.how}).",
    ]
    if result.scales is not None and result.model in ("similarity", "affine"):
        scales = result.scales[:1] if result.model == "similarity" else result.scales
        lines.append(f"Scale from moving to fixed: {', '.join(f'{scale:.4f}' for scale in scales)}.")
    if result.mirrors:
        lines.append("The transform mirrors.")
    errors = (result.before, result.fiducial, left_out)
    rows = [
        (name, [None if one is None else one.per_point_mm[i] for one in errors])
        for i, name in enumerate(result.pairs.labels)
    ]
    rows.append(("RMS", [None if one is None else one.rms_mm for one in errors]))
    width = max(4, *(len(name) for name in result.pairs.labels))
    lines.append(f"{'pair':{width}}  before mm  fiducial error mm  leave-one-out mm")
    for name, row in rows:
        before, fiducial, out = ("-" if value is None else f"{value:.2f}" for value in row)
        lines.append(f"{name:{width}}  {before:>9}  {fiducial:>17}  {out:>16}")
    lines.append("The fiducial error says how well the model fits its own landmarks; it is not the error elsewhere.")
    lines += _expected_message(result)
    if result.targets is not None:
        lines.append(
            f"Target error at {len(result.targets.pairs)} independent pairs, RMS: "
            f"{result.targets.before.rms_mm:.2f} mm before, {result.targets.after.rms_mm:.2f} mm after "
            f"(largest {result.targets.after.max_mm:.2f})."
        )
    lines += [*result.pairs.notes, *(result.targets.pairs.notes if result.targets is not None else ())]
    lines += [f"{finding.severity.capitalize()}: {finding.message} {finding.remedy}" for finding in result.findings]
    lines.append(result.recommendation.words)
    return lines


def _expected_message(result: Prealignment) -> list[str]:
    expected = result.expected
    if expected is None:
        return []
    lines = []
    extremes = result.extremes
    if extremes is not None and extremes.placement_mm is not None:
        source = " for the standard deviations given"
        if result.localisation_error_mm is not None:
            source = f" for a localisation error of {result.localisation_error_mm:.2f} mm"
        lines.append(
            f"If the misfit comes from placing the points alone, as with one body in both volumes: below "
            f"{extremes.placement_mm:.1f} mm at the worst place{source}."
        )
    weakest = expected.weakest_rotation
    if weakest is not None:
        names = ("left-right", "front-back", "head-foot")
        axis = names[int(np.argmax(np.abs(weakest[1])))]
        lines.append(
            f"Least certain: the rotation about an axis that runs mostly {axis}, {weakest[0]:.2f} degrees "
            f"(standard deviation), which is {np.radians(weakest[0]) * 100:.1f} mm at 100 mm from the landmarks."
        )
    return lines
