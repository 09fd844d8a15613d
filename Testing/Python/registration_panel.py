"""What the tests of the registration panel share: the panel with two scans, and runs that do what the test says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import vtk
from conftest import PROJECT
from panel_helpers import FakeProcess, add_scan

FOLDER = PROJECT / "MultimodalRegistration"


@pytest.fixture
def opened(slicer_app):
    return slicer_app.open_module(FOLDER, "MultimodalRegistration")


@pytest.fixture
def pair(slicer_app):
    return add_scan("scan A", "T1", seed=1), add_scan("scan B", "CT", size=(38, 40, 42), seed=2)


@pytest.fixture
def ready(slicer_app, pair):
    """The panel with two volumes chosen, and processes that do what the test says."""
    FakeProcess.made.clear()
    module = slicer_app.open_module(FOLDER, "MultimodalRegistration")
    module.widget.panel.make_process = FakeProcess
    return module


def folders(slicer_app):
    return list(Path(slicer_app.app.temporaryPath).glob("multimodal-registration-*"))


def start(slicer_app, module):
    """Press the button, and wait until the process was started; returns it."""
    before = len(FakeProcess.made)
    module.ui.registerButton.click()
    slicer_app.wait_for(lambda: len(FakeProcess.made) > before)
    return FakeProcess.made[-1]


def finish(slicer_app, module, **changes):
    FakeProcess.made[-1].finish(**changes)
    slicer_app.wait_for(lambda: not module.widget.panel.running)
    slicer_app.process_events(20)


def matrix_of(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToWorld(matrix)
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def shown(widget):
    return not widget.isHidden()
