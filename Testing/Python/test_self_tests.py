"""The modules test themselves in the application; here, in the stand-in, with slice views and a main window."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

if not os.environ.get("CI"):
    pytest.importorskip("PySide6.QtWidgets", reason="the panels need Qt")
    pytest.importorskip("slicer", reason="the panels need MRML")
import slicer
import vtk
from conftest import PROJECT

MODULES = {
    "FiducialPrealign": "FiducialPrealign",
    "MultimodalRegistration": "MultimodalRegistration",
    "MultimodalRegistrationQA": "RegistrationQA",
    "RegistrationPreprocess": "RegistrationPreprocess",
}


WITH = {"views": True, "no-main-window": False}
CHILD = "SELF_TEST_IN_THIS_PROCESS"


@pytest.mark.parametrize("window", WITH)
@pytest.mark.parametrize("name", MODULES)
def test_a_module_tests_itself(name, window):
    """In a process of its own, as in the application, which says where it crashed if it does."""
    this = f"{__file__}::test_in_this_process[{name}-{window}]"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", this],
        capture_output=True,
        text=True,
        env={**os.environ, CHILD: "1"},
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(CHILD not in os.environ, reason="run by the test above")
@pytest.mark.parametrize("window", WITH)
@pytest.mark.parametrize("name", MODULES)
def test_in_this_process(name, window, slicer_app, caplog):
    views = WITH[window]
    if views:
        slicer_app.open_slice_views()
        slicer_app.open_main_window()
    module = slicer_app.open_module(PROJECT / MODULES[name], name)
    if not views:
        module.parent.hide()
    with caplog.at_level(logging.INFO):
        slicer.selfTests[name]()
    (said,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith(f"{name}, checked:")]
    assert "no errors in the log" in said
    assert "nothing is left of the closed scene" in said
    assert "No test is defined" not in caplog.text
    module.close()


def test_an_error_in_the_log_fails_a_self_test(slicer_app):
    from MultimodalRegistrationLib.application.panel_walk import PanelWalk

    slicer_app.open_module(PROJECT / "FiducialPrealign", "FiducialPrealign")
    vtk.vtkOutputWindow.GetInstance().DisplayErrorText("before the walk")
    walk = PanelWalk("FiducialPrealign")
    walk.check(True, "something")
    walk.end()
    vtk.vtkOutputWindow.GetInstance().DisplayErrorText("Invalid scene given")
    with pytest.raises(AssertionError, match="Invalid scene given"):
        walk.end()
