"""How wide the panels force the dock of the application, in any state."""

from __future__ import annotations

import pytest
from conftest import PROJECT

WIDEST_PX = 400
MODULES = {
    "MultimodalRegistration": "MultimodalRegistration",
    "FiducialPrealign": "FiducialPrealign",
    "RegistrationPreprocess": "RegistrationPreprocess",
    "MultimodalRegistrationQA": "RegistrationQA",
}
LONG_NAME = "T1 weighted after contrast agent, second examination, resampled and corrected"


def needed_width(panel):
    return panel._qt.minimumSizeHint().width()


def show_everything(panel):
    """Open all sections and show what is hidden until there is something to show."""
    from PySide6.QtWidgets import QLabel, QWidget

    for widget in panel._qt.findChildren(QWidget):
        if widget.objectName() and not widget.isWindow() and not widget.objectName().startswith("qt_"):
            widget.setVisible(True)
        if type(widget).__name__ == "ctkCollapsibleButton":
            widget.setProperty("collapsed", False)
        if isinstance(widget, QLabel) and widget.wordWrap() and not widget.text():
            widget.setText(f"{LONG_NAME}: some words about it, and what to do.")


@pytest.mark.parametrize("name", MODULES)
def test_no_panel_forces_the_dock_wide(slicer_app, name):
    import slicer

    for kind in ("vtkMRMLScalarVolumeNode", "vtkMRMLTransformNode", "vtkMRMLMarkupsFiducialNode"):
        slicer.mrmlScene.AddNewNodeByClass(kind, LONG_NAME)
    opened = slicer_app.open_module(PROJECT / MODULES[name], name)
    slicer_app.process_events()
    closed = needed_width(opened.parent)
    show_everything(opened.parent)
    slicer_app.process_events()
    everything = needed_width(opened.parent)
    print(f"{name}: {closed} px, everything open {everything} px")
    assert max(closed, everything) <= WIDEST_PX
