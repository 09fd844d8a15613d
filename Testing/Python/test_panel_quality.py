"""The quality panel in the stand-in for Slicer: known answers on the phantom, and nothing left behind."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
from conftest import CT_POSE, MR_POSE, PROJECT, centered_grid, rigid, rotation
from MultimodalRegistrationLib.geometry.frames import flip_matrix_lps_ras, flip_points_lps_ras
from MultimodalRegistrationLib.geometry.linear import apply_matrix
from MultimodalRegistrationLib.landmarks.points import LandmarkList
from MultimodalRegistrationLib.mrml.landmarks import add_landmark_node
from MultimodalRegistrationLib.mrml.quality_nodes import CONTENT_ATTRIBUTE
from MultimodalRegistrationLib.mrml.volumes import add_volume_node
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix
from MultimodalRegistrationLib.phantom import make_head, target_points_lps

FOLDER = PROJECT / "RegistrationQA"
PICTURES = PROJECT / "Testing" / "Screenshots"
CT_GRID = centered_grid(
    [42, 48, 26], [4.4, 4.4, 9.0], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
MR_GRID = centered_grid([35, 32, 40], [5.2, 6.8, 5.0], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
ERRORS_RAS = np.random.default_rng(4).normal(0, 0.5, (12, 3))
TRUTH_RAS = flip_matrix_lps_ras(CT_POSE @ np.linalg.inv(MR_POSE))
OFF_RAS = rigid([0, 0, 1], 0, [0, 3.0, 4.0]) @ TRUTH_RAS


@pytest.fixture(scope="module")
def heads():
    return make_head("CT", CT_GRID, CT_POSE, seed=1), make_head("T1", MR_GRID, MR_POSE, seed=2)


class Opened:
    """The panel with the phantom: its known pose, and one that is 5 mm off."""

    def __init__(self, app, heads, **names):
        self.app = app
        scene = slicer.mrmlScene
        self.fixed, self.moving = (
            add_volume_node(scene, volume, name=names.get(role, role))
            for role, volume in zip(("CT", "MR"), heads, strict=True)
        )
        points = target_points_lps(CT_POSE)[:12]
        labels = [f"P{n}" for n in range(12)]
        beside = points + flip_points_lps_ras(ERRORS_RAS)
        on_moving = apply_matrix(MR_POSE @ np.linalg.inv(CT_POSE), beside)
        self.targets = tuple(
            add_landmark_node(scene, LandmarkList.of_points("", where, labels), name=name)
            for where, name in ((points, "targets CT"), (on_moving, "targets MR"))
        )
        self.right, self.off = self.add_transform(TRUTH_RAS, "right"), self.add_transform(OFF_RAS, "5 mm off")
        self.points_ras = flip_points_lps_ras(points)
        self.module = app.open_module(FOLDER, "MultimodalRegistrationQA")
        self.ui = self.module.ui

    @property
    def parameters(self):
        return self.module.widget._parameterNode

    @property
    def panel(self):
        return self.module.widget.panel

    def add_transform(self, matrix_ras, name):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name)
        node.SetMatrixTransformToParent(vtk_from_matrix(matrix_ras))
        return node

    def fill_in(self):
        self.ui.fixedSelector.setCurrentNode(self.fixed)
        self.ui.movingSelector.setCurrentNode(self.moving)
        self.ui.fixedTargetsSelector.setCurrentNode(self.targets[0])
        self.ui.movingTargetsSelector.setCurrentNode(self.targets[1])
        self.tick("right", "5 mm off")

    def tick(self, *names):
        import qt

        self.app.process_events(20)
        rows = {self.ui.transformList.item(n).text(): n for n in range(self.ui.transformList.count)}
        for name in names:
            self.ui.transformList.item(rows[name]).setCheckState(qt.Qt.Checked)

    def measure(self):
        assert self.ui.measureButton.enabled, self.ui.missingLabel.text
        self.ui.measureButton.click()
        self.app.wait_for(lambda: not self.panel.running, 120)
        assert self.ui.messageLabel.text == ""

    def content(self):
        return json.loads(self.parameters.resultTable.GetAttribute(CONTENT_ATTRIBUTE))


@pytest.fixture
def opened(slicer_app, heads):
    slicer_app.open_slice_views()
    return Opened(slicer_app, heads)


def ids():
    return {slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())}


def cells(table):
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def test_known_answers_and_verdict_first(opened, tmp_path):
    opened.fill_in()
    opened.measure()
    ui, content = opened.ui, opened.content()
    opened.app.screenshot(opened.module.parent, "/tmp/wt/qapanel/after.png")
    assert ui.verdictLabel.text.startswith("GOOD")
    errors = np.linalg.norm(ERRORS_RAS, axis=1)
    table = cells(ui.methodTable)
    assert [row[:2] for row in table] == [["before", ""], ["1. right", "good"], ["2. 5 mm off", "bad"]]
    assert table[1][2] == f"{errors.mean():.2f}"
    worst = cells(ui.targetTable)[0]
    assert worst[:2] == [f"P{errors.argmax()}", f"{errors.max():.2f}"]
    np.testing.assert_allclose([float(text) for text in worst[2:]], ERRORS_RAS[errors.argmax()], atol=0.006)
    assert content["inputs"]["transform"] == ["right", "5 mm off"]
