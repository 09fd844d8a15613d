"""The results of structures that move separately: their files, RESULT.json, and one result of all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..core.frames import modelling_ras_from_resampling_lps
from ..core.spatial import SpatialTransform
from ..io.outputs import plain_file_name
from ..register.report import probes_content, result_content
from ..register.verdict.trust import least_trusted
from .combine import CombinedTransform
from .field import share_text
from .register_one import RegisteredStructure
from .structure import SkippedStructure

_SCHEMA_VERSION = 1
# Less is below what any registration of bones finds.
_MAX_DEVIATION_MM = 0.5


COMBINED_FILE = "combined.h5"
RESAMPLED_FILE = "moving-resampled.nrrd"
RESULT_FILE = "RESULT.json"


def file_names(names: Sequence[str], suffix: str, *, taken: Collection[str] = ()) -> list[str]:
    """Names of files, each like that of its structure, that every system accepts.

    Parameters
    ----------
    names : sequence of str
        Of the structures, which may repeat.
    suffix : str
        Of the files, with its dot.
    taken : collection of str
        File names that are used for something else.

    Returns
    -------
    list of str
        No two are equal, whatever the case of their letters.
    """
    used = {name.lower() for name in taken}
    found = []
    for name in names:
        plain = plain_file_name(name, "structure")
        number, file = 1, f"{plain}{suffix}"
        while file.lower() in used:
            number += 1
            file = f"{plain}_{number}{suffix}"
        used.add(file.lower())
        found.append(file)
    return found


def structures_content(
    registered: Sequence[RegisteredStructure],
    combined: CombinedTransform | str,
    *,
    skipped: Sequence[SkippedStructure] = (),
    files: Sequence[str],
    inputs: dict[str, Any],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Everything about a run that a script may want, ready for JSON.

    Parameters
    ----------
    registered : sequence of RegisteredStructure
        Each structure.
    combined : CombinedTransform or str
        Why there is none, where there is none.
    skipped : sequence of SkippedStructure, optional
        Which were not registered.
    files : sequence of str
        Name of the transform file of each structure.
    inputs : dict
        What was given, by option.
    warnings : sequence of str
        All that were given.

    Returns
    -------
    dict
        Keys and values are documented in ``Resources/Docs/structures.md``.
    """
    return {
        "schema": _SCHEMA_VERSION,
        "kind": "structures",
        "inputs": inputs,
        "structures": [
            {
                "name": one.structure.name,
                "file": file,
                "outcome": one.outcome,
                "in_combined": not isinstance(combined, str) and one.is_usable,
                "voxels": len(one.structure.points_lps),
                "registration": result_content(one.result, inputs={}),
            }
            for one, file in zip(registered, files, strict=True)
        ],
        "skipped": [{"name": one.structure.name, "share_in_view": one.share, "words": one.message} for one in skipped],
        "combined": None if isinstance(combined, str) else _combined_content(combined),
        "not_combined": combined if isinstance(combined, str) else None,
        "warnings": list(warnings),
    }


def _combined_content(combined: CombinedTransform) -> dict[str, Any]:
    jacobian = combined.jacobian
    return {
        **probes_content(SpatialTransform("combined", combined.transform), combined.nodes),
        "spacing_mm": list(combined.nodes.spacing_mm),
        "size": list(combined.nodes.size),
        "common_moving_to_fixed_ras": modelling_ras_from_resampling_lps(combined.common_fixed_to_moving_lps).tolist(),
        "time_steps": combined.time_steps,
        "rigid_inside": [asdict(one) for one in combined.structures],
        "jacobian": {
            "minimum": jacobian.minimum,
            "maximum": jacobian.maximum,
            "folded_nodes": int(jacobian.folded.sum()),
            "folded_share": jacobian.folded_share,
            "cell_minimum": jacobian.cell_minimum,
            "folded_cell_share": jacobian.folded_cell_share,
        },
        "round_trip_mm": asdict(combined.round_trip),
    }


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
        where the combined transform folds, lacks a structure or does not move one as its own does; how far it moved is
        that of the structure that moved most. What is the same for all, such as the engine, is that of the worst one.
    """
    structures = [one for one in content["structures"] if one["in_combined"]]
    worst = worst_structure(structures)["registration"]
    most = max((one["registration"]["moved_from_start"] for one in structures), key=lambda moved: moved["mean_mm"])
    combined = content["combined"]
    against = [(one["name"], sentence) for one in structures for sentence in one["registration"]["verdict"]["against"]]
    left_out = [one["name"] for one in content["structures"] if not one["in_combined"]]
    left_out += [one["name"] for one in content["skipped"]]
    together = _against_combined(combined, left_out)
    judged = worst["verdict"]
    word = "uncertain" if together and judged["word"] == "verified" else judged["word"]
    inside_mm = max(one["deviation_max_mm"] for one in combined["rigid_inside"])
    facts = [_of_structure(one) for one in structures]
    facts.append(
        f"Together they deform: rigid to {inside_mm:.2f} mm inside each, smallest Jacobian determinant "
        f"{combined['jacobian']['minimum']:.2f}, {share_text(combined['jacobian']['folded_share'])} folded."
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
        "warnings": [
            message for message in content["warnings"] if not any(sentence in message for _, sentence in against)
        ],
        "structures": [one["name"] for one in structures],
    }


def _against_combined(combined: Mapping[str, Any], left_out: Sequence[str]) -> list[str]:
    jacobian = combined["jacobian"]
    problems = [f"{name} is not in it: there it follows its neighbours." for name in left_out]
    if jacobian["folded_share"] > 0 or jacobian["folded_cell_share"] > 0:
        share = share_text(max(jacobian["folded_share"], jacobian["folded_cell_share"]))
        problems.append(f"Together they fold space, in {share} of it: what lies between them is not to be trusted.")
    problems += [
        f"{one['name']} ends up to {one['deviation_max_mm']:.1f} mm off its own transform."
        for one in combined["rigid_inside"]
        if one["deviation_max_mm"] > _MAX_DEVIATION_MM
    ]
    return problems


def _of_structure(one: Mapping[str, Any]) -> str:
    verdict, moved = one["registration"]["verdict"], one["registration"]["moved_from_start"]
    error_mm = verdict["estimated_error_mm"]
    error = "" if error_mm is None else f", estimated error {error_mm:.1f} mm"
    return (
        f"{one['name']}: {verdict['word']}{error}; it moved by {moved['mean_mm']:.1f} mm and "
        f"{moved['rotation_deg']:.1f} degrees from the common start."
    )
