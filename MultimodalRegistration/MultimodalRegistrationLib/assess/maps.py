"""Maps of where a registration agrees and what its transform does, as volumes."""

from __future__ import annotations

from ..core.volume import Volume
from .assess import Assessment

__all__ = ["quality_maps"]


def quality_maps(result: Assessment) -> dict[str, Volume]:
    """The maps of the transform that the verdict is about.

    Parameters
    ----------
    result : Assessment
        What was measured.

    Returns
    -------
    dict of str to Volume
        Local mutual information and gradient agreement, before and after; for a transform that is not linear, its
        Jacobian determinants, and how far points are from where they come back. In the fixed volume's space.
    """
    best = next(one for one in result.methods if one.transform.name == result.verdict.method)
    maps = {}
    for when, images in (("before", result.before.images), ("after", best.images)):
        maps[f"local-information-{when}"] = images.local_information
        maps[f"gradient-agreement-{when}"] = images.local_agreement
    if best.health is not None and not best.health.linear:
        maps["jacobian"] = best.health.jacobian_map
        maps["return-error"] = best.health.return_error_map
    return maps
