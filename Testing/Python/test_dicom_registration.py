"""DICOM Spatial Registration objects, against pydicom and the definition of the standard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from conftest import rigid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import displacement_mm
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import OutputFiles
from MultimodalRegistrationLib.io.tools.common import Context, Scan, open_scan
from MultimodalRegistrationLib.io.transforms import read_as, read_transform, write_as
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

FIXED_TO_MOVING_LPS = rigid([0.3, -0.8, 0.5], 37, [12, -45, 78])
POINTS = np.array([[0, 0, 0], [100, 0, 0], [0, -120, 0], [30, 40, 150.0]])


def write_series(folder, *, frame=None, study=None, slices=3):
    folder.mkdir()
    frame, study, series = frame or generate_uid(), study or generate_uid(), generate_uid()
    axes = rigid([1, 0.2, 0.3], 20, [0, 0, 0])[:3, :3]
    for number in range(slices):
        content = pydicom.Dataset()
        content.SOPClassUID, content.SOPInstanceUID = CTImageStorage, generate_uid()
        content.PatientName, content.PatientID, content.Modality = "Doe^Jane", "7", "CT"
        content.StudyInstanceUID, content.SeriesInstanceUID, content.FrameOfReferenceUID = study, series, frame
        content.InstanceNumber = number + 1
        content.ImageOrientationPatient = [round(float(v), 9) for v in (*axes[:, 0], *axes[:, 1])]
        content.ImagePositionPatient = [round(float(v), 6) for v in axes @ [10, 20, 3.0 * number]]
        content.PixelSpacing, content.SliceThickness = [2.0, 1.5], 3.0
        content.Rows, content.Columns = 6, 5
        content.SamplesPerPixel, content.PhotometricInterpretation = 1, "MONOCHROME2"
        content.BitsAllocated = content.BitsStored = 16
        content.HighBit, content.PixelRepresentation = 15, 1
        content.PixelData = np.zeros((6, 5), np.int16).tobytes()
        content.file_meta = pydicom.dataset.FileMetaDataset()
        content.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        content.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    return Context(open_scan(write_series(folder / "fixed")), open_scan(write_series(folder / "moving")))


def write(path, matrix, context):
    with OutputFiles() as outputs:
        write_as(outputs, path, "dicom", SpatialTransform.of_matrix("T", matrix), context)
        outputs.commit()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angle=st.floats(-180, 180),
    axis=st.tuples(st.floats(0.1, 1), st.floats(-1, 1), st.floats(-1, 1)),
    shift=st.tuples(*[st.floats(-500, 500)] * 3),
    scale=st.floats(0.7, 1.4),
)
def test_what_is_written_is_read_again(tmp_path, scans, angle, axis, shift, scale):
    matrix = rigid(list(axis), angle, list(shift)) @ np.diag([scale, 1, 1 / scale, 1])
    write(tmp_path / "REG.dcm", matrix, scans)
    saved = Context(*(Scan(Path(f"{role}.nrrd"), scan.grid) for role, scan in vars(scans).items() if scan))
    for context in (Context(), scans, saved):
        found = read_as(tmp_path / "REG.dcm", None, context)
        assert displacement_mm(found.matrix, matrix, POINTS).max() < 1e-6


def test_the_object_by_the_definition_of_the_standard(tmp_path, scans):
    """The matrix of an item takes points of its frame of reference to those of the object's."""
    write(tmp_path / "REG.dcm", FIXED_TO_MOVING_LPS, scans)
    content = pydicom.dcmread(tmp_path / "REG.dcm")
    fixed, moving = (pydicom.dcmread(Path(scan.path, "0.dcm")) for scan in (scans.fixed, scans.moving))
    assert content.SOPClassUID.name == "Spatial Registration Storage"
    assert (content.FrameOfReferenceUID, content.PatientID) == (fixed.FrameOfReferenceUID, "7")
    by_frame = {item.FrameOfReferenceUID: item for item in content.RegistrationSequence}
    entry = by_frame[moving.FrameOfReferenceUID].MatrixRegistrationSequence[0].MatrixSequence[0]
    assert entry.FrameOfReferenceTransformationMatrixType == "RIGID"
    matrix = np.reshape([float(number) for number in entry.FrameOfReferenceTransformationMatrix], (4, 4))
    np.testing.assert_allclose(matrix, np.linalg.inv(FIXED_TO_MOVING_LPS), atol=1e-9)
    identity = by_frame[fixed.FrameOfReferenceUID].MatrixRegistrationSequence[0].MatrixSequence[0]
    np.testing.assert_array_equal(np.float64(identity.FrameOfReferenceTransformationMatrix), np.eye(4).ravel())
    assert len(by_frame[moving.FrameOfReferenceUID].ReferencedImageSequence) == 3
    assert content.StudiesContainingOtherReferencedInstancesSequence[0].StudyInstanceUID == moving.StudyInstanceUID


