"""The agreement of structures as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from MultimodalRegistrationLib.geometry.frames import flip_points_lps_ras
from MultimodalRegistrationLib.quality.structures.compare import StructureAgreement
from MultimodalRegistrationLib.quality.structures.measures import Measures

__all__ = ["structures_content"]


def structures_content(results: Sequence[StructureAgreement]) -> list[dict[str, Any]]:
    """Everything about the structures that a script may want, ready for JSON.

    Parameters
    ----------
    results : sequence of StructureAgreement
        The structures.

    Returns
    -------
    list of dict
        One for each. Where nothing was compared, ``measures`` is null and ``notes`` say why. The offset of the
        centroids is RAS, from the fixed structure to the moved one.
    """
    return [
        {
            "name": result.name,
            "status": result.status,
            "fixed_volume_mm3": result.fixed_volume_mm3,
            "moving_volume_mm3": result.moving_volume_mm3,
            "moved_volume_mm3": result.moved_volume_mm3,
            "volume_ratio": result.volume_ratio,
            "measures": None if result.measures is None else _measures(result.measures),
            "notes": list(result.notes),
        }
        for result in results
    ]


def _measures(measures: Measures) -> dict[str, Any]:
    return {
        "dice": measures.dice,
        "surface_dice": measures.surface_dice,
        "tolerance_mm": measures.tolerance_mm,
        "hausdorff_mm": measures.hausdorff_mm,
        "hausdorff_95_mm": measures.hausdorff_95_mm,
        "mean_surface_distance_mm": measures.mean_surface_distance_mm,
        "centroid_distance_mm": measures.centroid_distance_mm,
        "centroid_offset_ras": flip_points_lps_ras(measures.centroid_offset_lps).tolist(),
    }
