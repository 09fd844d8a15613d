"""The registration panel, in the stand-in for Slicer."""

from __future__ import annotations

import pytest
import slicer
from conftest import PROJECT

FOLDER = PROJECT / "MultimodalRegistration"


@pytest.fixture
def opened(slicer_app):
    return slicer_app.open_module(FOLDER, "MultimodalRegistration")


def test_opens(slicer_app, opened, tmp_path):
    from MultimodalRegistrationLib.mrml.phantom_pair import add_phantom_pair, pose_error_mm

    slicer_app.open_slice_views()
    mr, ct = add_phantom_pair(slicer.mrmlScene)
    opened.ui.fixedSelector.setCurrentNode(mr)
    opened.ui.movingSelector.setCurrentNode(ct)
    opened.ui.registerButton.click()
    print(opened.ui.messageLabel.text)
    slicer_app.process_events(9000)
    slicer_app.screenshot(opened.parent, "/tmp/wt/panel/c.png")
    slicer_app.wait_for(lambda: not opened.widget.panel.running, 200)
    print(opened.ui.messageLabel.text)
    slicer_app.screenshot(opened.parent, "/tmp/wt/panel/d.png")
    t = opened.widget._parameterNode.resultTransform
    print(t.GetName(), pose_error_mm(t), ct.GetParentTransformNode().GetName())
    opened.ui.checkerboardBox.click()
    slicer_app.process_events(500)
    print(
        [
            slicer.mrmlScene.GetNthNodeByClass(i, "vtkMRMLScalarVolumeNode").GetName()
            for i in range(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
        ]
    )
    opened.ui.checkerboardBox.click()
    opened.ui.hardenButton.click()
    opened.ui.invertButton.click()
    opened.ui.undoButton.click()
    print([slicer.mrmlScene.GetNthNode(i).GetName() for i in range(slicer.mrmlScene.GetNumberOfNodes())][-8:])
