"""Look at volumes before they are registered, and say everything that is noticed at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.volume import Volume
from ..io.downsample import read_downsampled
from ..io.input_files import refuse_special_files
from ..io.volumes import read_unjudged
from ..io.voxel_source import grid_of_header, voxel_bytes
from .findings import (
    Finding,
    by_severity,
    describe_orientation,
    finding_of_error,
    placement_findings,
    series_findings,
    series_tags,
)
from .voxel_findings import slice_findings, value_findings

# By the codes of the errors that tell them apart from scalar volumes.
_KINDS = {
    "sequence": "time series or sequence",
    "repeated-positions": "time series or sequence",
    "vector": "vector or colour volume",
    "complex": "complex-valued volume",
    "label-map": "label map",
    "segmentation": "segmentation",
    "not-three-dimensional": "image of one slice",
}
# Larger volumes are looked at in blocks.
_MAX_BYTES = 1e9


@dataclass(frozen=True)
class VolumeReport:
    """What a file holds and what was noticed about it.

    Parameters
    ----------
    name : str
        The path as given.
    kind : str
        ``scalar volume``, ``label map``, ``vector or colour volume`` and so on; ``unknown`` for an unreadable file.
    findings : tuple of Finding
        Errors, then warnings, then notes.
    size : tuple of int
        Voxels along each axis; empty when the header could not be read.
    spacing_mm : tuple of float
        Likewise.
    orientation : str
        For people; empty when there is none.
    pixel_type : str
        In SimpleITK's words.
    value_range : tuple of 2 float, or None
        Lowest and highest finite value; None when the voxels were not read.
    volume : Volume or None
        The volume, if it could be read.
    """

    name: str
    kind: str
    findings: tuple[Finding, ...]
    size: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    orientation: str = ""
    pixel_type: str = ""
    value_range: tuple[float, float] | None = None
    volume: Volume | None = None


def check_volume(volume: Volume) -> tuple[Finding, ...]:
    """Look at a volume that is in memory.

    Parameters
    ----------
    volume : Volume
        Not changed.

    Returns
    -------
    tuple of Finding
        Errors, then warnings, then notes. Empty when nothing was noticed.
    """
    metadata = {key: volume.image.GetMetaData(key) for key in volume.image.GetMetaDataKeys()}
    return _all_findings(volume, placement_findings(volume.grid, volume.name, metadata))


def volume_warnings(volume: Volume) -> tuple[str, ...]:
    """Say in sentences what is wrong with a volume, or may be; notes are left out.

    Parameters
    ----------
    volume : Volume
        Not changed.

    Returns
    -------
    tuple of str
        One for each finding of :func:`check_volume` that is an error or a warning, with its remedy.
    """
    return tuple(
        f"{volume.name}: {finding.message}. {finding.remedy}"
        for finding in check_volume(volume)
        if finding.severity != "note"
    )


def check_file(path: str | Path) -> VolumeReport:
    """Look at a file or at the folder of one DICOM series.

    Files above a gigabyte are looked at in blocks, in bounded memory.

    Parameters
    ----------
    path : str or Path
        As for :func:`MultimodalRegistrationLib.io.volumes.read_volume`.

    Returns
    -------
    VolumeReport
        Never an exception because of the file: what is wrong with it is a finding of severity ``error``.
    """
    path = Path(path)
    header = None
    try:
        refuse_special_files(path)
        header = _header(path)
        if header is not None and _bytes(header) > _MAX_BYTES:
            return _in_blocks(path, header)
        volume = read_unjudged(path)
    except InputError as error:
        return _report_of_header(path, header, (finding_of_error(error),))
    if path.is_dir():
        # The image of a series has no metadata of its own; its tags are judged instead.
        placement = [
            *placement_findings(volume.grid, volume.name, {"NRRD_space": "from DICOM"}),
            *series_findings(series_tags(path), volume.grid, float(volume.voxels.min())),
        ]
        findings = _all_findings(volume, placement)
    else:
        findings = check_volume(volume)
    return VolumeReport(
        name=str(path),
        kind=_kind(findings),
        findings=findings,
        size=volume.grid.size,
        spacing_mm=volume.grid.spacing_mm,
        orientation=describe_orientation(volume.grid).words,
        pixel_type=volume.image.GetPixelIDTypeAsString(),
        value_range=_value_range(volume),
        volume=volume,
    )


def _all_findings(volume: Volume, placement: Iterable[Finding]) -> tuple[Finding, ...]:
    values = tuple(value_findings(volume))
    # Label maps and volumes without contents consist of equal slices anyway.
    slices = () if any(finding.severity == "error" for finding in values) else slice_findings(volume)
    return by_severity([*placement, *values, *slices])


def _kind(findings: Iterable[Finding], otherwise: str = "scalar volume") -> str:
    return next((_KINDS[finding.code] for finding in findings if finding.code in _KINDS), otherwise)


def _value_range(volume: Volume) -> tuple[float, float] | None:
    voxels = volume.voxels
    low, high = float(voxels.min()), float(voxels.max())
    if not np.isfinite(low + high):
        finite = voxels[np.isfinite(voxels)]
        return (float(finite.min()), float(finite.max())) if finite.size else None
    return low, high


def _header(path: Path) -> sitk.ImageFileReader | None:
    """The header of a file; None for folders and files that no reader takes, which the reading itself refuses."""
    if not path.is_file():
        return None
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return reader


def _in_blocks(path: Path, header: sitk.ImageFileReader) -> VolumeReport:
    """The report of a volume that is read coarser than it is stored, in bounded memory."""
    volume = read_downsampled(path, memory_limit_bytes=_MAX_BYTES)
    coarse = ", ".join(f"{step:.3g}" for step in volume.grid.spacing_mm)
    large = Finding(
        "large",
        "note",
        f"its voxels take {_bytes(header) / 1e9:.1f} GB; they were looked at in blocks, as means over {coarse} mm",
        "A registration reads it in the same way where it exceeds the memory limit.",
    )
    metadata = {key: header.GetMetaData(key) for key in header.GetMetaDataKeys()}
    grid = grid_of_header(header)
    placement = placement_findings(grid, str(path), metadata)
    findings = by_severity([*placement, *value_findings(volume), large])
    return replace(
        _report_of_header(path, header, findings),
        size=grid.size,
        spacing_mm=grid.spacing_mm,
        orientation=describe_orientation(grid).words,
        value_range=_value_range(volume),
        volume=volume,
    )


def _bytes(header: sitk.ImageFileReader) -> float:
    return float(np.prod(header.GetSize(), dtype=np.float64)) * header.GetNumberOfComponents() * voxel_bytes(header)


def _report_of_header(path: Path, header: sitk.ImageFileReader | None, findings: tuple[Finding, ...]) -> VolumeReport:
    if header is None:
        return VolumeReport(str(path), _kind(findings, "unknown"), findings)
    size = tuple(header.GetSize())
    return VolumeReport(
        name=str(path),
        kind=_kind(findings),
        findings=findings,
        size=size,
        spacing_mm=tuple(header.GetSpacing()),
        orientation=describe_orientation(grid_of_header(header)).words if len(size) == 3 else "",
        pixel_type=sitk.GetPixelIDValueAsString(header.GetPixelID()),
    )
