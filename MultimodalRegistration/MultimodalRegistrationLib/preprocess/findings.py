"""What is noticed about an input, and findings about how it lies in the patient: its grid, header and DICOM tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import rotation_angle_deg
from ..io.volume_checks import check_placement

Severity = Literal["error", "warning", "note"]
# Ends of the patient axes in LPS: towards smaller and towards larger coordinates.
_ENDS = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
_SLICES = ("sagittal", "coronal", "axial")
_OBLIQUE_FROM_DEG = 0.5
# 1 mm pixels in 5 mm slices are common and harmless; beyond these the slice axis carries little.
_ANISOTROPY_NOTE = 6.0
_ANISOTROPY_WARNING = 20.0
# Less than any part of a patient that is scanned whole: a specimen, or metres.
_SMALL_EXTENT_MM = 10.0
_SHEAR_DEG = 0.1
_MODALITY, _THICKNESS, _TILT = "0008|0060", "0018|0050", "0018|1120"
_ORIENTATION, _INTERCEPT = "0020|0037", "0028|1052"
_MIN_TILT_DEG = 0.1
# Fat has -100 Hounsfield units and air -1000.
_LOWEST_WITHOUT_RESCALE = -50.0
# Gaps of a tenth are usual in MR; from here on a good part of the patient was never measured.
_MAX_GAP_RATIO = 1.5


@dataclass(frozen=True)
class Finding:
    """What was noticed, how grave it is, and what to do.

    Parameters
    ----------
    code : str
        A word for scripts that stays the same when the texts change.
    severity : {"error", "warning", "note"}
        ``error``: a registration refuses the input. ``warning``: the result may be wrong or the input is not what it
        should be. ``note``: good to know.
    message : str
        What was found, with the value.
    remedy : str
        What the reader can do; empty where nothing need be done.
    """

    code: str
    severity: Severity
    message: str
    remedy: str


def finding_of_error(error: InputError) -> Finding:
    """The refusal of an input as a finding of severity ``error``."""
    return Finding(error.code, "error", error.found, error.remedy)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with the errors first, then the warnings, then the notes."""
    return tuple(sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.severity)))


@dataclass(frozen=True)
class Orientation:
    """The patient axes nearest to those of a grid.

    Parameters
    ----------
    slices : str
        ``axial``, ``coronal`` or ``sagittal``: what a slice of constant K is nearest to.
    ends : tuple of 3 pairs of str
        For I, J and K the ends of the patient where the index is smallest and largest, such as ``("right", "left")``.
    oblique_deg : float
        Angle of the rotation from those patient axes to the grid.
    left_handed : bool
        Whether I, J, K form a left-handed system, as in some NIfTI files.
    """

    slices: str
    ends: tuple[tuple[str, str], ...]
    oblique_deg: float
    left_handed: bool

    @property
    def words(self) -> str:
        """For example ``axial, right-left / anterior-posterior / inferior-superior, oblique by 12 degrees``."""
        axes = " / ".join(f"{first}-{last}" for first, last in self.ends)
        tilt = f", oblique by {self.oblique_deg:.0f} degrees" if self.oblique_deg >= _OBLIQUE_FROM_DEG else ""
        if 0 < self.oblique_deg < 1 and tilt:
            tilt = f", oblique by {self.oblique_deg:.1f} degrees"
        return f"{self.slices}, {axes}{tilt}{', left-handed storage' if self.left_handed else ''}"


def describe_orientation(grid: VolumeGrid) -> Orientation:
    """Name the axes of a grid.

    Parameters
    ----------
    grid : VolumeGrid
        Its axes need not be perpendicular.

    Returns
    -------
    Orientation
        The patient axes for which the sum of the cosines is largest, each used once: the smallest rotation.
    """
    # Damaged headers are described too; what is not a number there points nowhere.
    direction = np.nan_to_num(np.asarray(grid.direction).reshape(3, 3), posinf=0.0, neginf=0.0)
    patient_axis, grid_axis = linear_sum_assignment(-np.abs(direction))
    nearest = np.zeros((4, 4))
    nearest[patient_axis, grid_axis] = np.where(direction[patient_axis, grid_axis] < 0, -1.0, 1.0)
    rotation = np.eye(4)
    rotation[:3, :3] = direction @ nearest[:3, :3].T
    ends = []
    for axis in range(3):
        patient = int(np.abs(nearest[:3, axis]).argmax())
        first, last = _ENDS[patient]
        ends.append((first, last) if nearest[patient, axis] > 0 else (last, first))
    return Orientation(
        slices=_SLICES[int(np.abs(nearest[:3, 2]).argmax())],
        ends=tuple(ends),
        oblique_deg=rotation_angle_deg(rotation),
        left_handed=bool(np.linalg.det(direction) < 0),
    )


def shear_angle_deg(grid: VolumeGrid) -> float:
    """How far the two axes that are least perpendicular are from a right angle, in degrees."""
    direction: NDArray[np.float64] = np.asarray(grid.direction).reshape(3, 3)
    cosines = (direction.T @ direction)[np.triu_indices(3, 1)]
    return float(np.degrees(np.arcsin(np.clip(np.abs(cosines).max(), 0.0, 1.0))))


