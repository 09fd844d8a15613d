"""Transforms of other programs through Slicer's own way of loading files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import CT_GRID, MR_GRID, PROJECT, rigid
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras, modelling_ras_from_resampling_lps
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import OutputFiles
from MultimodalRegistrationLib.io.tools.common import Context, Scan
from MultimodalRegistrationLib.io.transforms import write_as
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, transform_points

MATRIX = rigid([0.3, -0.8, 0.5], 37, [12, -45, 78])
BOTH = Context(fixed=Scan(Path("f"), MR_GRID), moving=Scan(Path("m"), CT_GRID))


class Parent:
    """Slicer's side of a reader."""

    def __init__(self):
        self.loadedNodes = []
        self.messages = []

    def userMessages(self):  # noqa: N802
        return self

    def AddMessage(self, event, words):  # noqa: N802
        self.messages.append((event, words))


@pytest.fixture
def reader(slicer_app):
    slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration")
    return sys.modules["MultimodalRegistration"].MultimodalRegistrationFileReader(Parent())


def write(path, name, transform):
    with OutputFiles() as outputs:
        assert write_as(outputs, path, name, SpatialTransform("T", transform), BOTH) == 0
        outputs.commit()
    return str(path)


@pytest.mark.parametrize(("file", "name"), [("T.txt", "elastix"), ("T.lta", "lta")])
def test_a_linear_transform_is_a_linear_node(reader, tmp_path, file, name):
    path = write(tmp_path / file, name, sitk_from_matrix(MATRIX))
    assert reader.canLoadFile(path) is True
    assert reader.canLoadFileConfidence(path) == 0.9
    assert reader.load({"fileName": path, "name": "from elsewhere"}) is True
    node = slicer.mrmlScene.GetNodeByID(*reader.parent.loadedNodes)
    assert node.GetName() == "from elsewhere"
    assert node.IsLinear()
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    np.testing.assert_allclose(matrix_from_vtk(matrix), modelling_ras_from_resampling_lps(MATRIX), atol=1e-4)
    assert reader.parent.messages == []


@pytest.mark.story("U28")
def test_a_spline_maps_points_as_elastix_does(reader, tmp_path):
    spline = sitk.BSplineTransform(3, 3)
    axes = rigid([0.2, 1, -0.3], 33, [0, 0, 0])[:3, :3]
    origin = np.asarray(MR_GRID.center_lps) - axes @ [240, 240, 240]
    spline.SetFixedParameters([13, 13, 13, *origin.tolist(), 40, 40, 40, *axes.ravel().tolist()])
    spline.SetParameters(np.random.default_rng(1).normal(0, 3, spline.GetNumberOfParameters()).tolist())
    both = sitk.CompositeTransform([sitk_from_matrix(MATRIX), spline])
    assert reader.load({"fileName": write(tmp_path / "B.txt", "elastix", both)})
    node = slicer.mrmlScene.GetNodeByID(*reader.parent.loadedNodes)
    assert node.GetName() == "B"
    points = MR_GRID.sample_points_lps(4)
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    found = flip_points_lps_ras(transform_points(from_world, flip_points_lps_ras(points)))
    np.testing.assert_allclose(found, SpatialTransform("T", both).to_moving(points), atol=1e-4)


def test_other_files_are_left_to_others(reader, tmp_path):
    (tmp_path / "notes.txt").write_text("(Transform is a word)\n")
    (tmp_path / "settings.txt").write_text('(Transform "EulerTransform")\n(NumberOfResolutions 3)\n')
    (tmp_path / "matrix.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    sitk.WriteTransform(sitk_from_matrix(MATRIX), str(tmp_path / "itk.txt"))
    for name in ("notes.txt", "settings.txt", "matrix.txt", "itk.txt", "missing.txt"):
        assert reader.canLoadFile(str(tmp_path / name)) is False
        assert reader.canLoadFileConfidence(str(tmp_path / name)) == 0.0
    assert any("elastix" in line for line in reader.extensions())


def test_a_damaged_file_is_told_and_leaves_the_scene(reader, tmp_path):
    path = Path(write(tmp_path / "T.txt", "elastix", sitk_from_matrix(MATRIX)))
    path.write_text(path.read_text().replace("(TransformParameters", "(TransformParametres"))
    before = slicer.mrmlScene.GetNumberOfNodes()
    assert reader.load({"fileName": str(path)}) is False
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    (event, words) = reader.parent.messages[0]
    assert event == vtk.vtkCommand.ErrorEvent
    assert "T.txt" in words
    assert reader.parent.loadedNodes == []
