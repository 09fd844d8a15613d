"""DICOM Spatial Registration objects with linear transforms.

Each item maps the points of one frame of reference, LPS, mm, into the frame of reference of the object (PS3.3,
C.20.2). The fixed volume is the one whose frame of reference is that of the object. Needs pydicom, which Slicer brings.
"""

from __future__ import annotations

import datetime
import importlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import MultimodalRegistrationLib

from ...core.errors import InputError, install_remedy
from ...core.linear import is_rigid
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from ..volumes import series_files
from .common import AGAIN, Context, Scan, checked_inverse, checked_matrix, linear_matrix

_SPATIAL_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
_PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName", "SpecificCharacterSet"),
)
_WHICH = "Tell which volumes are meant with --fixed and --moving (folders of their DICOM series)."


def read_dicom(path: Path, context: Context) -> SpatialTransform:
    """Read a Spatial Registration object.

    Parameters
    ----------
    path : Path
        Its file.
    context : Context
        With the DICOM series of the volumes, where the object holds more than two.

    Raises
    ------
    InputError
        No such object, damaged, or it does not tell which transform is meant.
    """
    pydicom = _pydicom(path)
    content = _read(pydicom, path)
    if content.get("SOPClassUID") != _SPATIAL_REGISTRATION:
        kind = getattr(content.get("SOPClassUID"), "name", None) or "unknown"
        remedy = "Give a Spatial Registration object; for a deformable one, load it in Slicer and save the transform."
        raise InputError(path, f"this is a DICOM object of the class {kind}", remedy)
    items = list(content.get("RegistrationSequence") or [])
    if not items:
        raise InputError(path, "the registration sequence is empty", AGAIN)
    matrices = [_matrix(path, item) for item in items]
    # Volumes that were saved as something else, for the format to convert to, do not tell their frame.
    series = [scan if scan is not None and scan.path.is_dir() else None for scan in (context.fixed, context.moving)]
    fixed, moving = (_chosen(pydicom, items, scan) for scan in series)
    if series[0] is None:
        fixed = [
            n for n, item in enumerate(items) if item.get("FrameOfReferenceUID") == content.get("FrameOfReferenceUID")
        ]
        if len(fixed) > 1:
            fixed = [n for n in fixed if np.array_equal(matrices[n], np.eye(4))]
    if series[1] is None:
        moving = [n for n in range(len(items)) if n not in fixed]
    if len(moving) != 1 or len(fixed) > 1 or (series[0] is not None and not fixed):
        found = (
            f"{len(items)} registrations, of which {len(fixed)} can be the fixed and {len(moving)} the moving volume"
        )
        raise InputError(path, found, _WHICH)
    # Without an item of its own, the fixed volume is in the frame of the object.
    to_registered = matrices[fixed[0]] if fixed else np.eye(4)
    matrix = checked_inverse(path, matrices[moving[0]]) @ to_registered
    return SpatialTransform.of_matrix(path.name, matrix)


