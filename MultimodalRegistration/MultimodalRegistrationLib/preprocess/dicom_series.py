"""Findings about what the tags of a DICOM series say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import SimpleITK as sitk

from ..core.grid import VolumeGrid
from .findings import Finding

__all__ = ["series_findings", "series_tags"]

_MODALITY, _THICKNESS, _TILT = "0008|0060", "0018|0050", "0018|1120"
_ORIENTATION, _INTERCEPT = "0020|0037", "0028|1052"
_LEAST_TILT_DEG = 0.1
# Fat has -100 Hounsfield units and air -1000.
_LOWEST_WITHOUT_RESCALE = -50.0
# Gaps of a tenth are usual in MR; from here on a good part of the patient was never measured.
_LARGEST_GAP_RATIO = 1.5


def series_tags(folder: Path) -> dict[str, str]:
    """Tags of the first file of the first series in a folder; empty when there is none that can be read.

    Parameters
    ----------
    folder : Path
        A folder that exists.

    Returns
    -------
    dict of str to str
        Values by ``group|element`` in hexadecimal digits, as SimpleITK writes them.
    """
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    if not files:
        return {}
    reader = sitk.ImageFileReader()
    reader.SetFileName(files[0])
    reader.ReadImageInformation()
    return {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}


def series_findings(tags: Mapping[str, str], grid: VolumeGrid, lowest: float) -> tuple[Finding, ...]:
    """Look at the tags of a series that could be read as a volume.

    Parameters
    ----------
    tags : mapping of str to str
        From :func:`series_tags`.
    grid : VolumeGrid
        Of the volume; K is the axis of the slices.
    lowest : float
        Lowest value of the voxels.

    Returns
    -------
    tuple of Finding
        Orientation, gantry tilt, gaps between the slices, and missing rescale of a CT.
    """
    findings = []
    if _ORIENTATION not in tags:
        findings.append(
            Finding(
                "no-orientation",
                "warning",
                "the files do not say how the slices lie in the patient (secondary captures or screenshots)",
                "Use the original series of the scanner.",
            )
        )
    tilt = _number(tags.get(_TILT))
    if tilt is not None and abs(tilt) >= _LEAST_TILT_DEG:
        findings.append(
            Finding(
                "gantry-tilt",
                "note",
                f"the gantry was tilted by {tilt:.1f} degrees; the positions of the slices are even and not sheared",
                "Check that the volume was corrected for the tilt: the outline of the head must not look slanted.",
            )
        )
    thickness, spacing = _number(tags.get(_THICKNESS)), grid.spacing_mm[2]
    if thickness is not None and thickness > 0 and spacing > _LARGEST_GAP_RATIO * thickness:
        findings.append(
            Finding(
                "gaps-between-slices",
                "note",
                f"slices of {thickness:g} mm lie {spacing:.4g} mm apart: what is between them was not measured",
                "Check that no files of the series are missing, such as every other one.",
            )
        )
    rescaled = _number(tags.get(_INTERCEPT)) not in (None, 0.0) or lowest < _LOWEST_WITHOUT_RESCALE
    if tags.get(_MODALITY) == "CT" and not rescaled:
        findings.append(
            Finding(
                "ct-without-rescale",
                "warning",
                f"this CT has no rescale intercept and no value below {lowest:g}; these are not Hounsfield units",
                "Registration works all the same; thresholds in Hounsfield units do not. Use the original series.",
            )
        )
    return tuple(findings)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None  # Tags are free text in some files; this one then says nothing.
