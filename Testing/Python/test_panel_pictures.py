"""Pictures saved from the quality panel in the stand-in for Slicer."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from MultimodalRegistrationLib.application.result_views import center_views_on
from MultimodalRegistrationLib.application.slice_views import views_cross_at
from MultimodalRegistrationLib.mrml.placement import placement_in_world
from panel_helpers import assert_lively, scene_content
from registration_panel import folders
from StandIn.blocks import BlockMeter
from test_panel_quality import Opened, heads, opened  # noqa: F401


def save(opened, path):  # noqa: F811
    opened.app.dialog_answers.append(str(path))
    opened.ui.pictureButton.click()
    opened.app.wait_for(lambda: not opened.panel.running, 60)


def pixels(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_a_picture_where_the_views_cross(opened, tmp_path):  # noqa: F811
    opened.fill_in()
    center_views_on(opened.points_ras[3])
    np.testing.assert_allclose(views_cross_at(), opened.points_ras[3], atol=1e-6)
    before = scene_content()
    assert opened.ui.pictureTransformBox.currentText == "right"
    with BlockMeter() as meter:
        save(opened, tmp_path / "a")
    assert_lively(meter)
    assert opened.ui.messageLabel.text == f"Saved: {tmp_path / 'a.png'}."
    assert scene_content() == before
    assert folders(opened.app) == []
    first = pixels(tmp_path / "a.png")
    # The same picture when the transform is applied to the moving volume; another one elsewhere, and otherwise.
    opened.moving.SetAndObserveTransformNodeID(opened.right.GetID())
    save(opened, tmp_path / "b.png")
    np.testing.assert_array_equal(pixels(tmp_path / "b.png"), first)
    assert placement_in_world(opened.moving).matrix_ras is not None
    opened.ui.pictureAtBox.setCurrentIndex(1)
    opened.ui.pictureModeBox.setCurrentIndex(1)
    opened.ui.pictureFieldBox.value = 80
    assert (opened.parameters.pictureAt, opened.parameters.pictureMode) == ("center", "checkerboard")
    save(opened, tmp_path / "c.png")
    assert first.shape != pixels(tmp_path / "c.png").shape or (pixels(tmp_path / "c.png") != first).any()


def test_what_cannot_be_drawn_or_saved_is_told(opened, tmp_path):  # noqa: F811
    assert not opened.ui.pictureButton.enabled
    opened.fill_in()
    opened.app.dialog_answers.append("")
    opened.ui.pictureButton.click()
    assert not opened.panel.running
    assert opened.ui.messageLabel.text == ""
    center_views_on([4000, 0, 0])
    save(opened, tmp_path / "far.png")
    assert "the point where the slice views cross" in opened.ui.messageLabel.text
    assert "is outside of the fixed volume" in opened.ui.messageLabel.text
    center_views_on(opened.points_ras[0])
    save(opened, tmp_path / "no folder" / "a.png")
    assert "no folder" in opened.ui.messageLabel.text
    assert list(tmp_path.iterdir()) == []
    assert folders(opened.app) == []


def test_a_picture_is_cancelled(opened, tmp_path):  # noqa: F811
    opened.fill_in()
    opened.app.dialog_answers.append(str(tmp_path / "a.png"))
    opened.ui.pictureButton.click()
    assert opened.ui.measureButton.text == "Cancel"
    assert opened.ui.pictureButton.toolTip.startswith("Wait for what is running")
    opened.ui.measureButton.click()
    assert opened.ui.messageLabel.text == "Cancelled; the scene is as it was."
    opened.app.process_events(50)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("views", [0, 1])
def test_views_that_do_not_cross(slicer_app, heads, views, tmp_path):  # noqa: F811
    if views:
        slicer_app.open_slice_views()
        layout = slicer.app.layoutManager()
        for name in layout.sliceViewNames():
            layout.sliceWidget(name).mrmlSliceNode().SetOrientationToAxial()
    assert views_cross_at() is None
    opened = Opened(slicer_app, heads)  # noqa: F811
    opened.fill_in()
    save(opened, tmp_path / "a.png")
    assert (tmp_path / "a.png").exists(), opened.ui.messageLabel.text