def write_dicom(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a Spatial Registration object.

    Parameters
    ----------
    outputs : OutputFiles
        Where the file is announced.
    path : Path
        Its name.
    transform : SpatialTransform
        Linear, ``fixed_to_moving_lps``.
    context : Context
        With the DICOM series of both volumes, whose patient, frames and images it refers to.

    Returns
    -------
    float
        Error in mm, 0: entries have 16 characters.
    """
    scans = context.need_scans(path, "a DICOM object refers to the series of both volumes")
    matrix = linear_matrix(path, transform)
    pydicom = _pydicom(path)
    staged = outputs.add(path, (".dcm",))
    series = [_headers(pydicom, scan) for scan in scans]
    for scan, headers in zip(scans, series, strict=True):
        if not headers[0].get("FrameOfReferenceUID"):
            raise InputError(scan.path, "the series has no frame of reference", "Give another series of the volume.")
    now = datetime.datetime.now()
    content = pydicom.Dataset()
    for keyword in _PATIENT_AND_STUDY:
        setattr(content, keyword, series[0][0].get(keyword, ""))
    content.SOPClassUID = _SPATIAL_REGISTRATION
    content.SOPInstanceUID = pydicom.uid.generate_uid()
    content.SeriesInstanceUID = pydicom.uid.generate_uid()
    content.Modality = "REG"
    content.SeriesNumber = content.InstanceNumber = 1
    content.SeriesDescription = content.ContentDescription = "Registration"
    content.ContentLabel = "REGISTRATION"
    content.ContentCreatorName = ""
    content.ContentDate = content.InstanceCreationDate = content.SeriesDate = now.strftime("%Y%m%d")
    content.ContentTime = content.InstanceCreationTime = content.SeriesTime = now.strftime("%H%M%S")
    content.Manufacturer = content.ManufacturerModelName = "MultimodalRegistration"
    content.DeviceSerialNumber = "0"
    content.SoftwareVersions = MultimodalRegistrationLib.__version__
    content.FrameOfReferenceUID = series[0][0].FrameOfReferenceUID
    content.PositionReferenceIndicator = ""
    content.RegistrationSequence = [
        _item(pydicom, headers, entries)
        for headers, entries in zip(series, (np.eye(4), checked_inverse(path, matrix)), strict=True)
    ]
    _refer(pydicom, content, series)
    content.file_meta = pydicom.dataset.FileMetaDataset()
    content.file_meta.MediaStorageSOPClassUID = content.SOPClassUID
    content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID
    content.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    content.save_as(staged, enforce_file_format=True)
    return 0.0


def _pydicom(path: Path) -> Any:
    """The package, imported on use: only this format needs it."""
    try:
        for name in ("dataset", "errors", "uid", "valuerep"):
            importlib.import_module(f"pydicom.{name}")
    except ImportError as error:
        raise InputError(
            path, "DICOM objects need pydicom, which is not installed", install_remedy("pydicom")
        ) from error
    return importlib.import_module("pydicom")


def _read(pydicom: Any, path: str | Path, *, header_only: bool = False) -> Any:
    damage = (EOFError, OSError, ValueError, LookupError, TypeError, NotImplementedError, struct.error)
    try:
        content = pydicom.dcmread(path, stop_before_pixels=header_only)
        # Values are converted when they are asked for, which is where damage shows.
        for _ in content.iterall():
            pass
        return content
    except (pydicom.errors.InvalidDicomError, *damage) as error:
        raise InputError(path, f"this is not a DICOM file, or it is cut off ({error})", AGAIN) from error


def _headers(pydicom: Any, scan: Scan) -> list[Any]:
    """Of all files of a series."""
    if not scan.path.is_dir():
        raise InputError(scan.path, "this is not a DICOM series", "Give the folder of the series that it was made of.")
    return [_read(pydicom, file, header_only=True) for file in series_files(scan.path)]


def _matrix(path: Path, item: Any) -> NDArray[np.float64]:
    """From the points of an item's frame of reference to those of the object's, shape (4, 4)."""
    sequences = [one.get("MatrixSequence") or [] for one in item.get("MatrixRegistrationSequence") or []]
    parts = [part for sequence in sequences for part in sequence]
    if not parts:
        raise InputError(path, "a registration without a matrix", AGAIN)
    matrix = np.eye(4)
    for part in parts:
        entries = part.get("FrameOfReferenceTransformationMatrix")
        words = [] if entries is None else [str(entry) for entry in np.ravel(entries)]
        if len(words) != 16 or not all(words):
            raise InputError(path, "a transformation matrix without its 16 numbers", AGAIN)
        numbers = [float(word) for word in words]
        # Each applies to what those before it gave.
        matrix = checked_matrix(path, np.reshape(numbers, (4, 4))) @ matrix
    return matrix


def _chosen(pydicom: Any, items: list[Any], scan: Scan | None) -> list[int]:
    """Indices of the items about a series: by its frame of reference, then by its images."""
    if scan is None:
        return []
    headers = _headers(pydicom, scan)
    frame = headers[0].get("FrameOfReferenceUID")
    found = [number for number, item in enumerate(items) if item.get("FrameOfReferenceUID") == frame]
    if len(found) > 1:
        images = {header.SOPInstanceUID for header in headers}
        found = [
            number
            for number in found
            if any(one.ReferencedSOPInstanceUID in images for one in items[number].get("ReferencedImageSequence") or [])
        ]
    return found


def _item(pydicom: Any, headers: list[Any], matrix: NDArray[np.float64]) -> Any:
    entry = pydicom.Dataset()
    entry.FrameOfReferenceTransformationMatrixType = "RIGID" if is_rigid(matrix) else "AFFINE"
    entry.FrameOfReferenceTransformationMatrix = [
        pydicom.valuerep.format_number_as_ds(float(number)) for number in matrix.ravel()
    ]
    registration = pydicom.Dataset()
    registration.FrameOfReferenceTransformationComment = ""
    registration.RegistrationTypeCodeSequence = []
    registration.MatrixSequence = [entry]
    item = pydicom.Dataset()
    item.FrameOfReferenceUID = headers[0].FrameOfReferenceUID
    item.ReferencedImageSequence = [_image(pydicom, header) for header in headers]
    item.MatrixRegistrationSequence = [registration]
    return item


def _image(pydicom: Any, header: Any) -> Any:
    image = pydicom.Dataset()
    image.ReferencedSOPClassUID = header.SOPClassUID
    image.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return image


def _refer(pydicom: Any, content: Any, series: list[list[Any]]) -> None:
    """List the series of the same study, and those of others by study."""
    content.ReferencedSeriesSequence = []
    others = []
    for headers in series:
        entry = pydicom.Dataset()
        entry.SeriesInstanceUID = headers[0].SeriesInstanceUID
        entry.ReferencedInstanceSequence = [_image(pydicom, header) for header in headers]
        if headers[0].StudyInstanceUID == content.StudyInstanceUID:
            content.ReferencedSeriesSequence.append(entry)
        else:
            study = pydicom.Dataset()
            study.StudyInstanceUID = headers[0].StudyInstanceUID
            study.ReferencedSeriesSequence = [entry]
            others.append(study)
    if others:
        content.StudiesContainingOtherReferencedInstancesSequence = others
