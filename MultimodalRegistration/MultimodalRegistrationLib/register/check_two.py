"""What a registration of two volumes will meet, told before it runs."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from ..io.volume_checks import check_pair
from ..preprocess.findings import Finding, by_severity
from .memory_need import memory_warning
from .overlap import overlap_fraction

__all__ = ["check_two"]

_SMALL_OVERLAP = 0.3


def check_two(fixed: Volume, moving: Volume, *, engine: str = "elastix") -> tuple[Finding, ...]:
    """Look at what a registration of two volumes will meet, beyond what is noticed about each alone.

    Parameters
    ----------
    fixed, moving : Volume
        Both usable on their own.
    engine : str
        For the estimate of the memory.

    Returns
    -------
    tuple of Finding
        Different units, twice the same volume, little overlap as the headers place them, and memory.
    """
    try:
        check_pair(fixed.grid, fixed.name, moving.grid, moving.name)
    except InputError as error:
        return (Finding(error.code, "error", f"{error.subject}: {error.found}", error.remedy),)
    findings = []
    if fixed.grid == moving.grid and np.array_equal(fixed.voxels, moving.voxels):
        findings.append(
            Finding("same-volume", "warning", "both volumes have the same voxels and placement", "Check the two names.")
        )
    overlap = overlap_fraction(fixed, moving, np.eye(4))
    if overlap < _SMALL_OVERLAP:
        findings.append(
            Finding(
                "little-overlap",
                "note",
                f"as their headers place them, {overlap:.0%} of the smaller volume lies inside the other",
                "Keep the start 'auto', which searches all poses, or give an initial transform.",
            )
        )
    words = memory_warning(engine, fixed.grid, moving.grid)
    if words is not None:
        sentence, remedy = words.split(". ", 1)
        findings.append(Finding("memory", "warning", sentence[0].lower() + sentence[1:], remedy))
    return by_severity(findings)
