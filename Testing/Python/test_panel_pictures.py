"""Pictures saved from the quality panel in the stand-in for Slicer."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from conftest import SCREENSHOTS
from MultimodalRegistrationLib.application.result_views import center_views_on
from MultimodalRegistrationLib.application.slice_views import views_cross_at
from panel_helpers import assert_lively, scene_content
from registration_panel import folders
from StandIn.blocks import BlockMeter
from test_panel_quality import Opened, heads, opened  # noqa: F401


def save(opened, path):  # noqa: F811
    opened.app.dialog_answers.append(str(path))
    opened.ui.pictureButton.click()
    opened.app.wait_for(lambda: not opened.panel.running, 60)
    return pixels(path) if path.exists() else None


def pixels(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.story("U36")
def test_a_picture_where_the_views_cross(opened, tmp_path):  # noqa: F811
    opened.fill_in()
    center_views_on(opened.points_ras[3])
    np.testing.assert_allclose(views_cross_at(), opened.points_ras[3], atol=1e-6)
    opened.ui.pictureCollapsibleButton.collapsed = False
    opened.app.screenshot(opened.module.parent, SCREENSHOTS / "qa-pictures.png")
    before = scene_content()
    assert opened.ui.pictureTransformBox.currentText == "right"
    with BlockMeter() as meter:
        save(opened, tmp_path / "a")
    assert_lively(meter)
    assert opened.ui.messageLabel.text == f"Saved: {tmp_path / 'a.png'}."
    assert scene_content() == before
    assert folders(opened.app) == []
    first = pixels(tmp_path / "a.png")
    # The same picture when the transform is applied to the moving volume.
    opened.moving.SetAndObserveTransformNodeID(opened.right.GetID())
    assert_same(save(opened, tmp_path / "applied.png"), first)
    opened.moving.SetAndObserveTransformNodeID(None)
    # Each of the choices changes it.
    for box, index, parameter, value in (
        (opened.ui.pictureAtBox, 1, "pictureAt", "center"),
        (opened.ui.pictureModeBox, 1, "pictureMode", "checkerboard"),
        (opened.ui.pictureTransformBox, 1, None, None),
    ):
        box.setCurrentIndex(index)
        assert parameter is None or getattr(opened.parameters, parameter) == value
        other = save(opened, tmp_path / "other.png")
        assert other.shape == first.shape
        assert (other != first).mean() > 0.02
        box.setCurrentIndex(0)
    opened.ui.pictureFieldBox.value = 80
    part = save(opened, tmp_path / "part.png")
    assert part.shape != first.shape or (part != first).mean() > 0.02
    opened.ui.pictureFieldBox.value = 0
    assert_same(save(opened, tmp_path / "again.png"), first)
    # Measuring needs more than a picture does.
    opened.ui.movingTargetsSelector.setCurrentNode(None)
    assert not opened.ui.measureButton.enabled
    assert opened.ui.pictureButton.enabled


def assert_same(one, other):
    np.testing.assert_array_equal(one, other)


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


def test_views_that_do_not_cross(opened, tmp_path):  # noqa: F811
    opened.fill_in()
    opened.ui.pictureAtBox.setCurrentIndex(1)
    center = save(opened, tmp_path / "center.png")
    opened.ui.pictureAtBox.setCurrentIndex(0)
    layout = slicer.app.layoutManager()
    nodes = [layout.sliceWidget(name).mrmlSliceNode() for name in layout.sliceViewNames()]
    for node in nodes:
        node.SetOrientationToAxial()
    assert views_cross_at() is None
    assert_same(save(opened, tmp_path / "views.png"), center)


def test_views_that_are_not_shown_do_not_count(opened):  # noqa: F811
    layout = slicer.app.layoutManager()
    nodes = [layout.sliceWidget(name).mrmlSliceNode() for name in layout.sliceViewNames()]
    center_views_on([10, 20, 30])
    np.testing.assert_allclose(views_cross_at(), [10, 20, 30], atol=1e-6)
    nodes[0].SetMappedInLayout(0)
    assert views_cross_at() is None


def test_no_views_and_the_centre(slicer_app, heads, tmp_path):  # noqa: F811
    assert views_cross_at() is None
    without = Opened(slicer_app, heads)
    without.fill_in()
    assert save(without, tmp_path / "a.png") is not None, without.ui.messageLabel.text


@pytest.mark.parametrize("what", ["moving", "panel"])
def test_something_goes_while_the_file_is_chosen(opened, tmp_path, monkeypatch, what):  # noqa: F811
    import qt

    opened.fill_in()

    def choose(*_arguments):
        if what == "panel":
            opened.module.widget.cleanup()
        else:
            slicer.mrmlScene.RemoveNode(opened.moving)
        return str(tmp_path / "a.png")

    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", choose)
    opened.ui.pictureButton.click()
    opened.app.process_events(50)
    assert not opened.panel.running
    if what == "moving":
        assert "MR: it was removed from the scene meanwhile" in opened.ui.messageLabel.text
    assert list(tmp_path.iterdir()) == []
    assert folders(opened.app) == []


def test_another_picture_is_replaced_only_when_asked(opened, tmp_path, monkeypatch):  # noqa: F811
    opened.fill_in()
    (tmp_path / "a.png").write_text("other")
    asked = []
    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", lambda words, **_: asked.append(words))
    opened.app.dialog_answers.append(str(tmp_path / "a"))
    opened.ui.pictureButton.click()
    assert not opened.panel.running
    assert asked == ["a.png exists already. Replace it?"]
    assert (tmp_path / "a.png").read_text() == "other"


def test_a_full_disk_is_told(opened, tmp_path, monkeypatch):  # noqa: F811
    import errno
    import shutil

    def full(_source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    opened.fill_in()
    monkeypatch.setattr(shutil, "copyfile", full)
    save(opened, tmp_path / "a.png")
    assert "No space left on device" in opened.ui.messageLabel.text
    assert list(tmp_path.iterdir()) == []
