"""The surfaces of both volumes in the 3D view: where they lie, what the arrows say, and that all is given back."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from conftest import rigid
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.surfaces import polydata_of_surface, simplified, surface_of_mask, surface_of_polydata
from MultimodalRegistrationLib.mrml.scene_nodes import add_display_node, nodes_of_class
from MultimodalRegistrationLib.mrml.surface_comparison import SurfaceComparison
from MultimodalRegistrationLib.mrml.volumes import grid_of_node, volume_from_node
from MultimodalRegistrationLib.mrml.vtk_arrays import transform_points, vtk_from_matrix
from MultimodalRegistrationLib.preprocess.visible_surface import coarse_volume, visible_surface
from panel_helpers import MOVING_TO_FIXED_RAS, add_voxels, assert_lively, grid, scene_state
from registration_panel import finish, pair, ready, shown, start  # noqa: F401
from seen_state import assert_given_back, expect_moved, snapshot
from StandIn.blocks import BlockMeter
from test_panel_prealign import fill, panel  # noqa: F401
from test_panel_prealign import points as landmarks  # noqa: F401
from test_panel_quality import heads  # noqa: F401
from test_panel_quality import opened as quality  # noqa: F401
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

RADIUS_MM = 60.0
CENTER = np.array([12.0, -30.0, 25.0])
# No symmetry: another pose lies elsewhere.
BALLS = [(CENTER, RADIUS_MM), (np.add(CENTER, (55, 20, 10)), 35.0), (np.add(CENTER, (-20, 15, 60)), 30.0)]
MIDDLE = np.add(CENTER, (10, 5, 10))
# Oblique, with thick slices, mirrored: about 240 mm along each axis.
SIZE = (120, 110, 60)
IJK_TO_RAS = rigid([0.4, 1, 0.3], 25, [0, 0, 0]) @ np.diag([2.0, -2.2, 4.0, 1.0])
IJK_TO_RAS[:3, 3] = MIDDLE - IJK_TO_RAS[:3, :3] @ (np.array(SIZE) - 1) / 2
VOXEL_MM = 4.0


def off_mm(points, balls=BALLS):
    """Distance of points from the surface of balls that overlap; negative inside."""
    return np.min([np.linalg.norm(points - center, axis=1) - radius for center, radius in balls], axis=0)


def add_balls(name, ijk_to_ras=IJK_TO_RAS, size=SIZE, shape_to_own=np.eye(4), balls=BALLS, values=(0, 900)):  # noqa: B008
    """A volume of balls that are moved by a matrix into its own coordinates."""
    k, j, i = np.indices(size[::-1]).reshape(3, -1)
    points = np.column_stack([i, j, k, np.ones(len(i))]) @ (np.linalg.inv(shape_to_own) @ ijk_to_ras).T
    voxels = np.where(off_mm(points[:, :3], balls) < 0, values[1], values[0])
    # Without noise, a constant at the border would be padding.
    voxels = (voxels + np.random.default_rng(1).integers(0, 20, voxels.shape)).astype(np.int16)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    image = vtk.vtkImageData()
    image.SetDimensions(*size)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels, deep=True))
    node.SetIJKToRASMatrix(vtk_from_matrix(ijk_to_ras))
    node.SetAndObserveImageData(image)
    return node


def models():
    """By name, without those of the slice views."""
    nodes = nodes_of_class(slicer.mrmlScene, "vtkMRMLModelNode")
    return {node.GetName(): node for node in nodes if "Slice" not in node.GetName()}


def in_world(model):
    points = vtk_to_numpy(model.GetPolyData().GetPoints().GetData()).astype(float)
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(model.GetParentTransformNode(), None, to_world)
    return transform_points(to_world, points)


def assert_on(points, balls=BALLS):
    """Within a voxel; the mask of a volume that is no CT is half a voxel too large."""
    off = np.abs(off_mm(points, balls))
    print(f"median {np.median(off):.2f} mm, 99 % {np.percentile(off, 99):.2f} mm")
    assert np.median(off) < 0.4 * VOXEL_MM
    assert np.percentile(off, 99) < VOXEL_MM


def look(slicer_app, module):
    """Switch the surfaces on, and wait for them."""
    module.ui.surfacesButton.click()
    slicer_app.wait_for(lambda: len(models()) >= 2, 60)
    slicer_app.process_events(20)


@pytest.fixture
def found(slicer_app, ready):  # noqa: F811
    """A result that puts the moving balls onto the fixed ones, which lie under a transform."""
    slicer_app.open_slice_views()
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent_ras = rigid([0, 0.2, 1], 40, [-15, 8, 30])
    parent.SetMatrixTransformToParent(vtk_from_matrix(parent_ras))
    fixed = add_balls("fixed", shape_to_own=np.linalg.inv(parent_ras))
    # The parent is undone by the shape: in the world, the balls lie where they are said to.
    fixed.SetAndObserveTransformNodeID(parent.GetID())
    moving_pose = np.linalg.inv(MOVING_TO_FIXED_RAS)
    moving_ijk = moving_pose @ np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([2.5, 2.5, 2.5, 1.0])
    size = (110, 100, 96)
    middle = moving_pose @ [*MIDDLE, 1]
    moving_ijk[:3, 3] = middle[:3] - moving_ijk[:3, :3] @ (np.array(size) - 1) / 2
    moving = add_balls("moving", moving_ijk, size, moving_pose, values=(20, 400))
    for node in (fixed, moving):
        node.CreateDefaultDisplayNodes()
    parameters = ready.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = fixed, moving
    return ready


def run(slicer_app, module, **changes):
    start(slicer_app, module)
    finish(slicer_app, module, **changes)
    slicer_app.process_events(50)


@pytest.mark.parametrize("mirrored", [1, -1])
def test_the_surface_of_a_ball_on_an_oblique_grid_of_thick_slices(slicer_app, mirrored):
    ijk_to_ras = IJK_TO_RAS @ np.diag([mirrored, 1, 1, 1])
    ijk_to_ras[:3, 3] = CENTER - ijk_to_ras[:3, :3] @ (np.array(SIZE) - 1) / 2
    ball = [(CENTER, RADIUS_MM)]
    node = add_balls("ball", ijk_to_ras, balls=ball)
    comparison = SurfaceComparison(node, node)
    shares = list(comparison.make())
    assert shares == sorted(shares)
    assert comparison.add()
    points = in_world(models()["ball surface"])
    assert np.abs(off_mm(points, ball)).max() < VOXEL_MM
    assert abs(off_mm(points, ball).mean()) < 0.2 * VOXEL_MM
    # Fronts face outward, or culling would show the inside.
    normals = vtk_to_numpy(models()["ball surface"].GetPolyData().GetPointData().GetNormals())
    assert (np.sum(normals * (points - CENTER), axis=1) > 0).mean() > 0.99
    comparison.remove()
    assert not models()


def test_bone_is_shown_where_both_volumes_are_ct(slicer_app):
    """A shell of bone in soft tissue in air."""
    k, j, i = np.indices((80, 90, 90))
    away = np.linalg.norm(np.stack([i - 44.5, j - 44.5, k - 39.5]) * 2.0, axis=0)
    rng = np.random.default_rng(1)
    hounsfield = np.where(away < 70, 40, -1000) + rng.normal(0, 10, away.shape)
    hounsfield[(away > 50) & (away < 58)] = 900
    ct_grid = grid((90, 90, 80), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    nodes = [add_voxels(name, hounsfield.astype(np.int16), ct_grid) for name in ("one", "other")]
    scale = np.where(away < 70, 300.0, 5.0)
    nodes.append(add_voxels("mr", scale, ct_grid))
    for pair_shown, radii in (((nodes[0], nodes[1]), (50, 58)), ((nodes[0], nodes[2]), (70, 70))):
        comparison = SurfaceComparison(*pair_shown)
        for _ in comparison.make():
            pass
        assert comparison.add()
        distance = np.linalg.norm(in_world(models()["one surface"]), axis=1)
        assert np.min(np.abs(distance[:, None] - radii), axis=1).max() < 3
        comparison.remove()


def open_edges(surface):
    edges = vtk.vtkFeatureEdges()
    edges.SetInputData(polydata_of_surface(surface, space="RAS"))
    edges.FeatureEdgesOff()
    edges.NonManifoldEdgesOff()
    edges.ManifoldEdgesOff()
    edges.Update()
    return edges.GetOutput().GetNumberOfCells()


def test_a_surface_is_open_where_the_volume_ends_and_gets_fewer_triangles(slicer_app):
    node = add_balls("cut", size=(120, 110, 30))
    voxels = slicer.util.arrayFromVolume(node)
    coarse = coarse_volume(voxels, grid_of_node(node), "cut")
    surface = visible_surface(coarse, "body", 3000)
    assert 2000 < len(surface.triangles) <= 3100
    assert open_edges(surface) > 10
    # There and back, nothing changes.
    again = surface_of_polydata(polydata_of_surface(surface, space="RAS"), "again", space="RAS")
    np.testing.assert_allclose(again.vertices_lps, surface.vertices_lps, atol=1e-4)
    np.testing.assert_array_equal(again.triangles, surface.triangles)
    assert simplified(surface, 10**6) is surface
    mask = volume_from_node(node)
    mask = Volume(mask.image > 100, "mask")
    assert open_edges(surface_of_mask(mask)) == 0
    assert open_edges(surface_of_mask(mask, closed=False)) > 10


def test_the_moving_surface_lies_on_the_fixed_one_after_the_result_and_not_before(slicer_app, found):
    run(slicer_app, found)
    look(slicer_app, found)
    fixed, moving = models()["fixed surface"], models()["moving surface"]
    assert_on(in_world(fixed))
    assert_on(in_world(moving))
    button = found.ui.beforeButton
    button._qt.pressed.emit()
    assert np.median(np.abs(off_mm(in_world(moving)))) > 2 * VOXEL_MM
    assert "expected error" not in models()
    assert "arrows" not in found.ui.surfacesLabel.text
    assert_on(in_world(fixed))
    button._qt.released.emit()
    assert_on(in_world(moving))
    assert "expected error" in models()
    for model in models().values():
        display = model.GetDisplayNode()
        assert model.GetHideFromEditors()
        assert not model.GetSaveWithScene()
        assert (display.GetVisibility(), display.GetVisibility2D(), display.GetVisibility3D()) == (1, 0, 1)
    assert fixed.GetDisplayNode().GetOpacity() < 1
    assert fixed.GetDisplayNode().GetColor() != moving.GetDisplayNode().GetColor()


@pytest.mark.parametrize(("error_mm", "scale"), [(2.0, 10), (0.4, 50), (30.0, 1)])
def test_arrows_are_as_long_as_they_say(slicer_app, found, error_mm, scale):
    verdict = {"word": "uncertain", "against": [], "facts": [], "estimated_error_mm": error_mm}
    run(slicer_app, found, verdict=verdict)
    look(slicer_app, found)
    data = models()["expected error"].GetPolyData()
    points = vtk_to_numpy(data.GetPoints().GetData()).reshape(8, -1, 3)
    low, high = [], []
    for model in (models()["fixed surface"], models()["moving surface"]):
        low.append(in_world(model).min(axis=0))
        high.append(in_world(model).max(axis=0))
    low, high = np.max(low, axis=0), np.min(high, axis=0)
    for arrow in points:
        outward = np.sign(arrow.mean(axis=0) - (low + high) / 2) / np.sqrt(3)
        along = arrow @ outward
        assert np.ptp(along) == pytest.approx(error_mm * scale, rel=1e-3)
        tail = arrow[along < along.min() + 1e-3].mean(axis=0)
        corner = np.where(outward > 0, high, low)
        np.testing.assert_allclose(tail, corner, atol=VOXEL_MM)
    words = found.ui.surfacesLabel.text
    assert f"{error_mm:.1f} mm" in words
    assert (f"{scale} times" in words) == (scale > 1)


@pytest.mark.parametrize(
    "verdict",
    [
        None,
        {"word": "failed", "against": ["No overlap."], "facts": [], "estimated_error_mm": 3},
        {"word": "uncertain", "against": [], "facts": [], "estimated_error_mm": None},
    ],
)
def test_no_arrows_where_no_error_is_known(slicer_app, found, verdict):
    run(slicer_app, found, verdict=verdict)
    look(slicer_app, found)
    assert set(models()) == {"fixed surface", "moving surface"}
    assert "white" in found.ui.surfacesLabel.text
    assert "arrows" not in found.ui.surfacesLabel.text


def test_the_error_before_a_bending_is_said_to_be_that(slicer_app, found):
    run(slicer_app, found, later_stages=[{"type": "bending"}])
    look(slicer_app, found)
    assert "before the bending" in found.ui.surfacesLabel.text


def view_3d():
    return slicer.app.layoutManager().threeDWidget(0).threeDView()


def camera_state():
    camera = view_3d().cameraNode()
    return [*camera.GetPosition(), *camera.GetFocalPoint(), *camera.GetViewUp(), camera.GetParallelScale()]


@pytest.mark.parametrize("end", ["button", "undo", "leave", "close", "scene", "while made"])
def test_nothing_is_left_in_the_scene_or_the_views(slicer_app, found, end):
    manager = slicer.app.layoutManager()
    red_only = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    manager.setLayout(red_only)
    view_3d().cameraNode().SetPosition(100, 400, 20)
    before, camera = snapshot(), camera_state()
    run(slicer_app, found)
    added = set(scene_state()) - before["nodes"]
    assert manager.layout == red_only
    if end == "while made":
        found.ui.surfacesButton.click()
        slicer_app.process_events(5)
        assert not models()
        assert found.ui.surfacesLabel.text
    else:
        look(slicer_app, found)
        assert camera_state() != camera
        np.testing.assert_allclose(view_3d().cameraNode().GetFocalPoint(), CENTER, atol=60)
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    if end == "button":
        found.ui.surfacesButton.click()
        assert set(scene_state()) == before["nodes"] | added
        found.exit()
    elif end == "undo":
        found.ui.undoButton.click()
    elif end == "leave" or end == "while made":
        found.exit()
    elif end == "close":
        found.close()
    else:
        slicer.mrmlScene.Clear()
    slicer_app.process_events(300)
    assert not models()
    assert manager.layout == red_only
    if end == "scene":
        # Closing a scene puts cameras back to their defaults.
        return
    np.testing.assert_allclose(camera_state(), camera, atol=1e-9)
    if end != "close":
        assert not found.ui.surfacesLabel.text
        assert not shown(found.ui.surfacesLabel)
    after = snapshot()
    kept = {one for one in added if one in after["nodes"]}
    assert all(not slicer.mrmlScene.GetNodeByID(one).GetHideFromEditors() for one in kept)
    if end != "undo":
        expect_moved(before, after, slicer.util.getNode("moving"), slicer.util.getNode("moving to fixed").GetID())
    assert_given_back(after, before, kept)


def test_what_the_3d_view_shows_besides_is_not_clipped_afterwards(slicer_app, found):
    """The box around the scene was gone after the surfaces: the camera kept their clipping range."""
    run(slicer_app, found)
    look(slicer_app, found)
    resets = []
    camera = view_3d().cameraNode()
    camera.AddObserver(camera.ResetCameraClippingEvent, lambda *_: resets.append(camera.GetPosition()))
    found.ui.surfacesButton.click()
    assert resets[-1:] == [camera.GetPosition()]


def test_the_camera_turns_to_surfaces_that_are_made_anew_meanwhile(slicer_app, found):
    run(slicer_app, found)
    camera = camera_state()
    found.ui.surfacesButton.click()
    found.widget.panel._result.look()
    slicer_app.wait_for(lambda: len(models()) >= 2, 60)
    slicer_app.process_events(20)
    seen = camera_state()
    assert seen != camera
    # Later on, the camera is the user's.
    view_3d().cameraNode().SetPosition(100, 400, 20)
    found.widget.panel._result.look()
    slicer_app.wait_for(lambda: len(models()) >= 2, 60)
    slicer_app.process_events(20)
    np.testing.assert_allclose(view_3d().cameraNode().GetPosition(), [100, 400, 20])


def test_a_layout_that_the_user_chose_meanwhile_stays(slicer_app, found):
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    run(slicer_app, found)
    look(slicer_app, found)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    found.exit()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_the_surfaces_come_back_with_the_module_and_follow_a_hardening(slicer_app, found):
    run(slicer_app, found)
    look(slicer_app, found)
    found.ui.hardenButton.click()
    slicer_app.wait_for(lambda: "moving surface" in models(), 60)
    assert_on(in_world(models()["moving surface"]))
    found.exit()
    slicer_app.process_events(20)
    assert not models()
    found.enter()
    slicer_app.wait_for(lambda: len(models()) >= 2, 60)
    assert found.ui.surfacesButton.checked


@pytest.mark.parametrize("when", ["made", "shown"])
@pytest.mark.parametrize("which", ["fixed", "moving", "both"])
def test_volumes_that_are_removed_meanwhile_take_their_surfaces_along(slicer_app, found, when, which):
    run(slicer_app, found)
    if when == "shown":
        look(slicer_app, found)
    else:
        found.ui.surfacesButton.click()
    for name in ("fixed", "moving") if which == "both" else (which,):
        slicer.mrmlScene.RemoveNode(slicer.util.getNode(name))
    slicer_app.process_events(1500)
    assert not models()
    assert not slicer.util.getNodes("*surface*")
    assert slicer_app.slot_errors == []


def test_without_a_body_it_says_so(slicer_app, found):
    run(slicer_app, found)
    slicer.util.arrayFromVolume(slicer.util.getNode("moving"))[:] = 7
    found.ui.surfacesButton.click()
    slicer_app.wait_for(lambda: "No surfaces" in found.ui.surfacesLabel.text, 60)
    assert not models()


def test_the_quality_panel_shows_the_phantom_in_ct_and_mr(quality):  # noqa: F811
    """The skin of both, with a transform that is right, one that is 5 mm off, and none."""
    ui = quality.ui
    quality.fill_in()
    quality.measure()
    before = set(scene_state())
    ui.surfacesButton.click()
    quality.app.wait_for(lambda: len(models()) >= 2, 60)
    fixed, moving = models()["CT surface"], models()["MR surface"]
    distance = vtk.vtkImplicitPolyDataDistance()
    distance.SetInput(fixed.GetPolyData())
    low, high = in_world(fixed).min(axis=0) + 20, in_world(fixed).max(axis=0) - 20

    def apart_mm():
        """Where both volumes show the head."""
        moved = in_world(moving)[::20]
        inside = moved[np.all((moved > low) & (moved < high), axis=1)]
        return np.median([abs(distance.EvaluateFunction(*point)) for point in inside])

    right_mm = apart_mm()
    ui.beforeButton._qt.pressed.emit()
    before_mm = apart_mm()
    ui.beforeButton._qt.released.emit()
    ui.methodTable.setCurrentCell(2, 0)
    off_by_5_mm = apart_mm()
    print(f"apart: {right_mm:.2f} mm, 5 mm off {off_by_5_mm:.2f} mm, before {before_mm:.2f} mm")
    assert right_mm < off_by_5_mm < before_mm
    assert right_mm < 2
    assert "arrows" not in ui.surfacesLabel.text
    ui.surfacesButton.click()
    assert set(scene_state()) == before
    assert not ui.surfacesLabel.text


def test_the_prealign_panel_shows_them_after_apply(slicer_app, panel, landmarks):  # noqa: F811
    slicer_app.open_slice_views()
    parameters = fill(panel, *landmarks)
    parameters.fixedVolume, parameters.movingVolume = add_balls("CT"), add_balls("MR")
    panel.ui.applyButton.click()
    look(slicer_app, panel)
    assert {"CT surface", "MR surface"} == set(models())
    panel.exit()
    assert not models()


def test_surfaces_of_large_volumes_do_not_block_the_window(slicer_app, found):
    """512 x 512 x 400 voxels of each."""
    voxels = np.zeros((400, 512, 512), dtype=np.int16)
    voxels[100:300, 128:384, 128:384] = 1000
    large = grid((512, 512, 400), (0.6, 0.6, 0.8), (0.0, 0.0, 0.0))
    fixed, moving = add_voxels("large fixed", voxels, large), add_voxels("large moving", voxels, large)
    del voxels
    # Panels need the stand-in.
    from MultimodalRegistrationLib.panels.common.comparison import Comparison

    for node in (fixed, moving):
        add_display_node(node)
    comparison = Comparison()
    slicer_app.process_events(20)
    comparison.show(fixed, moving, [], None)
    slicer_app.process_events(50)
    with BlockMeter() as meter:
        slicer_app.process_events(50)
        comparison.show_surfaces(True)
        slicer_app.wait_for(lambda: len(models()) >= 2, 120)
        comparison.show_before(True)
        slicer_app.process_events(20)
        comparison.hide()
        slicer_app.process_events(20)
    assert_lively(meter)
