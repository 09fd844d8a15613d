"""Nodes with a result applied or not, transform nodes of every kind, segmentation nodes: against VTK and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import CT_GRID, centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space, flip_points_lps_ras
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.spatial import displacement_grid
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.segmentations import read_segmentation
from MultimodalRegistrationLib.mrml.landmarks import landmarks_of_node
from MultimodalRegistrationLib.mrml.node_files import SegmentFile
from MultimodalRegistrationLib.mrml.placement import (
    OLD_PARENT_ROLE,
    RESULT_ROLE,
    applied_results,
    placement_in_world,
    placement_without,
)
from MultimodalRegistrationLib.mrml.spatial import spatial_transform_of_node
from MultimodalRegistrationLib.mrml.steps import drained
from MultimodalRegistrationLib.mrml.transforms import apply_to_moving
from MultimodalRegistrationLib.mrml.volumes import add_volume_node, volume_from_node
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix, vtk_from_points
from vtk.util.numpy_support import numpy_to_vtk

RESULT_RAS = rigid([0.3, 1, -0.2], -37, [22, -61, 14])
PARENT_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])
OUTER_RAS = rigid([0, 1, 1], -50, [-8, 9, 70])
# Oblique, anisotropic and flipped.
GRID = centered_grid([20, 24, 16], [2, 1.5, 3.1], rotation([1, 0.3, -0.2], 33) @ np.diag([1, 1, -1]), [-40, 25, 15])
POINTS_RAS = np.array([[31.25, -42.5, 17.0], [-8.0, 77.125, -63.5], [0.5, 3.25, 120.0], [64.0, -11.0, 8.75]])


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


@pytest.fixture(scope="module")
def volume():
    image = sitk.GetImageFromArray(np.random.default_rng(2).normal(size=GRID.size[::-1]).astype(np.float32))
    GRID.place(image)
    return Volume(image, "scan")


def add_transform(scene, matrix_ras, name="transform", below=None):
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetMatrixTransformToParent(vtk_from_matrix(matrix_ras))
    if below is not None:
        below.SetAndObserveTransformNodeID(node.GetID())
    return node


def add_points(scene):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    for point in POINTS_RAS.tolist():
        node.AddControlPoint(*point)
    return node


def spline(seed=3, mm=6.0, count=9):
    """A thin-plate spline over the volume."""
    rng = np.random.default_rng(seed)
    corners = flip_points_lps_ras(GRID.corners_lps)
    source = rng.uniform(corners.min(axis=0) - 10, corners.max(axis=0) + 10, (count, 3))
    transform = vtk.vtkThinPlateSplineTransform()
    transform.SetBasisToR()
    transform.SetSourceLandmarks(vtk_from_points(source))
    transform.SetTargetLandmarks(vtk_from_points(source + rng.normal(0, mm, source.shape)))
    return transform


def smooth_image(spacing_mm, mm):
    """Vectors on an oblique lattice around the volume, which change over about 40 mm."""
    size = np.ceil(GRID.extent_mm.max() * 1.6 / spacing_mm).astype(int) + 1
    axis = np.arange(size) * spacing_mm
    s, a, r = np.meshgrid(axis, axis, axis, indexing="ij")
    vectors = mm * np.stack([np.sin(a / 17 + 1), np.sin(s / 21 + r / 40), np.cos(r / 15)], axis=-1)
    image = vtk.vtkImageData()
    image.SetDimensions(*[int(size)] * 3)
    image.SetSpacing(*[spacing_mm] * 3)
    axes = rotation([0.2, -1, 0.4], 24)
    image.SetOrigin(*(flip_points_lps_ras(GRID.center_lps) - axes @ np.full(3, axis[-1] / 2)))
    image.GetPointData().SetScalars(numpy_to_vtk(vectors.reshape(-1, 3), deep=True))
    direction = np.eye(4)
    direction[:3, :3] = axes
    return image, vtk_from_matrix(direction)


def grid_transform():
    image, direction = smooth_image(6.0, 4.0)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetGridDirectionMatrix(direction)
    transform.SetInterpolationModeToLinear()
    return transform


def bspline_transform():
    image, direction = smooth_image(15.0, 4.0)
    transform = slicer.vtkOrientedBSplineTransform()
    transform.SetCoefficientData(image)
    transform.SetGridDirectionMatrix(direction)
    bulk = vtk.vtkMatrix4x4()
    bulk.DeepCopy(rigid([1, 2, 0], 4, [3, -2, 1]).ravel())
    transform.SetBulkTransformMatrix(bulk)
    return transform


def composite():
    transform = vtk.vtkGeneralTransform()
    for part in (spline(mm=2.0), grid_transform()):
        transform.Concatenate(part)
    transform.Concatenate(vtk_from_matrix(rigid([0.2, 0, 1], 12, [5, 9, -20])))
    return transform


KINDS = {"spline": spline, "grid": grid_transform, "b-spline": bspline_transform, "composite": composite}


@pytest.mark.parametrize("kind", ["result", "combined", "nested"])
def test_a_result_that_is_applied_is_taken_off(scene, volume, kind):
    """Read without the result, everything lies where it lay before."""
    nodes = [add_volume_node(scene, volume, name="scan"), add_points(scene)]
    for node in nodes:
        if kind != "result":
            parent = add_transform(scene, PARENT_RAS, "parent", node)
            if kind == "nested":
                add_transform(scene, OUTER_RAS, "outer", parent)
    before_grid, before_points = volume_from_node(nodes[0]).grid, landmarks_of_node(nodes[1]).points_lps
    result = add_transform(scene, RESULT_RAS, "result")
    for node in nodes:
        apply_to_moving(result, node)
        assert applied_results(node, [result]) == (result,)
    after = volume_from_node(nodes[0], placement_without(nodes[0], [result]))
    np.testing.assert_allclose(after.grid.ijk_to_lps, before_grid.ijk_to_lps, atol=1e-9)
    np.testing.assert_array_equal(after.voxels, volume.voxels)
    points = landmarks_of_node(nodes[1], placement_without(nodes[1], [None, result])).points_lps
    np.testing.assert_allclose(points, before_points, atol=1e-9)
    # A transform that is not assessed stays.
    other = add_transform(scene, OUTER_RAS, "other")
    moved = landmarks_of_node(nodes[1], placement_without(nodes[1], [other])).points_lps
    np.testing.assert_allclose(flip_points_lps_ras(moved), apply_matrix(RESULT_RAS, flip_points_lps_ras(before_points)))
    # What lies above the result is part of it.
    above = add_transform(scene, OUTER_RAS, "above", result)
    assert above.GetID()
    if kind == "result":
        grid = volume_from_node(nodes[0], placement_without(nodes[0], [result])).grid
        np.testing.assert_allclose(grid.ijk_to_lps, before_grid.ijk_to_lps, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("result_bends", [False, True], ids=["linear-result", "bending-result"])
def test_a_bending_parent_or_result_is_taken_off(scene, kind, result_bends):
    node = add_points(scene)
    if not result_bends:
        parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
        parent.SetAndObserveTransformToParent(KINDS[kind]())
    else:
        parent = add_transform(scene, PARENT_RAS, "parent")
    node.SetAndObserveTransformNodeID(parent.GetID())
    before = landmarks_of_node(node).points_lps
    result = add_transform(scene, RESULT_RAS, "result")
    if result_bends:
        result.SetAndObserveTransformFromParent(KINDS[kind]())
    apply_to_moving(result, node)
    assert np.linalg.norm(landmarks_of_node(node).points_lps - before, axis=1).min() > 0.1
    found = landmarks_of_node(node, placement_without(node, [result])).points_lps
    np.testing.assert_allclose(found, before, atol=1e-6)


def test_the_place_in_the_world_is_that_of_mrml(scene):
    node = add_points(scene)
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    parent.SetAndObserveTransformFromParent(spline())
    node.SetAndObserveTransformNodeID(parent.GetID())
    add_transform(scene, OUTER_RAS, "outer", parent)
    placement = placement_in_world(node)
    assert placement.matrix_ras is None
    found = placement.points_in_world(POINTS_RAS)
    for index, point in enumerate(found):
        world = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(index, world)
        np.testing.assert_allclose(point, world, atol=1e-9)
    back = [placement.from_world.TransformPoint(point) for point in found.tolist()]
    np.testing.assert_allclose(back, POINTS_RAS, atol=0.01)


def test_an_old_parent_that_was_removed_is_found_from_the_result(scene):
    node = add_points(scene)
    parent = add_transform(scene, PARENT_RAS, "parent", node)
    before = landmarks_of_node(node).points_lps
    result = add_transform(scene, RESULT_RAS, "result")
    combined = apply_to_moving(result, node)
    assert combined.GetNodeReference(OLD_PARENT_ROLE) is parent
    scene.RemoveNode(parent)
    assert combined.GetNodeReference(OLD_PARENT_ROLE) is None
    np.testing.assert_allclose(landmarks_of_node(node, placement_without(node, [result])).points_lps, before, atol=1e-9)
    scene.RemoveNode(result)
    assert combined.GetNodeReference(RESULT_ROLE) is None


def test_the_references_survive_a_scene_file(scene, tmp_path):
    other = slicer.vtkMRMLScene()
    for one in (scene, other):
        # Slicer's Markups module does that.
        one.RegisterNodeClass(slicer.vtkMRMLMarkupsJsonStorageNode())
    node = add_points(scene)
    add_transform(scene, PARENT_RAS, "parent", node)
    before = landmarks_of_node(node).points_lps
    result = add_transform(scene, RESULT_RAS, "result")
    apply_to_moving(result, node)
    (tmp_path / "saved").mkdir()
    assert scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "saved"), None)
    # Another node takes the identifiers that the file has.
    add_transform(other, OUTER_RAS, "taken")
    other.SetURL(str(next((tmp_path / "saved").rglob("*.mrml"))))
    assert other.Import()
    again = other.GetFirstNodeByName("points")
    found = placement_without(again, [other.GetFirstNodeByName("result")])
    np.testing.assert_allclose(landmarks_of_node(again, found).points_lps, before, atol=1e-5)


def test_results_one_upon_the_other_are_refused(scene):
    node = add_points(scene)
    inner = add_transform(scene, PARENT_RAS, "inner", node)
    outer = add_transform(scene, OUTER_RAS, "outer", inner)
    with pytest.raises(InputError, match=r"inner and outer.*one upon the other"):
        placement_without(node, [outer, inner])
    second = add_points(scene)
    add_transform(scene, PARENT_RAS, "first", second)
    first = second.GetParentTransformNode()
    result = add_transform(scene, RESULT_RAS, "result")
    apply_to_moving(result, second)
    with pytest.raises(InputError, match="result and first"):
        placement_without(second, [first, result])


@given(
    angles=st.lists(st.floats(-180, 180), min_size=1, max_size=4), position=st.integers(0, 3), seed=st.integers(0, 99)
)
@settings(max_examples=30, deadline=None)
def test_only_what_lies_below_the_result_is_left(angles, position, seed):
    scene = slicer.vtkMRMLScene()
    rng = np.random.default_rng(seed)
    matrices = [rigid([1, *rng.normal(size=2)], angle, rng.normal(0, 50, 3)) for angle in angles]
    below = add_points(scene)
    chain = []
    for matrix in matrices:
        chain.append(add_transform(scene, matrix, "one of several", below))
        below = chain[-1]
    position %= len(chain)
    expected = np.eye(4)
    for matrix in matrices[:position]:
        expected = matrix @ expected
    placement = placement_without(scene.GetFirstNodeByName("points"), [chain[position]])
    np.testing.assert_allclose(placement.matrix_ras, expected, atol=1e-9)
    np.testing.assert_allclose(placement.points_in_world(POINTS_RAS), apply_matrix(expected, POINTS_RAS), atol=1e-9)


@pytest.mark.parametrize("direction", ["from", "to"])
@pytest.mark.parametrize("kind", KINDS)
def test_transform_nodes_of_every_kind_are_what_vtk_says(scene, kind, direction):
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", kind)
    set_transform = (
        node.SetAndObserveTransformFromParent if direction == "from" else node.SetAndObserveTransformToParent
    )
    set_transform(KINDS[kind]())
    add_transform(scene, PARENT_RAS, "parent", node)
    over = GRID.moved(flip_ijk_to_space(PARENT_RAS) @ np.diag([-1.0, -1.0, 1.0, 1.0]))
    found, error_mm = spatial_transform_of_node(node, over)
    assert found.name == kind
    assert found.matrix is None
    assert error_mm < 0.05
    index = np.random.default_rng(9).uniform(-0.5, np.asarray(over.size) - 0.5, (300, 3))
    fixed_lps = apply_matrix(over.ijk_to_lps, index)
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    exact_ras = np.array([from_world.TransformPoint(point) for point in flip_points_lps_ras(fixed_lps).tolist()])
    gap = np.linalg.norm(found.to_moving(fixed_lps) - flip_points_lps_ras(exact_ras), axis=1)
    assert gap.max() < 0.06, f"{kind}: {gap.max():.3f} mm"
    assert np.linalg.norm(found.to_moving(fixed_lps) - fixed_lps, axis=1).min() > 10
    # There and back through the node itself.
    landed = found.to_fixed(found.to_moving(fixed_lps[:20]), fixed_lps[:20])
    np.testing.assert_allclose(landed, fixed_lps[:20], atol=1e-5)
    # Far away the closest affine transform goes on, not the identity.
    far = over.center_lps + np.array([900.0, -700.0, 800.0])
    assert np.linalg.norm(found.to_moving(far) - far) > 100


@given(angle=st.floats(-180, 180), scale=st.floats(0.5, 2), flipped=st.booleans())
@settings(max_examples=25, deadline=None)
def test_linear_nodes_are_read_exactly(angle, scale, flipped):
    scene = slicer.vtkMRMLScene()
    matrix_ras = rigid([0.3, -0.7, 0.4], angle, [5, 80, -30]) @ np.diag([scale, 1.0, -1.0 if flipped else 1.0, 1.0])
    node = add_transform(scene, matrix_ras)
    add_transform(scene, PARENT_RAS, "parent", node)
    found, error_mm = spatial_transform_of_node(node, GRID)
    assert error_mm == 0
    fixed_ras = apply_matrix(PARENT_RAS @ matrix_ras, POINTS_RAS)
    np.testing.assert_allclose(
        found.to_moving(flip_points_lps_ras(fixed_ras)), flip_points_lps_ras(POINTS_RAS), atol=1e-9
    )


def test_what_is_no_transform_is_refused(scene, volume):
    flat = add_transform(scene, np.diag([1.0, 1.0, 0.0, 1.0]), "flat")
    with pytest.raises(InputError, match=r"flat.*cannot be inverted"):
        spatial_transform_of_node(flat, GRID)
    with pytest.raises(InputError, match="no transform"):
        spatial_transform_of_node(add_volume_node(scene, volume, name="scan"), GRID)


def test_a_grid_of_displacements_on_oblique_axes_follows_a_known_mapping():
    grids = [
        VolumeGrid.of_matrix(tuple(n * k - k + 1 for n in GRID.size), GRID.ijk_to_lps @ np.diag([1 / k] * 3 + [1.0]))
        for k in (1, 2, 4)
    ]

    def bend(points):
        return points + 3 * np.sin(points[:, [1, 2, 0]] / 9)

    probes = apply_matrix(GRID.ijk_to_lps, np.random.default_rng(0).uniform(0, np.asarray(GRID.size) - 1.001, (200, 3)))
    errors = [displacement_grid(bend, [grid], probes, good_enough_mm=0, most_nodes=10**6).error_mm for grid in grids]
    # Linear interpolation: half the spacing leaves a quarter of the error.
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.3)
    enough = displacement_grid(bend, grids, probes, good_enough_mm=errors[1], most_nodes=10**6)
    assert enough.grid == grids[1]
    assert displacement_grid(bend, grids, probes, good_enough_mm=0, most_nodes=10) is None


def test_a_volume_that_is_added_is_read_back(scene, volume):
    node = add_volume_node(scene, volume, name="scan")
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(matrix_from_vtk(matrix), flip_ijk_to_space(GRID.ijk_to_lps), atol=1e-12)
    again = volume_from_node(node)
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    np.testing.assert_allclose(again.grid.ijk_to_lps, GRID.ijk_to_lps, atol=1e-9)


def centres_lps(grid):
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.size[::-1]), indexing="ij")
    return apply_matrix(grid.ijk_to_lps, np.stack([i, j, k], axis=-1))


def oriented(voxels, first=(0, 0, 0)):
    """A label map of Slicer whose extent begins anywhere, as after cropping; its voxels lie on the same lattice."""
    labels = slicer.vtkOrientedImageData()
    size = voxels.shape[::-1]
    labels.SetExtent(*(v for start, n in zip(first, size, strict=True) for v in (start, start + n - 1)))
    labels.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(voxels, dtype=np.uint8).ravel(), deep=True))
    labels.SetImageToWorldMatrix(vtk_from_matrix(flip_ijk_to_space(GRID.ijk_to_lps)))
    return labels


def balls():
    centres = centres_lps(GRID)
    return [np.linalg.norm(centres - GRID.center_lps - shift, axis=-1) < 9 for shift in ([0, 0, 0], [6, -5, 3])]


def add_segmentation(scene):
    """Two overlapping segments, the second one cropped, and an empty one."""
    first, second = balls()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "parts")
    node.AddSegmentFromBinaryLabelmapRepresentation(oriented(first), "first")
    box = [
        slice(np.flatnonzero(second.any(axis=a))[0], np.flatnonzero(second.any(axis=a))[-1] + 1)
        for a in [(1, 2), (0, 2), (0, 1)]
    ]
    start = [int(side.start) for side in reversed(box)]
    node.AddSegmentFromBinaryLabelmapRepresentation(oriented(second[tuple(box)], start), "second")
    node.GetSegmentation().AddEmptySegment("nothing", "nothing")
    return node


def segmentation_of_node(node, folder, placement=None):
    """What the file that is handed over for a node holds."""
    path = folder / "structures.seg.nrrd"
    drained(SegmentFile(node, placement or placement_in_world(node)).write(path))
    return read_segmentation(path)


def world_points(segmentation, name):
    """Voxel centres of a segment, sorted."""
    points = centres_lps(segmentation.grid)[segmentation.find(name).mask]
    return points[np.lexsort(np.round(points, 4).T)]


@pytest.mark.parametrize("parents", ["none", "linear", "applied"])
def test_segments_lie_where_slicer_has_them(scene, parents, tmp_path):
    node = add_segmentation(scene)
    to_world_ras = np.eye(4)
    placement = None
    if parents != "none":
        parent = add_transform(scene, PARENT_RAS, "parent", node)
        add_transform(scene, OUTER_RAS, "outer", parent)
        to_world_ras = OUTER_RAS @ PARENT_RAS
    if parents == "applied":
        result = add_transform(scene, RESULT_RAS, "result")
        apply_to_moving(result, node)
        placement = placement_without(node, [result])
    found = segmentation_of_node(node, tmp_path, placement)
    assert found.named
    assert [one.name for one in found.segments] == ["first", "second", "nothing"]
    assert found.segments[2].box is None
    to_world_lps = np.diag([-1, -1, 1, 1]) @ to_world_ras @ np.diag([-1, -1, 1, 1])
    for name, mask in zip(("first", "second"), balls(), strict=True):
        expected = apply_matrix(to_world_lps, centres_lps(GRID)[mask])
        expected = expected[np.lexsort(np.round(expected, 4).T)]
        np.testing.assert_allclose(world_points(found, name), expected, atol=1e-6)
    assert node.GetSegmentation().GetNumberOfSegments() == 3


def test_segments_under_a_warp(scene, tmp_path):
    node = add_segmentation(scene)
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    parent.SetAndObserveTransformFromParent(spline(mm=3.0))
    node.SetAndObserveTransformNodeID(parent.GetID())
    found = segmentation_of_node(node, tmp_path)
    back = vtk.vtkGeneralTransform()
    parent.GetTransformFromWorld(back)
    inside = np.array([back.TransformPoint(p) for p in flip_points_lps_ras(world_points(found, "second")).tolist()])
    index = apply_matrix(np.linalg.inv(GRID.ijk_to_lps), flip_points_lps_ras(inside))
    i, j, k = np.floor(index + 0.5).astype(int).T
    assert balls()[1][k, j, i].mean() > 0.999
    voxel_mm3 = np.prod(found.grid.spacing_mm)
    assert found.find("second").mask.sum() * voxel_mm3 == pytest.approx(
        balls()[1].sum() * np.prod(GRID.spacing_mm), rel=0.2
    )


@pytest.mark.parametrize("names", [True, False])
def test_labels_have_the_names_of_their_colours(scene, names, tmp_path):
    first, second = balls()
    labels = np.where(second, 5, np.where(first, 2, 0)).astype(np.int16)
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    data = vtk.vtkImageData()
    data.SetDimensions(*GRID.size)
    data.GetPointData().SetScalars(numpy_to_vtk(labels.ravel(), deep=True))
    node.SetAndObserveImageData(data)
    node.SetIJKToRASMatrix(vtk_from_matrix(flip_ijk_to_space(GRID.ijk_to_lps)))
    add_transform(scene, PARENT_RAS, "parent", node)
    node.CreateDefaultDisplayNodes()
    colors = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "colours")
    colors.SetTypeToUser()
    colors.SetNumberOfColors(7)
    if names:
        colors.SetColor(5, "bone", 1.0, 0.9, 0.8, 1.0)
    node.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    found = segmentation_of_node(node, tmp_path)
    assert found.named is names
    assert [(one.name, one.label) for one in found.segments] == [("2", 2), ("bone" if names else "5", 5)]
    np.testing.assert_array_equal(found.segments[1].mask, second)
    np.testing.assert_allclose(
        found.grid.ijk_to_lps,
        np.diag([-1, -1, 1, 1]) @ PARENT_RAS @ np.diag([-1, -1, 1, 1]) @ GRID.ijk_to_lps,
        atol=1e-9,
    )


def test_nodes_without_structures_are_refused(scene, volume, tmp_path):
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    empty.GetSegmentation().AddEmptySegment("nothing", "nothing")
    with pytest.raises(InputError, match="empty"):
        segmentation_of_node(empty, tmp_path)
    with pytest.raises(InputError, match="holds no structures"):
        segmentation_of_node(add_volume_node(scene, volume, name="scan"), tmp_path)


def test_the_grid_of_the_phantom_is_covered(scene):
    """A volume with 400,000 voxels: the grid is found within seconds, and holds to its borders."""
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    node.SetAndObserveTransformFromParent(bspline_transform())
    found, _ = spatial_transform_of_node(node, CT_GRID)
    corners_ras = flip_points_lps_ras(CT_GRID.corners_lps)
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    exact = flip_points_lps_ras([from_world.TransformPoint(point) for point in corners_ras.tolist()])
    assert np.linalg.norm(found.to_moving(CT_GRID.corners_lps) - exact, axis=1).max() < 0.06
