"""Which volumes and masks the registration panel hands over, and where they lie."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
import vtk
from panel_helpers import (
    MOVING_TO_FIXED_RAS,
    FakeProcess,
    add_voxels,
    grid,
)
from registration_panel import finish, folders, start

pytest.importorskip("PySide6.QtWidgets")
pytest_plugins = ["registration_panel"]


def test_odd_volumes(slicer_app, opened):
    FakeProcess.made.clear()
    opened.widget.panel.make_process = FakeProcess
    voxels = np.random.default_rng(3).normal(size=(20, 21, 22)).astype(np.float32)
    voxel_grid = grid((22, 21, 20), (8.0, 8.0, 8.0), (0, 0, 0))
    long_name = "a very long name " * 40
    nodes = [add_voxels(name, voxels, voxel_grid) for name in (long_name, long_name, "x")]
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = nodes[:2]
    start(slicer_app, opened)
    finish(slicer_app, opened)
    assert nodes[1].GetParentTransformNode() is parameters.resultTransform
    parameters.movingVolume = empty
    opened.ui.registerButton.click()
    assert opened.ui.messageLabel.text == "empty: the volume holds no voxels. Load its data first."
    labels = add_voxels("labels", (voxels > 0).astype(np.uint8), voxel_grid, "vtkMRMLLabelMapVolumeNode")
    parameters.movingVolume = labels
    opened.ui.registerButton.click()
    assert opened.ui.messageLabel.text.startswith("labels: this is a label map")
    assert folders(slicer_app) == []


@pytest.mark.story("U24")
def test_volumes_under_linear_and_other_parents_are_written_where_they_lie(slicer_app, ready, pair):
    from MultimodalRegistrationLib.io.volumes import read_volume
    from MultimodalRegistrationLib.mrml.volumes import volume_from_node

    linear = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "linear")
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(MOVING_TO_FIXED_RAS.ravel())
    linear.SetMatrixTransformToParent(matrix)
    pair[0].SetAndObserveTransformNodeID(linear.GetID())
    warp = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        place = 80.0 * np.array(corner) - 40
        points[0].InsertNextPoint(place)
        points[1].InsertNextPoint(place * 1.1 + [0, 0, 0.1 * place[0] * place[1] / 40])
    warp.SetSourceLandmarks(points[0])
    warp.SetTargetLandmarks(points[1])
    warp.SetBasisToR()
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    other.SetAndObserveTransformToParent(warp)
    pair[1].SetAndObserveTransformNodeID(other.GetID())
    process = start(slicer_app, ready)
    for option, node in (("--fixed", pair[0]), ("--moving", pair[1])):
        written, expected = read_volume(process.file(option)), volume_from_node(node)
        np.testing.assert_allclose(written.grid.ijk_to_lps, expected.grid.ijk_to_lps, atol=1e-9)
        np.testing.assert_allclose(written.voxels, expected.voxels, atol=1e-3)
    ready.ui.registerButton.click()


@pytest.mark.story("U24")
def test_masks_of_segments_and_label_maps(slicer_app, ready, pair):
    import SimpleITK as sitk

    fixed, _ = pair
    voxels = slicer.util.arrayFromVolume(fixed)
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    labels[10:30, 10:25, 8:20] = 1
    matrix = vtk.vtkMatrix4x4()
    fixed.GetIJKToRASMatrix(matrix)
    label_map = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "marked")
    label_map.Copy(fixed)
    label_map.SetName("marked")
    slicer.util.updateVolumeFromArray(label_map, labels)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segments")
    segmentation.CreateDefaultDisplayNodes()
    slicer_app.logics["Segmentations"].ImportLabelmapToSegmentationNode(label_map, segmentation)
    parameters = ready.widget._parameterNode
    parameters.fixedMask = segmentation
    parameters.movingMask = label_map
    process = start(slicer_app, ready)
    for option in ("--fixed-mask", "--moving-mask"):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(process.file(option)))), labels)
    finish(slicer_app, ready)
    content = json.loads(parameters.resultTransform.GetAttribute("MultimodalRegistration.Settings"))
    assert content["inputs"]["fixed_mask"] == "segments"
