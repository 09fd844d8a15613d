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
    from MultimodalRegistrationLib.mrml.phantom_pair import add_phantom_pair
    mr, ct = add_phantom_pair(slicer.mrmlScene)
    slicer_app.screenshot(opened.parent, "/tmp/wt/panel/a.png")
    print(opened.ui.registerButton.text, opened.ui.registerButton.enabled)
    opened.ui.fixedSelector.setCurrentNode(mr)
    opened.ui.movingSelector.setCurrentNode(ct)
    slicer_app.screenshot(opened.parent, "/tmp/wt/panel/b.png")
    print(opened.ui.registerButton.toolTip, opened.ui.registerButton.enabled)
