"""The results of structures that move separately, told as one registration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..register.verdict.trust import least_trusted
from .field_quality import share_words

__all__ = ["joint_content", "worst_structure"]

# Less is below what any registration of bones finds.
_CARRIED_MM = 0.5


def worst_structure(structures: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The structure whose result is trusted least; among equals the one with the largest estimated error.

    Parameters
    ----------
    structures : sequence of mapping
        Entries ``structures`` of :func:`~MultimodalRegistrationLib.polyrigid.report.structures_content`.
    """
    return structures[least_trusted([one["registration"]["verdict"] for one in structures])]


def joint_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a registration's ``RESULT.json`` for the combined transform.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.polyrigid.report.structures_content`, with a combined transform.

    Returns
    -------
    dict
        The verdict is that on the worst structure of those in it, with what speaks against each, and uncertain at best
        where the combined transform folds, lacks a structure or does not carry one as its own does; how far it moved is
        that of the structure that moved most. What is the same for all, such as the engine, is that of the worst one.
    """
    structures = [one for one in content["structures"] if one["in_combined"]]
    worst = worst_structure(structures)["registration"]
    most = max((one["registration"]["moved_from_start"] for one in structures), key=lambda moved: moved["mean_mm"])
    combined = content["combined"]
    against = [(one["name"], words) for one in structures for words in one["registration"]["verdict"]["against"]]
    left_out = [one["name"] for one in content["structures"] if not one["in_combined"]]
    left_out += [one["name"] for one in content["skipped"]]
    together = _against_combined(combined, left_out)
    judged = worst["verdict"]
    word = "uncertain" if together and judged["word"] == "verified" else judged["word"]
    inside_mm = max(one["deviation_max_mm"] for one in combined["rigid_inside"])
    facts = [_of_structure(one) for one in structures]
    facts.append(
        f"Together they bend: rigid to {inside_mm:.2f} mm inside each, smallest Jacobian determinant "
        f"{combined['jacobian']['minimum']:.2f}, {share_words(combined['jacobian']['folded_share'])} folded."
    )
    return {
        **worst,
        "inputs": content["inputs"],
        "transform": {
            "type": "composite",
            "moving_to_fixed_ras": combined["common_moving_to_fixed_ras"],
            "probes": combined["probes"],
        },
        "verdict": {
            **judged,
            "word": word,
            "against": [*together, *(": ".join(one) for one in against)],
            "facts": facts,
        },
        "moved_from_start": most,
        # Those about a verdict say again what speaks against it.
        "warnings": [words for words in content["warnings"] if not any(said in words for _, said in against)],
        "structures": [one["name"] for one in structures],
    }


def _against_combined(combined: Mapping[str, Any], left_out: Sequence[str]) -> list[str]:
    jacobian = combined["jacobian"]
    words = [f"{name} is not in it: there it follows its neighbours." for name in left_out]
    if jacobian["folded_share"] > 0 or jacobian["folded_cell_share"] > 0:
        share = share_words(max(jacobian["folded_share"], jacobian["folded_cell_share"]))
        words.append(f"Together they fold space, in {share} of it: what lies between them is not to be trusted.")
    words += [
        f"{one['name']} is carried up to {one['deviation_max_mm']:.1f} mm off its own transform."
        for one in combined["rigid_inside"]
        if one["deviation_max_mm"] > _CARRIED_MM
    ]
    return words


def _of_structure(one: Mapping[str, Any]) -> str:
    verdict, moved = one["registration"]["verdict"], one["registration"]["moved_from_start"]
    error_mm = verdict["estimated_error_mm"]
    error = "" if error_mm is None else f", estimated error {error_mm:.1f} mm"
    return (
        f"{one['name']}: {verdict['word']}{error}; it moved by {moved['mean_mm']:.1f} mm and "
        f"{moved['rotation_deg']:.1f} degrees from the common start."
    )