def test_objects_of_others(tmp_path, scans):
    """Several matrices apply one after the other, and the fixed volume may lack an item or have a matrix of its own."""
    write(tmp_path / "REG.dcm", FIXED_TO_MOVING_LPS, scans)
    content = pydicom.dcmread(tmp_path / "REG.dcm")
    fixed, moving = content.RegistrationSequence
    first, second = rigid([1, 2, 3], 30, [4, 5, 6]), rigid([3, -1, 1], 70, [-8, 0, 9])
    moving.MatrixRegistrationSequence[0].MatrixSequence = [entry(first), entry(second)]
    content.RegistrationSequence = [moving]
    content.save_as(tmp_path / "one.dcm")
    found = read_transform(tmp_path / "one.dcm")
    assert displacement_mm(found.matrix, np.linalg.inv(second @ first), POINTS).max() < 1e-6
    fixed.MatrixRegistrationSequence[0].MatrixSequence = [entry(first)]
    moving.MatrixRegistrationSequence[0].MatrixSequence = [entry(second)]
    content.RegistrationSequence = [moving, fixed]
    content.save_as(tmp_path / "two.dcm")
    found = read_transform(tmp_path / "two.dcm")
    assert displacement_mm(found.matrix, np.linalg.inv(second) @ first, POINTS).max() < 1e-6


def entry(matrix):
    one = pydicom.Dataset()
    one.FrameOfReferenceTransformationMatrixType = "RIGID"
    one.FrameOfReferenceTransformationMatrix = [round(float(v), 12) for v in matrix.ravel()]
    return one


def test_two_series_of_one_frame_of_reference_are_told_apart_by_their_images(tmp_path):
    frame, study = generate_uid(), generate_uid()
    folders = [write_series(tmp_path / name, frame=frame, study=study) for name in ("fixed", "moving")]
    context = Context(*map(open_scan, folders))
    write(tmp_path / "REG.dcm", FIXED_TO_MOVING_LPS, context)
    for given_context in (context, Context()):
        found = read_as(tmp_path / "REG.dcm", None, given_context)
        assert displacement_mm(found.matrix, FIXED_TO_MOVING_LPS, POINTS).max() < 1e-6
    back = read_as(tmp_path / "REG.dcm", None, Context(context.moving, context.fixed))
    assert displacement_mm(back.matrix, np.linalg.inv(FIXED_TO_MOVING_LPS), POINTS).max() < 1e-6
    assert len(pydicom.dcmread(tmp_path / "REG.dcm").ReferencedSeriesSequence) == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_objects_are_read_whole_or_not_at_all(tmp_path, scans):
    write(tmp_path / "REG.dcm", FIXED_TO_MOVING_LPS, scans)
    whole = (tmp_path / "REG.dcm").read_bytes()
    for end in range(0, len(whole), 7):
        (tmp_path / "cut.dcm").write_bytes(whole[:end])
        try:
            found = read_as(tmp_path / "cut.dcm", "dicom", Context())
        except InputError:
            continue
        assert displacement_mm(found.matrix, FIXED_TO_MOVING_LPS, POINTS).max() < 1e-6, end


def test_refused_objects(tmp_path, scans):
    write(tmp_path / "REG.dcm", FIXED_TO_MOVING_LPS, scans)
    whole = (tmp_path / "REG.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 3])
    content = pydicom.dcmread(tmp_path / "REG.dcm")
    content.RegistrationSequence.append(content.RegistrationSequence[1])
    content.save_as(tmp_path / "three.dcm")
    content.RegistrationSequence = content.RegistrationSequence[:2]
    numbers = content.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    numbers.FrameOfReferenceTransformationMatrix = [1, 0, 0]
    content.save_as(tmp_path / "short.dcm")
    for name, found in {
        "cut.dcm": r"registration sequence is empty|not a DICOM file|cut off",
        "three.dcm": "3 registrations, of which 1 can be the fixed and 2 the moving volume",
        "short.dcm": "without its 16 numbers",
    }.items():
        with pytest.raises(InputError, match=found) as caught:
            read_transform(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(InputError, match="DICOM object of the class CT Image Storage"):
        read_transform(scans.fixed.path / "0.dcm")
    with pytest.raises(InputError, match="--fixed and --moving"):
        write(tmp_path / "new.dcm", FIXED_TO_MOVING_LPS, Context())
