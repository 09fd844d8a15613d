"""The results of structures that move separately, told as one registration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from MultimodalRegistrationLib.verdict.trust import least_trusted

__all__ = ["joint_content", "worst_structure"]


def worst_structure(structures: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The structure whose result is trusted least; among equals the one with the largest estimated error.

    Parameters
    ----------
    structures : sequence of mapping
        Entries ``structures`` of :func:`~MultimodalRegistrationLib.structures.report.structures_content`.
    """
    return structures[least_trusted([one["registration"]["verdict"] for one in structures])]


def joint_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a registration's ``RESULT.json`` for the combined transform.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.structures.report.structures_content`, with a combined transform.

    Returns
    -------
    dict
        The verdict is that on the worst structure, with what speaks against each; how far it moved is that of the
        structure that moved most. What is the same for all, such as the engine, is that of the worst one.
    """
    structures = content["structures"]
    worst = worst_structure(structures)["registration"]
    most = max((one["registration"]["moved_from_start"] for one in structures), key=lambda moved: moved["mean_mm"])
    combined = content["combined"]
    against = [(one["name"], words) for one in structures for words in one["registration"]["verdict"]["against"]]
    inside_mm = max(one["deviation_max_mm"] for one in combined["rigid_inside"])
    facts = [_of_structure(one) for one in structures]
    facts.append(
        f"Together they bend: rigid to {inside_mm:.2f} mm inside each, smallest Jacobian determinant "
        f"{combined['jacobian']['minimum']:.2f}, {combined['jacobian']['folded_share']:.2%} folded."
    )
    return {
        **worst,
        "inputs": content["inputs"],
        "transform": {
            "type": "composite",
            "moving_to_fixed_ras": combined["common_moving_to_fixed_ras"],
            "probes": combined["probes"],
        },
        "verdict": {**worst["verdict"], "against": [": ".join(one) for one in against], "facts": facts},
        "moved_from_start": most,
        # Those about a verdict say again what speaks against it.
        "warnings": [words for words in content["warnings"] if not any(said in words for _, said in against)],
        "structures": [one["name"] for one in structures],
    }


def _of_structure(one: Mapping[str, Any]) -> str:
    verdict, moved = one["registration"]["verdict"], one["registration"]["moved_from_start"]
    error_mm = verdict["estimated_error_mm"]
    error = "" if error_mm is None else f", estimated error {error_mm:.1f} mm"
    return (
        f"{one['name']}: {verdict['word']}{error}; it moved by {moved['mean_mm']:.1f} mm and "
        f"{moved['rotation_deg']:.1f} degrees from the common start."
    )
