"""The content of the JSON file of a registration by shape, and its words for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

import MultimodalRegistrationLib

from ...core.frames import resampling_lps_from_modelling_ras
from .result import Distances, Rival, SurfaceRegistration

__all__ = ["surface_content", "surface_registration_of", "surface_words"]


def surface_content(result: SurfaceRegistration, *, inputs: dict[str, Any]) -> dict[str, Any]:
    """Everything about a registration by shape that a script may want, ready for JSON.

    Parameters
    ----------
    result : SurfaceRegistration
        The registration.
    inputs : dict
        What was given, by option.

    Returns
    -------
    dict
        Keys and values are documented in ``Resources/Docs/landmarks.md``.
    """
    return {
        "schema": 1,
        "inputs": inputs,
        "model": result.model,
        "transform": {
            "type": "linear",
            "moving_to_fixed_ras": result.moving_to_fixed_ras.tolist(),
            "scales": result.scales,
            "mirrors": result.mirrors,
        },
        "distances": {
            "moving_to_fixed": None if result.moving_to_fixed is None else asdict(result.moving_to_fixed),
            "fixed_to_moving": None if result.fixed_to_moving is None else asdict(result.fixed_to_moving),
        },
        "start": result.start,
        "iterations": result.iterations,
        "residual_mm": result.residual_mm,
        "rivals": [asdict(rival) for rival in result.rivals],
        "ambiguous": result.ambiguous,
        "notes": list(result.notes),
        "warnings": list(result.warnings),
        "versions": {"multimodal-registration": MultimodalRegistrationLib.__version__},
    }


def surface_registration_of(content: dict[str, Any]) -> SurfaceRegistration:
    """Take a registration by shape back from its content.

    Parameters
    ----------
    content : dict
        From :func:`surface_content`.
    """
    moving_to_fixed, fixed_to_moving = (
        None if content["distances"][side] is None else Distances(**content["distances"][side])
        for side in ("moving_to_fixed", "fixed_to_moving")
    )
    return SurfaceRegistration(
        fixed_to_moving_lps=resampling_lps_from_modelling_ras(np.array(content["transform"]["moving_to_fixed_ras"])),
        model=content["model"],
        moving_to_fixed=moving_to_fixed,
        fixed_to_moving=fixed_to_moving,
        start=content["start"],
        iterations=content["iterations"],
        residual_mm=content["residual_mm"],
        rivals=tuple(Rival(**rival) for rival in content["rivals"]),
        ambiguous=content["ambiguous"],
        notes=tuple(content["notes"]),
    )


def surface_words(result: SurfaceRegistration) -> list[str]:
    """The result in lines of text."""
    lines = [f"Fitted {result.model} to the shapes; the start that won: {result.start}."]
    if result.model != "rigid":
        scales = result.scales[:1] if result.model == "similarity" else result.scales
        lines.append(f"Scale from moving to fixed: {', '.join(f'{scale:.4f}' for scale in scales)}.")
    sides = (("moved moving to fixed", result.moving_to_fixed), ("fixed to moved moving", result.fixed_to_moving))
    lines += [_distances(words, distances) for words, distances in sides if distances is not None]
    lines.append("These distances say how well the shapes lie on each other, not how far a point in them is off.")
    return [*lines, *result.notes]


def _distances(words: str, distances: Distances) -> str:
    kept = f"mean {distances.mean_mm:.2f}, RMS {distances.rms_mm:.2f}, 95 % {distances.p95_mm:.2f}"
    if distances.kept_share > 0.999:
        return f"Distance in mm, {words}: {kept}."
    return (
        f"Distance in mm, {words}, over the {distances.kept_share:.0%} that have a counterpart: {kept}; over all: "
        f"mean {distances.all_mean_mm:.2f}, 95 % {distances.all_p95_mm:.2f}."
    )
