"""What the slice views show after each action, in every mode; and that everything is given back."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from conftest import PROJECT, rigid
from MultimodalRegistrationLib.mrml.overlay_volumes import ContourVolume, otsu_thresholds
from MultimodalRegistrationLib.mrml.scene_nodes import window_of_content
from MultimodalRegistrationLib.mrml.volumes import add_volume_node
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix
from panel_helpers import MOVING_TO_FIXED_RAS, add_scan, add_voxels, assert_lively, grid
from registration_panel import finish, matrix_of, opened, pair, ready, start  # noqa: F401
from seen_state import assert_views_as_before, snapshot
from StandIn.blocks import BlockMeter

OBLIQUE_RAS = rigid([0.3, 1, -0.2], 35, [60, -40, 90])


def widgets():
    layout = slicer.app.layoutManager()
    return [layout.sliceWidget(name) for name in layout.sliceViewNames()]


def normals(node=None):
    """Of the planes of the views, or the axes of a volume in the world."""
    if node is None:
        return [matrix_from_vtk(widget.mrmlSliceNode().GetSliceToRAS())[:3, 2] for widget in widgets()]
    axes = matrix_from_vtk(ijk_to_ras(node))[:3, :3]
    return list((axes / np.linalg.norm(axes, axis=0)).T)


def ijk_to_ras(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def foreground():
    return slicer.mrmlScene.GetNodeByID(widgets()[0].mrmlSliceCompositeNode().GetForegroundVolumeID() or "")


@pytest.fixture
def seen(slicer_app, ready, pair):  # noqa: F811
    """The panel with views that were turned to the oblique moving volume when it was loaded."""
    slicer_app.open_slice_views()
    for node in pair:
        node.CreateDefaultDisplayNodes()
    moving = pair[1]
    moving.SetIJKToRASMatrix(vtk_from_matrix(OBLIQUE_RAS @ matrix_from_vtk(ijk_to_ras(moving))))
    for widget in widgets():
        widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(moving.GetID())
        widget.mrmlSliceNode().RotateToVolumePlane(moving)
        widget.fitSliceToBackground()
    return ready


def run(slicer_app, module):
    start(slicer_app, module)
    finish(slicer_app, module)
    slicer_app.process_events(50)


def assert_arranged(fixed):
    """Views are in the planes of the fixed volume, each axis once, and show the whole of it around its middle."""
    agreement = np.abs(np.array(normals()) @ np.array(normals(fixed)).T)
    np.testing.assert_allclose(np.sort(agreement.ravel())[-3:], 1, atol=1e-6)
    assert sorted(np.argmax(agreement, axis=1)) == [0, 1, 2]
    bounds = np.empty(6)
    fixed.GetRASBounds(bounds)
    middle, size = (bounds[::2] + bounds[1::2]) / 2, bounds[1::2] - bounds[::2]
    for widget in widgets():
        plane = widget.mrmlSliceNode()
        off = matrix_from_vtk(plane.GetSliceToRAS())[:3, 3] - middle
        assert np.linalg.norm(off) < 0.5 * np.linalg.norm(size)
        assert min(plane.GetFieldOfView()[:2]) > 0.6 * size.min()
        assert max(plane.GetFieldOfView()[:2]) < 3 * size.max()


def test_after_a_run_the_views_are_turned_and_fitted_to_the_fixed_volume(slicer_app, seen, pair):  # noqa: F811
    fixed_ras = rigid([0.2, -0.4, 1], 25, [10, 30, -20]) @ matrix_from_vtk(ijk_to_ras(pair[0]))
    pair[0].SetIJKToRASMatrix(vtk_from_matrix(fixed_ras))
    agreement = np.abs(np.array(normals()) @ np.array(normals(pair[0])).T)
    assert agreement.max() < 0.999, "the views were turned to the moving volume"
    for widget in widgets():
        # So far in that little of it is seen.
        widget.mrmlSliceNode().SetFieldOfView(20, 15, 1)
    run(slicer_app, seen)
    assert_arranged(pair[0])
    assert all(widget.mrmlSliceCompositeNode().GetLinkedControl() for widget in widgets())


def window_of(volume):
    display = volume.GetDisplayNode()
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def test_the_window_of_colours_leaves_the_air_of_a_ct_black(slicer_app, head_ct):
    volume = add_volume_node(slicer.mrmlScene, head_ct, name="ct")
    assert window_of_content(volume) == (-200, 400)


def test_a_window_that_the_user_chose_is_kept_in_colour(slicer_app, seen, pair):  # noqa: F811
    pair[1].GetDisplayNode().SetAutoWindowLevel(False)
    pair[1].GetDisplayNode().SetWindowLevelMinMax(-900, 1500)
    run(slicer_app, seen)
    assert window_of(foreground()) == pytest.approx((-900, 1500))


def test_the_modes_of_the_row_show_what_they_say(slicer_app, seen, pair):  # noqa: F811
    run(slicer_app, seen)
    ui, moving = seen.ui, pair[1]
    layers, plane = widgets()[0].mrmlSliceCompositeNode(), widgets()[0].mrmlSliceNode()
    own = moving.GetDisplayNode().GetColorNodeID()
    assert ui.colorButton.checked, "grey on grey shows little"
    warm = foreground().GetDisplayNode().GetColorNode().GetLookupTable()
    assert warm.GetTableValue(0)[:3] == (0.0, 0.0, 0.0), "air has no colour"
    assert foreground().GetDisplayNode().GetColorNode().GetName() == "warm"
    assert window_of(foreground()) == pytest.approx(window_of_content(moving))
    ui.greyButton.click()
    assert foreground().GetDisplayNode().GetColorNodeID() == own
    assert window_of(foreground()) == pytest.approx(window_of(moving))
    assert (ui.greyButton.checked, ui.colorButton.checked) == (True, False)
    ui.edgesButton.click()
    slicer_app.wait_for(lambda: layers.GetLabelVolumeID() is not None)
    labels = slicer.mrmlScene.GetNodeByID(layers.GetLabelVolumeID())
    assert plane.GetUseLabelOutline()
    assert layers.GetForegroundOpacity() == 0.0
    np.testing.assert_allclose(matrix_of(labels.GetParentTransformNode()), matrix_of(moving.GetParentTransformNode()))
    ui.checkerboardButton.click()
    slicer_app.wait_for(lambda: "checkerboard" in foreground().GetName())
    assert layers.GetLabelVolumeID() is None
    assert not plane.GetUseLabelOutline()
    ui.colorButton.click()
    assert foreground().GetDisplayNode().GetColorNode().GetName() == "warm"
    assert moving.GetDisplayNode().GetColorNodeID() == own


def test_before_is_shown_while_the_button_is_held(slicer_app, seen):
    run(slicer_app, seen)
    button = seen.ui.beforeButton
    assert "Alt+5" in button.toolTip
    np.testing.assert_allclose(matrix_of(foreground().GetParentTransformNode()), MOVING_TO_FIXED_RAS, atol=1e-9)
    button._qt.pressed.emit()
    np.testing.assert_allclose(matrix_of(foreground().GetParentTransformNode()), np.eye(4), atol=1e-9)
    button._qt.released.emit()
    np.testing.assert_allclose(matrix_of(foreground().GetParentTransformNode()), MOVING_TO_FIXED_RAS, atol=1e-9)


def test_a_hardened_volume_is_not_moved_twice(slicer_app, seen, pair):  # noqa: F811
    run(slicer_app, seen)
    seen.ui.hardenButton.click()
    np.testing.assert_allclose(matrix_of(foreground().GetParentTransformNode()), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(matrix_from_vtk(ijk_to_ras(foreground())), matrix_from_vtk(ijk_to_ras(pair[1])))


def test_a_run_that_ends_in_another_module_leaves_the_views_alone(slicer_app, seen, pair):  # noqa: F811
    before = snapshot()
    start(slicer_app, seen)
    seen.exit()
    finish(slicer_app, seen)
    slicer_app.process_events(50)
    assert_views_as_before(snapshot(), before)
    seen.enter()
    slicer_app.process_events(50)
    assert_arranged(pair[0])


@pytest.mark.parametrize("module", ["MultimodalRegistration", "FiducialPrealign", "MultimodalRegistrationQA"])
def test_the_views_begin_in_colour_and_not_grey_on_grey(slicer_app, module):
    slicer_app.open_slice_views()
    folder = "RegistrationQA" if module == "MultimodalRegistrationQA" else module
    ui = slicer_app.open_module(PROJECT / folder, module).ui
    assert ui.colorButton.checked
    assert not ui.greyButton.checked
    moving, fixed = add_scan("moving"), add_scan("fixed", seed=2)
    from MultimodalRegistrationLib.panels.common.comparison import COLOR, Comparison

    comparison = Comparison()
    comparison.show(fixed, moving, [], None)
    assert comparison.mode == COLOR
    assert foreground().GetDisplayNode().GetColorNode().GetName() == "warm"
    comparison.hide()


def test_fade_shows_the_result_first_where_the_views_show_something_else(slicer_app, seen, pair):  # noqa: F811
    """As after a scene was loaded that was saved in another module: there is a result, and nothing over the volume."""
    run(slicer_app, seen)
    seen.widget.panel._result.comparison.hide()
    assert foreground() is None
    seen.ui.fadeSlider.value = 0.3
    layers = widgets()[0].mrmlSliceCompositeNode()
    assert layers.GetBackgroundVolumeID() == pair[0].GetID()
    np.testing.assert_allclose(matrix_of(foreground().GetParentTransformNode()), MOVING_TO_FIXED_RAS, atol=1e-9)
    assert layers.GetForegroundOpacity() == pytest.approx(0.3)


@pytest.mark.parametrize("saved_in", ["registration", "quality"])
def test_fade_works_after_a_scene_with_a_result_was_loaded(slicer_app, seen, tmp_path, saved_in):
    run(slicer_app, seen)
    if saved_in == "quality":
        seen.exit()
        slicer_app.open_module(PROJECT / "RegistrationQA", "MultimodalRegistrationQA").exit()
        assert foreground() is None
    saved = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(saved)
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(saved)
    if saved_in == "quality":
        seen.enter()
    slicer_app.process_events(50)
    fixed = slicer.util.getNode("scan A")
    assert widgets()[0].mrmlSliceCompositeNode().GetBackgroundVolumeID() == fixed.GetID()
    np.testing.assert_allclose(matrix_of(foreground().GetParentTransformNode()), MOVING_TO_FIXED_RAS, atol=1e-9)
    seen.ui.fadeSlider.value = 0.8
    assert widgets()[0].mrmlSliceCompositeNode().GetForegroundOpacity() == pytest.approx(0.8)


def test_loading_a_volume_turns_the_views_of_the_stand_in(slicer_app, tmp_path, pair):  # noqa: F811
    slicer_app.open_slice_views()
    moving = pair[1]
    moving.SetIJKToRASMatrix(vtk_from_matrix(OBLIQUE_RAS @ matrix_from_vtk(ijk_to_ras(moving))))
    assert slicer.util.saveNode(moving, str(tmp_path / "oblique.nrrd"))
    loaded = slicer.util.loadVolume(str(tmp_path / "oblique.nrrd"))
    agreement = np.abs(np.array(normals()) @ np.array(normals(loaded)).T)
    np.testing.assert_allclose(np.sort(agreement.ravel())[-3:], 1, atol=1e-6)
    assert widgets()[0].mrmlSliceCompositeNode().GetBackgroundVolumeID() == loaded.GetID()


def test_the_module_tests_its_views(slicer_app):
    slicer_app.open_slice_views()
    module = slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration")
    import MultimodalRegistration

    test = MultimodalRegistration.MultimodalRegistrationTest()
    test.setUp()
    test.test_panel_width()
    test.test_views()
    module.close()


def test_thresholds_lie_between_the_groups():
    values = np.concatenate([np.full(500, 0.0), np.full(300, 10.0), np.full(150, 20.0), np.full(50, 40.0)])
    low, middle, high = otsu_thresholds(values, 3)
    assert 0 < low <= 10 < middle <= 20 < high <= 40
    assert otsu_thresholds(np.full(100, 7.0), 3) == []


def test_outlines_of_a_ball_lie_on_its_surface(slicer_app):
    """Radius 30 mm in a volume with other voxels in each direction."""
    own = grid((60, 50, 40), (1.5, 2.0, 2.5), (5.0, -8.0, 12.0))
    k, j, i = np.indices((40, 50, 60))
    away = np.stack([(i - 29.5) * 1.5, (j - 24.5) * 2.0, (k - 19.5) * 2.5])
    ball = np.linalg.norm(away, axis=0) < 30
    node = add_voxels("ball", np.where(ball, 1000.0, 0.0).astype(np.float32), own)
    contours = ContourVolume(node)
    for _ in contours.make():
        pass
    labels = slicer.util.arrayFromVolume(contours.add())
    # Voxels whose middle is further from the surface than a voxel are on the right side of it.
    distance = np.linalg.norm(away, axis=0)
    assert (labels[distance < 26] > 0).all()
    assert (labels[distance > 34] == 0).all()
    contours.remove()
    assert not slicer.util.getNodes("*outlines*")


def test_no_mode_blocks_the_window_on_large_volumes(slicer_app, ready):  # noqa: F811
    """512 x 512 x 400 voxels of each."""
    slicer_app.open_slice_views()
    voxels = np.zeros((400, 512, 512), dtype=np.int16)
    voxels[100:300, 128:384, 128:384] = 1000
    large = grid((512, 512, 400), (0.6, 0.6, 0.8), (0.0, 0.0, 0.0))
    fixed = add_voxels("large fixed", voxels, large)
    moving = add_voxels("large moving", voxels, large)
    del voxels
    slicer_app.process_events(20)
    parameters = ready.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = fixed, moving
    from MultimodalRegistrationLib.mrml.scene_nodes import add_display_node
    from MultimodalRegistrationLib.panels.common.comparison import CHECKERBOARD, COLOR, EDGES, GREY, Comparison

    for node in (fixed, moving):
        add_display_node(node)
    comparison = Comparison()
    layers = widgets()[0].mrmlSliceCompositeNode()
    with BlockMeter() as meter:
        slicer_app.process_events(50)
        comparison.show(fixed, moving, [], None)
        slicer_app.process_events(50)
        for mode, done in (
            (GREY, lambda: True),
            (EDGES, lambda: layers.GetLabelVolumeID() is not None),
            (CHECKERBOARD, lambda: "checkerboard" in foreground().GetName()),
            (COLOR, lambda: True),
        ):
            comparison.set_mode(mode)
            slicer_app.wait_for(done, 120)
        comparison.show_before(True)
        slicer_app.process_events(20)
        comparison.hide()
        slicer_app.process_events(20)
    assert_lively(meter)


@pytest.mark.parametrize("angle_deg", [0.0, 3.0, 40.0])
def test_how_far_a_view_is_off_the_planes_of_a_volume(pair, angle_deg):  # noqa: F811
    from MultimodalRegistrationLib.mrml.views import degrees_off_planes

    volume, plane = pair[0], slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", "view")
    volume.SetIJKToRASMatrix(vtk_from_matrix(OBLIQUE_RAS @ matrix_from_vtk(ijk_to_ras(volume))))
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent.SetMatrixTransformToParent(vtk_from_matrix(rigid([1, 0.2, 0.5], 25, [3, 4, 5])))
    volume.SetAndObserveTransformNodeID(parent.GetID())
    axes = rigid([1, 0.2, 0.5], 25, [0, 0, 0]) @ OBLIQUE_RAS
    turned = axes @ rigid([1, 0, 0], angle_deg, [0, 0, 0])
    plane.GetSliceToRAS().DeepCopy(vtk_from_matrix(turned))
    assert degrees_off_planes(plane, volume) == pytest.approx(angle_deg, abs=1e-4)
