"""The file contract: the same transform file means the same to SimpleITK, to MRML and to this library."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import rigid
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras, modelling_ras_from_resampling_lps
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.io.tools.itk import TRANSFORM_SUFFIXES, write_linear_transform
from MultimodalRegistrationLib.io.transforms import read_linear_transform, read_transform
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk

FIXED_TO_MOVING_LPS = rigid([0.3, -0.8, 0.5], 37, [12, -45, 78]) @ np.diag([1.1, 0.9, 1.05, 1])
POINTS_LPS = np.array([[0, 0, 0], [50, -20, 10], [-7, 88, -31], [120.5, 4.25, 66]])


def read_with_mrml(path):
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    storage = scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    return node


@pytest.mark.parametrize("suffix", TRANSFORM_SUFFIXES)
def test_our_files_read_by_simpleitk_resample_fixed_to_moving(tmp_path, suffix):
    write_linear_transform(tmp_path / f"t{suffix}", FIXED_TO_MOVING_LPS)
    transform = sitk.ReadTransform(str(tmp_path / f"t{suffix}"))
    for point in POINTS_LPS:
        np.testing.assert_allclose(
            transform.TransformPoint(point.tolist()), apply_matrix(FIXED_TO_MOVING_LPS, point), atol=1e-9
        )


@pytest.mark.parametrize("suffix", TRANSFORM_SUFFIXES)
def test_our_files_read_by_mrml_move_the_moving_volume_onto_the_fixed_one(tmp_path, suffix):
    write_linear_transform(tmp_path / f"t{suffix}", FIXED_TO_MOVING_LPS)
    node = read_with_mrml(tmp_path / f"t{suffix}")
    assert node.IsLinear()
    to_world = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToWorld(to_world)
    np.testing.assert_allclose(
        matrix_from_vtk(to_world), modelling_ras_from_resampling_lps(FIXED_TO_MOVING_LPS), atol=1e-9
    )
    moving_ras = flip_points_lps_ras(apply_matrix(FIXED_TO_MOVING_LPS, POINTS_LPS))
    np.testing.assert_allclose(
        apply_matrix(matrix_from_vtk(to_world), moving_ras), flip_points_lps_ras(POINTS_LPS), atol=1e-8
    )


@pytest.mark.parametrize("suffix", [".h5", ".tfm", ".txt", ".mat"])
@pytest.mark.parametrize("direction", ["to parent", "from parent"])
def test_files_that_mrml_wrote(tmp_path, suffix, direction):
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    matrix = vtk.vtkMatrix4x4()
    moving_to_fixed_ras = modelling_ras_from_resampling_lps(FIXED_TO_MOVING_LPS)
    if direction == "to parent":
        matrix.DeepCopy(moving_to_fixed_ras.ravel())
        node.SetMatrixTransformToParent(matrix)
    else:
        matrix.DeepCopy(np.linalg.inv(moving_to_fixed_ras).ravel())
        node.SetMatrixTransformFromParent(matrix)
    storage = scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(tmp_path / f"slicer{suffix}"))
    assert storage.WriteData(node) == 1
    np.testing.assert_allclose(read_linear_transform(tmp_path / f"slicer{suffix}"), FIXED_TO_MOVING_LPS, atol=1e-9)


@pytest.mark.parametrize(
    "transform",
    [
        sitk.Euler3DTransform((10, -20, 30), 0.3, -0.2, 0.9, (4, 5, -6)),
        sitk.VersorRigid3DTransform((0.1, 0.2, -0.3, 0.927), (1, 2, 3), (40, 50, 60)),
        sitk.Similarity3DTransform(1.2, (0.1, 0.9, 0.2), 0.4, (1, 2, 3), (-9, 8, 7)),
        sitk.TranslationTransform(3, (7, -8, 9)),
        sitk.CompositeTransform([sitk.TranslationTransform(3, (1, 2, 3)), sitk.ScaleTransform(3, (1.1, 1, 0.9))]),
    ],
    ids=lambda transform: transform.GetName(),
)
def test_any_linear_simpleitk_transform_can_be_read(tmp_path, transform):
    sitk.WriteTransform(transform, str(tmp_path / "t.h5"))
    matrix = read_linear_transform(tmp_path / "t.h5")
    for point in POINTS_LPS:
        np.testing.assert_allclose(apply_matrix(matrix, point), transform.TransformPoint(point.tolist()), atol=1e-9)


def test_refused_transforms(tmp_path):
    (tmp_path / "text.tfm").write_text("hello")
    sitk.WriteTransform(sitk.BSplineTransform(3), str(tmp_path / "warp.h5"))
    sitk.WriteTransform(sitk.Euler2DTransform(), str(tmp_path / "flat.tfm"))
    singular = sitk.AffineTransform(3)
    singular.SetMatrix((1, 0, 0, 0, 1, 0, 1, 1, 1e-9))
    sitk.WriteTransform(singular, str(tmp_path / "singular.tfm"))
    for name, found in {
        "absent.h5": "no such file",
        "text.tfm": "not an ITK transform",
        "warp.h5": "non-linear",
        "flat.tfm": "2D",
        "singular.tfm": "cannot be inverted",
    }.items():
        with pytest.raises(InputError, match=found) as caught:
            read_linear_transform(tmp_path / name)
        assert name in str(caught.value)


def test_a_field_that_is_not_finite_is_refused(tmp_path):
    field = np.zeros((4, 4, 4, 3))
    field[0] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(field, isVector=True), str(tmp_path / "holes.nrrd"))
    with pytest.raises(InputError, match=r"holes\.nrrd: some displacements are not finite"):
        read_transform(tmp_path / "holes.nrrd")
