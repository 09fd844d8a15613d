"""The agreement of structures as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from MultimodalRegistrationLib.geometry.frames import flip_points_lps_ras
from MultimodalRegistrationLib.quality.structures.compare import StructureAgreement

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
            "centroid_distance_mm": result.centroid_distance_mm,
            "centroid_offset_ras": None
            if result.centroid_offset_lps is None
            else flip_points_lps_ras(result.centroid_offset_lps).tolist(),
            "measures": None if result.measures is None else asdict(result.measures),
            "notes": list(result.notes),
        }
        for result in results
    ]
