"""The content of RESULT.json of structures that move separately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..core.frames import modelling_ras_from_resampling_lps
from ..core.spatial import SpatialTransform
from ..register.report import probes_content, result_content
from .combine import CombinedTransform
from .outcome import SkippedStructure
from .register_one import RegisteredStructure

__all__ = ["structures_content"]

_SCHEMA_VERSION = 1


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
        All that were told.

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
        "skipped": [{"name": one.structure.name, "share_in_view": one.share, "words": one.words} for one in skipped],
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
