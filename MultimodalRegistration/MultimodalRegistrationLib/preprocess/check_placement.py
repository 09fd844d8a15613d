"""Findings about where a volume says that its voxels lie: spacing, extent, axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..io.volume_checks import check_placement
from .findings import Finding, finding_of_error
from .orientation import describe_orientation, shear_angle_deg

__all__ = ["placement_findings"]

# 1 mm pixels in 5 mm slices are common and harmless; beyond these the slice axis carries little.
_ANISOTROPY_NOTE = 6.0
_ANISOTROPY_WARNING = 20.0
# Less than any part of a patient that is scanned whole: a specimen, or metres.
_SMALL_EXTENT_MM = 10.0
_SHEAR_DEG = 0.1


def placement_findings(grid: VolumeGrid, name: str, metadata: Mapping[str, str]) -> tuple[Finding, ...]:
    """Look at the placement of a volume.

    Parameters
    ----------
    grid : VolumeGrid
        Placement as read.
    name : str
        The file or node.
    metadata : mapping of str to str
        What the image carries from its file, as SimpleITK names it; empty for images made in memory.

    Returns
    -------
    tuple of Finding
        Errors first. An unusable placement gives its error alone.
    """
    try:
        check_placement(grid, name)
    except InputError as error:
        return (finding_of_error(error),)
    findings = [*_spacing_findings(grid), *_axes_findings(grid)]
    if not _says_orientation(grid, metadata):
        findings.append(
            Finding(
                "no-orientation",
                "note",
                "the header does not say how the voxels lie in the patient; left and right may be swapped",
                "Compare with the original scan. If you can, export the volume again from the DICOM series (in Slicer: "
                "DICOM module, Load, then Save as .nrrd).",
            )
        )
    return tuple(findings)


def _spacing_findings(grid: VolumeGrid) -> list[Finding]:
    findings = []
    spacing = " x ".join(f"{value:.4g}" for value in grid.spacing_mm)
    ratio = max(grid.spacing_mm) / min(grid.spacing_mm)
    if ratio > _ANISOTROPY_NOTE:
        findings.append(
            Finding(
                "anisotropic-spacing",
                "warning" if ratio > _ANISOTROPY_WARNING else "note",
                f"the voxels are {ratio:.0f} times longer along one axis than along another ({spacing} mm)",
                "Check the distance of the slices in the header (in Slicer: Volumes module, Volume Information). If it "
                "is right, expect a less exact result across the slices; a 3D sequence would be better.",
            )
        )
    if grid.extent_mm.max() < _SMALL_EXTENT_MM:
        findings.append(
            Finding(
                "small-extent",
                "warning",
                f"the volume is only {' x '.join(f'{value:.3g}' for value in grid.extent_mm)} mm large",
                "If this is not a specimen, the spacing is probably in another unit than millimetres; correct it (in "
                "Slicer: Volumes module, Volume Information) and save the volume again.",
            )
        )
    return findings


def _axes_findings(grid: VolumeGrid) -> list[Finding]:
    findings = []
    shear = shear_angle_deg(grid)
    if shear > _SHEAR_DEG:
        findings.append(
            Finding(
                "sheared",
                "warning",
                f"the axes are sheared: they are {shear:.1f} degrees from perpendicular, as by a tilted gantry",
                "The registration resamples such a volume to perpendicular axes; other tools may ignore the shear. In "
                "Slicer, harden the transform that the DICOM module made for it, and save the volume.",
            )
        )
    if describe_orientation(grid).left_handed:
        findings.append(
            Finding(
                "left-handed",
                "note",
                "the voxels are stored in left-handed order, as in many NIfTI files",
                "",
            )
        )
    return findings


def _says_orientation(grid: VolumeGrid, metadata: Mapping[str, str]) -> bool:
    """Whether the file states an orientation; without its metadata, whether the placement is more than the default."""
    if "qform_code" in metadata and "NRRD_space" not in metadata:
        return not metadata["qform_code"] == metadata.get("sform_code") == "0"
    if metadata.get("ITK_InputFilterName") == "NrrdImageIO":
        return "NRRD_space" in metadata
    return bool(np.any(grid.origin_lps)) or not np.allclose(np.asarray(grid.direction).reshape(3, 3), np.eye(3))