def placement_findings(grid: VolumeGrid, name: str, metadata: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the placement of a volume.

    Parameters
    ----------
    grid : VolumeGrid
        Placement as read.
    name : str
        The file or node.
    metadata : mapping of str to str
        What the image carries from its file, as SimpleITK names it; empty for images made in memory.

    Yields
    ------
    Finding
        Errors first. An unusable placement gives its error alone.
    """
    try:
        check_placement(grid, name)
    except InputError as error:
        yield finding_of_error(error)
        return
    spacing = " x ".join(f"{value:.4g}" for value in grid.spacing_mm)
    ratio = max(grid.spacing_mm) / min(grid.spacing_mm)
    if ratio > _ANISOTROPY_NOTE:
        yield Finding(
            "anisotropic-spacing",
            "warning" if ratio > _ANISOTROPY_WARNING else "note",
            f"the voxels are {ratio:.0f} times longer along one axis than along another ({spacing} mm)",
            "Check the distance of the slices in the header (in Slicer: Volumes module, Volume Information). If it "
            "is right, expect a less exact result across the slices; a 3D sequence would be better.",
        )
    if grid.extent_mm.max() < _SMALL_EXTENT_MM:
        yield Finding(
            "small-extent",
            "warning",
            f"the volume is only {' x '.join(f'{value:.3g}' for value in grid.extent_mm)} mm large",
            "If this is not a specimen, the spacing is probably in another unit than millimetres; correct it (in "
            "Slicer: Volumes module, Volume Information) and save the volume again.",
        )
    shear = shear_angle_deg(grid)
    if shear > _SHEAR_DEG:
        yield Finding(
            "sheared",
            "warning",
            f"the axes are sheared: they are {shear:.1f} degrees from perpendicular, as by a tilted gantry",
            "The registration resamples such a volume to perpendicular axes; other tools may ignore the shear. In "
            "Slicer, harden the transform that the DICOM module made for it, and save the volume.",
        )
    if describe_orientation(grid).left_handed:
        yield Finding("left-handed", "note", "the voxels are stored in left-handed order, as in many NIfTI files", "")
    if not _says_orientation(grid, metadata):
        yield Finding(
            "no-orientation",
            "note",
            "the header does not say how the voxels lie in the patient; left and right may be swapped",
            "Compare with the original scan. If you can, export the volume again from the DICOM series (in Slicer: "
            "DICOM module, Load, then Save as .nrrd).",
        )


def _says_orientation(grid: VolumeGrid, metadata: Mapping[str, str]) -> bool:
    """Whether the file states an orientation; without its metadata, whether the placement is more than the default."""
    if "qform_code" in metadata and "NRRD_space" not in metadata:
        return not metadata["qform_code"] == metadata.get("sform_code") == "0"
    if metadata.get("ITK_InputFilterName") == "NrrdImageIO":
        return "NRRD_space" in metadata
    return bool(np.any(grid.origin_lps)) or not np.allclose(np.asarray(grid.direction).reshape(3, 3), np.eye(3))


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


def series_findings(tags: Mapping[str, str], grid: VolumeGrid, lowest: float) -> Iterator[Finding]:
    """Look at the tags of a series that could be read as a volume.

    Parameters
    ----------
    tags : mapping of str to str
        From :func:`series_tags`.
    grid : VolumeGrid
        Of the volume; K is the axis of the slices.
    lowest : float
        Lowest value of the voxels.

    Yields
    ------
    Finding
        Orientation, gantry tilt, gaps between the slices, and missing rescale of a CT.
    """
    if _ORIENTATION not in tags:
        yield Finding(
            "no-orientation",
            "warning",
            "the files do not say how the slices lie in the patient (secondary captures or screenshots)",
            "Use the original series of the scanner.",
        )
    tilt = _number(tags.get(_TILT))
    if tilt is not None and abs(tilt) >= _MIN_TILT_DEG:
        yield Finding(
            "gantry-tilt",
            "note",
            f"the gantry was tilted by {tilt:.1f} degrees; the positions of the slices are even and not sheared",
            "Check that the volume was corrected for the tilt: the outline of the head must not look slanted.",
        )
    thickness, spacing = _number(tags.get(_THICKNESS)), grid.spacing_mm[2]
    if thickness is not None and thickness > 0 and spacing > _MAX_GAP_RATIO * thickness:
        yield Finding(
            "gaps-between-slices",
            "note",
            f"slices of {thickness:g} mm lie {spacing:.4g} mm apart: what is between them was not measured",
            "Check that no files of the series are missing, such as every other one.",
        )
    rescaled = _number(tags.get(_INTERCEPT)) not in (None, 0.0) or lowest < _LOWEST_WITHOUT_RESCALE
    if tags.get(_MODALITY) == "CT" and not rescaled:
        yield Finding(
            "ct-without-rescale",
            "warning",
            f"this CT has no rescale intercept and no value below {lowest:g}; these are not Hounsfield units",
            "Registration works all the same; thresholds in Hounsfield units do not. Use the original series.",
        )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None  # Tags are free text in some files; this one then says nothing.
