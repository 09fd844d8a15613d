"""The module RegistrationPreprocess as a user meets it: checked, cut, cancelled, closed and loaded again."""

from __future__ import annotations

import os

import numpy as np
import pytest
import slicer
from conftest import CT_POSE, MR_POSE, PROJECT, centered_grid, rigid, rotation

pytest.importorskip("PySide6.QtWidgets")

from MultimodalRegistrationLib.geometry.frames import modelling_ras_from_resampling_lps
from MultimodalRegistrationLib.phantom import make_head
from test_mrml import add_parent, add_volume, ijk_to_world_ras, vtk_matrix

FOLDER = PROJECT / "RegistrationPreprocess"
NAME = "RegistrationPreprocess"
CT_SMALL = centered_grid(
    [60, 68, 38], [3.1, 3.1, 6.2], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
MR_SMALL = centered_grid([52, 48, 58], [3.6, 4.6, 3.5], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
PARENT_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])


@pytest.fixture(scope="session")
def small_head():
    return make_head("CT", CT_SMALL, CT_POSE, seed=1), make_head("T1", MR_SMALL, MR_POSE, seed=2)


@pytest.fixture
def nodes(slicer_app, small_head, truth_ct_to_mr_lps):
    """CT below a parent, MR, and the transform that brings the MR onto the CT where it lies."""
    scene = slicer_app.scene
    ct, mr = (add_volume(scene, volume, name) for volume, name in zip(small_head, ("CT", "MR"), strict=True))
    add_parent(scene, ct, PARENT_RAS)
    start = scene.AddNewNodeByClass("vtkMRMLTransformNode", "start")
    start.SetMatrixTransformToParent(vtk_matrix(PARENT_RAS @ modelling_ras_from_resampling_lps(truth_ct_to_mr_lps)))
    return ct, mr, start


@pytest.fixture
def opened(slicer_app, nodes):
    module = slicer_app.open_module(FOLDER, NAME)
    parameters = module.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = nodes[:2]
    parameters.prealignment = type(parameters.prealignment).TRANSFORM
    parameters.initialTransform = nodes[2]
    return module


def contents(scene):
    """What the scene holds, but for the parameters of the module."""
    every = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    return sorted(node.GetID() for node in every if not node.IsA("vtkMRMLScriptedModuleNode"))


def voxels(node):
    return slicer.util.arrayFromVolume(node)


def finish(slicer_app, opened, timeout_s=60):
    slicer_app.wait_for(lambda: not opened.widget.panel.running, timeout_s)
    assert (
        not os.listdir(slicer_app.app.temporaryPath)
        or [name for name in os.listdir(slicer_app.app.temporaryPath) if name.startswith("registration-preprocess")]
        == []
    )


def test_prepare_cuts_both_volumes_where_they_lie(slicer_app, opened, nodes):
    ct, mr, _ = nodes
    before = voxels(ct).copy(), ijk_to_world_ras(ct)
    opened.ui.applyButton.click()
    assert opened.ui.applyButton.text == "Cancel"
    finish(slicer_app, opened)
    assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
    chosen = opened.widget._parameterNode
    for original, copy in ((ct, chosen.preparedFixed), (mr, chosen.preparedMoving)):
        assert copy.GetImageData().GetNumberOfPoints() < original.GetImageData().GetNumberOfPoints()
        assert copy.GetParentTransformNode() is None
        index_of = np.linalg.inv(ijk_to_world_ras(original)) @ ijk_to_world_ras(copy)
        first = index_of[:3, 3]
        np.testing.assert_allclose(first, np.round(first), atol=1e-4)
        np.testing.assert_allclose(index_of[:3, :3], np.eye(3), atol=1e-6)
        i, j, k = np.round(first).astype(int)
        depth, height, width = voxels(copy).shape
        np.testing.assert_array_equal(voxels(copy), voxels(original)[k : k + depth, j : j + height, i : i + width])
    assert chosen.roi.GetDisplayNode().GetVisibility()
    assert "cut from" in opened.ui.factsLabel.text
    assert not opened.ui.resultCollapsibleButton.isHidden()
    np.testing.assert_array_equal(voxels(ct), before[0])
    np.testing.assert_array_equal(ijk_to_world_ras(ct), before[1])
