"""Masks from segments: on the volume's grid in the world, whatever the parents, and nothing is left behind."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import CT_GRID, centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import Cancelled, InputError
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space, flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.mrml.register import register_nodes
from MultimodalRegistrationLib.mrml.segments import mask_from_segments, mask_of_volume
from MultimodalRegistrationLib.register import job as register_job
from vtk.util.numpy_support import numpy_to_vtk

INNER_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])
OUTER_RAS = rigid([0, 1, 1], -50, [-8, 9, 70])
# Where the volume lies, and a grid of the segmentation that is oblique to it, finer, and flipped.
VOLUME_GRID = centered_grid([40, 36, 28], [1.7, 1.6, 2.3], rotation([-0.2, 1, 0.5], 81), [-40, 25, 15])
GRID = centered_grid([50, 54, 30], [1, 1.1, 1.8], rotation([1, 0.3, -0.2], 33) @ np.diag([1, 1, -1]), [-40, 25, 15])


def vtk_matrix(matrix):
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel())
    return result


@pytest.fixture(scope="module", autouse=True)
def _conversion_rules():
    """Slicer registers them when it loads its Segmentations module."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    rules = [
        slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule(),
        slicer.vtkClosedSurfaceToBinaryLabelmapConversionRule(),
    ]
    for rule in rules:
        factory.RegisterConverterRule(rule)
    yield
    for rule in rules:
        factory.UnregisterConverterRule(rule)


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


@pytest.fixture(scope="module")
def volume():
    image = sitk.GetImageFromArray(np.random.default_rng(2).normal(size=VOLUME_GRID.size[::-1]).astype(np.float32))
    VOLUME_GRID.place(image)
    return Volume(image, "scan")


def centres_lps(grid):
    """Voxel centres, shape (K, J, I, 3)."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.size[::-1]), indexing="ij")
    return apply_matrix(grid.ijk_to_lps, np.stack([i, j, k], axis=-1).reshape(-1, 3)).reshape(*grid.size[::-1], 3)


def ball(center_lps, radius_mm, grid=GRID):
    return np.linalg.norm(centres_lps(grid) - center_lps, axis=-1) < radius_mm


FIRST, SECOND = ball([-44, 22, 14], 14), ball([-33, 30, 19], 12)


def oriented(voxels, grid=GRID, first=(0, 0, 0)):
    """A label map of Slicer; its extent may begin anywhere, as after cropping."""
    labels = slicer.vtkOrientedImageData()
    labels.SetExtent(*(v for start, n in zip(first, grid.size, strict=True) for v in (start, start + n - 1)))
    labels.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(voxels, dtype=np.uint8).ravel(), deep=True))
    back = np.eye(4)
    back[:3, 3] = -np.asarray(first)
    labels.SetImageToWorldMatrix(vtk_matrix(flip_ijk_to_space(grid.ijk_to_lps) @ back))
    return labels


def add_segmentation(scene, **segments):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "parts")
    for name, voxels in segments.items():
        labels = voxels if isinstance(voxels, slicer.vtkOrientedImageData) else oriented(voxels)
        node.AddSegmentFromBinaryLabelmapRepresentation(labels, name)
    return node


def add_parents(scene, node):
    for matrix in (INNER_RAS, OUTER_RAS):
        parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
        parent.SetMatrixTransformToParent(vtk_matrix(matrix))
        node.SetAndObserveTransformNodeID(parent.GetID())
        node = parent
    return OUTER_RAS @ INNER_RAS


def expected(voxels, volume, to_world_ras=None, grid=GRID):
    """What nearest neighbours give, by hand, and where rounding may decide."""
    world_ras = flip_points_lps_ras(centres_lps(volume.grid).reshape(-1, 3))
    local_ras = world_ras if to_world_ras is None else apply_matrix(np.linalg.inv(to_world_ras), world_ras)
    exact = apply_matrix(np.linalg.inv(grid.ijk_to_lps), flip_points_lps_ras(local_ras))
    index = np.floor(exact + 0.5).astype(int)
    within = np.all((index >= 0) & (index < grid.size), axis=1)
    marked = np.zeros(len(index), dtype=bool)
    i, j, k = index[within].T
    marked[within] = voxels[k, j, i]
    decided = (np.abs(np.abs(exact - np.round(exact)) - 0.5) > 1e-4).all(axis=1)
    return (a.reshape(volume.grid.size[::-1]) for a in (marked, decided))


def assert_mask(mask, volume, voxels, to_world_ras=None):
    marked, decided = expected(voxels, volume, to_world_ras)
    assert marked.any()
    assert decided.mean() > 0.99
    np.testing.assert_array_equal(mask.voxels[decided] > 0, marked[decided])
    assert mask.grid == volume.grid
    assert mask.image.GetPixelID() == sitk.sitkUInt8
    assert set(np.unique(mask.voxels)) <= {0, 1}


def test_an_oblique_segment_is_marked_voxel_by_voxel(scene, volume):
    node = add_segmentation(scene, first=FIRST)
    mask = mask_from_segments(node, volume)
    assert_mask(mask, volume, FIRST)
    assert mask.name == "parts: first"
    # The ball itself: its volume, and a voxel's half diagonal of either grid around its surface.
    distance = np.linalg.norm(centres_lps(volume.grid) - [-44, 22, 14], axis=-1)
    assert (mask.voxels[distance < 14 - 1.2] > 0).all()
    assert (mask.voxels[distance > 14 + 1.2] == 0).all()


def test_overlapping_segments_are_joined_and_can_be_chosen(scene, volume):
    node = add_segmentation(scene, first=FIRST, second=SECOND)
    assert (FIRST & SECOND).any()
    assert_mask(mask_from_segments(node, volume), volume, FIRST | SECOND)
    assert_mask(mask_from_segments(node, volume, segments=["second"]), volume, SECOND)
    both = mask_from_segments(node, volume, segments=["second", node.GetSegmentation().GetNthSegmentID(0), "second"])
    assert_mask(both, volume, FIRST | SECOND)
    assert both.name == "parts: second, first"


def test_segments_that_share_one_label_map(scene, volume):
    second = SECOND & ~FIRST
    node = add_segmentation(scene, first=FIRST, second=second)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    segments = [node.GetSegmentation().GetNthSegment(n) for n in range(2)]
    assert segments[0].GetRepresentation("Binary labelmap") is segments[1].GetRepresentation("Binary labelmap")
    assert segments[0].GetLabelValue() != segments[1].GetLabelValue()
    assert_mask(mask_from_segments(node, volume), volume, FIRST | second)
    assert_mask(mask_from_segments(node, volume, segments=["second"]), volume, second)


def test_visible_segments_are_the_default(scene, volume):
    node = add_segmentation(scene, first=FIRST, second=SECOND)
    node.CreateDefaultDisplayNodes()
    assert_mask(mask_from_segments(node, volume), volume, FIRST | SECOND)
    node.GetDisplayNode().SetSegmentVisibility(node.GetSegmentation().GetNthSegmentID(0), False)
    assert_mask(mask_from_segments(node, volume), volume, SECOND)
    assert_mask(mask_from_segments(node, volume, segments=["first"]), volume, FIRST)
    node.GetDisplayNode().SetAllSegmentsVisibility(False)
    with pytest.raises(InputError, match="none of its segments is visible"):
        mask_from_segments(node, volume)


def test_outside_is_everything_else(scene, volume):
    node = add_segmentation(scene, first=FIRST, second=SECOND)
    inside, outside = (mask_from_segments(node, volume, outside=side) for side in (False, True))
    np.testing.assert_array_equal(inside.voxels + outside.voxels, 1)
    assert outside.name == "outside parts: first, second"
    assert outside.grid == volume.grid


def test_parents_hardened_or_not(scene, volume):
    node = add_segmentation(scene, first=FIRST)
    matrix_ras = add_parents(scene, node)
    moved = Volume(sitk.Image(volume.image), "moved scan")
    volume.grid.moved(np.diag([-1, -1, 1, 1]) @ matrix_ras @ np.diag([-1, -1, 1, 1])).place(moved.image)
    mask = mask_from_segments(node, moved)
    assert_mask(mask, moved, FIRST, matrix_ras)
    # The volume went the same way, so it is the mask of the unmoved two.
    unmoved = mask_from_segments(add_segmentation(scene, first=FIRST), volume)
    assert np.mean(unmoved.voxels != mask.voxels) < 1e-3
    node.HardenTransform()
    assert node.GetParentTransformNode() is None
    hardened = mask_from_segments(node, moved)
    assert np.mean(hardened.voxels != mask.voxels) < 1e-3


@settings(max_examples=10, deadline=None)
@given(angle=st.floats(-170, 170), shear=st.floats(-0.3, 0.3), flip=st.sampled_from([1, -1]))
def test_any_linear_parent(volume, angle, shear, flip):
    scene = slicer.vtkMRMLScene()
    node = add_segmentation(scene, first=FIRST)
    center_ras = flip_points_lps_ras(VOLUME_GRID.center_lps)
    matrix_ras = np.eye(4)
    matrix_ras[:3, :3] = rotation([0.3, -0.5, 0.8], angle) @ np.array([[flip, shear, 0], [0, 1.2, 0], [0, 0, 0.9]])
    matrix_ras[:3, 3] = center_ras - matrix_ras[:3, :3] @ center_ras + [2, -3, 1]
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent.SetMatrixTransformToParent(vtk_matrix(matrix_ras))
    node.SetAndObserveTransformNodeID(parent.GetID())
    assert_mask(mask_from_segments(node, volume), volume, FIRST, matrix_ras)


def test_a_non_linear_parent_bends_the_mask(scene, volume):
    node = add_segmentation(scene, first=FIRST)
    center_ras = flip_points_lps_ras(VOLUME_GRID.center_lps)
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    rng = np.random.default_rng(1)
    for corner in np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 3):
        source.InsertNextPoint(center_ras + 35 * corner)
        target.InsertNextPoint(center_ras + 35 * corner + rng.uniform(-9, 9, 3))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    parent.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(parent.GetID())
    mask = mask_from_segments(node, volume)
    inverse = spline.GetInverse()
    world_ras = flip_points_lps_ras(centres_lps(volume.grid).reshape(-1, 3))
    local_lps = flip_points_lps_ras([inverse.TransformPoint(point) for point in world_ras.tolist()])
    distance = np.linalg.norm(local_lps - [-44, 22, 14], axis=1).reshape(mask.voxels.shape)
    assert (mask.voxels[distance < 14 - 1.2] > 0).all()
    assert (mask.voxels[distance > 14 + 1.2] == 0).all()
    straight = mask_from_segments(add_segmentation(scene, first=FIRST), volume)
    assert np.mean(straight.voxels != mask.voxels) > 0.1 * straight.voxels.mean()


def test_a_label_map_whose_extent_begins_elsewhere(scene, volume):
    node = add_segmentation(scene, first=oriented(FIRST, first=(17, -6, 40)))
    assert_mask(mask_from_segments(node, volume), volume, FIRST)


def test_a_segment_that_is_a_surface_becomes_a_mask(scene, volume):
    source = vtk.vtkSphereSource()
    source.SetCenter(flip_points_lps_ras([-44, 22, 14]))
    source.SetRadius(14)
    source.SetPhiResolution(60)
    source.SetThetaResolution(60)
    source.Update()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "parts")
    node.SetSourceRepresentationToClosedSurface()
    node.AddSegmentFromClosedSurfaceRepresentation(source.GetOutput(), "ball")
    mask = mask_from_segments(node, volume)
    distance = np.linalg.norm(centres_lps(volume.grid) - [-44, 22, 14], axis=-1)
    assert (mask.voxels[distance < 14 - 1.5] > 0).all()
    assert (mask.voxels[distance > 14 + 1.5] == 0).all()
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap"), "the node itself stays"


def test_nothing_is_changed_and_no_node_is_left(scene, volume):
    node = add_segmentation(scene, first=FIRST, second=SECOND)
    add_parents(scene, node)
    node.CreateDefaultDisplayNodes()
    labels = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    before = (scene.GetNumberOfNodes(), labels.GetMTime(), node.GetSegmentation().GetMTime(), sitk.Hash(volume.image))
    placement = node.GetParentTransformNode().GetID()
    with pytest.raises(InputError):
        mask_from_segments(node, volume)
    node.SetAndObserveTransformNodeID(None)
    mask_from_segments(node, volume, outside=True)
    node.SetAndObserveTransformNodeID(placement)
    after = (scene.GetNumberOfNodes(), labels.GetMTime(), node.GetSegmentation().GetMTime(), sitk.Hash(volume.image))
    assert after == before


def test_what_cannot_be_a_mask_is_told_with_its_name(scene, volume):
    away = add_segmentation(scene, first=FIRST)
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent.SetMatrixTransformToParent(vtk_matrix(rigid([1, 2, 3], 20, [400, 0, 0])))
    away.SetAndObserveTransformNodeID(parent.GetID())
    for outside in (False, True):
        with pytest.raises(InputError, match="parts: first: nothing of it lies inside scan"):
            mask_from_segments(away, volume, outside=outside)
    node = add_segmentation(scene, first=FIRST, hollow=np.zeros_like(FIRST))
    with pytest.raises(InputError, match="parts: hollow: the segment is empty"):
        mask_from_segments(node, volume)
    node.GetSegmentation().AddEmptySegment("new", "new")
    with pytest.raises(InputError, match="parts: new: the segment is empty"):
        mask_from_segments(node, volume, segments=["first", "new"])
    with pytest.raises(InputError, match=r"no segment 'third'.*'first', 'hollow', 'new'"):
        mask_from_segments(node, volume, segments=["third"])
    node.GetSegmentation().GetSegment("new").SetName("first")
    with pytest.raises(InputError, match="2 segments are called 'first'"):
        mask_from_segments(node, volume, segments=["first"])
    with pytest.raises(InputError, match="no segment was chosen"):
        mask_from_segments(node, volume, segments=[])
    with pytest.raises(InputError, match="it has no segments"):
        mask_from_segments(scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "none"), volume)
    everything = add_segmentation(scene, all=np.ones((4, 4, 4)) > 0)
    wide = centered_grid([4, 4, 4], [90, 90, 90], np.eye(3), [-40, 25, 15])
    everything.GetSegmentation().RemoveAllSegments()
    everything.AddSegmentFromBinaryLabelmapRepresentation(oriented(np.ones((4, 4, 4)), wide), "all")
    with pytest.raises(InputError, match="nothing lies outside"):
        mask_from_segments(everything, volume, outside=True)


def add_volume(scene, volume, kind="vtkMRMLScalarVolumeNode"):
    node = scene.AddNewNodeByClass(kind, volume.name)
    data = vtk.vtkImageData()
    data.SetDimensions(*volume.grid.size)
    data.GetPointData().SetScalars(numpy_to_vtk(np.array(volume.voxels).ravel(), deep=True))
    node.SetAndObserveImageData(data)
    node.SetIJKToRASMatrix(vtk_matrix(flip_ijk_to_space(volume.grid.ijk_to_lps)))
    return node


def test_label_maps_are_taken_as_before_and_outside_too(scene, volume):
    image = sitk.GetImageFromArray(FIRST.astype(np.uint8) * 3)
    GRID.place(image)
    node = add_volume(scene, Volume(image, "labels"), "vtkMRMLLabelMapVolumeNode")
    np.testing.assert_array_equal(mask_of_volume(node, volume).voxels > 0, FIRST)
    inside, decided = expected(FIRST, volume)
    outside = mask_of_volume(node, volume, outside=True)
    np.testing.assert_array_equal(outside.voxels[decided] == 0, inside[decided])
    assert outside.name == "outside labels"
    with pytest.raises(InputError, match="this is no segmentation"):
        mask_of_volume(node, volume, segments=["first"])


def test_register_nodes_takes_them(scene, head_ct, head_mr, monkeypatch):
    """Up to the registration itself, which gets masks on the grids of the volumes."""
    segments = [ball(head_ct.grid.center_lps, 60, CT_GRID), ball(head_mr.grid.center_lps, 50, head_mr.grid)]
    nodes = [
        add_segmentation(scene, head=oriented(voxels, volume.grid))
        for voxels, volume in zip(segments, (head_ct, head_mr), strict=True)
    ]
    got = {}

    def note(inputs, _request, _run):
        got.update(vars(inputs.masks))
        raise Cancelled

    monkeypatch.setattr(register_job, "register", note)
    count = scene.GetNumberOfNodes()
    with pytest.raises(Cancelled):
        register_nodes(
            scene,
            *(add_volume(scene, volume) for volume in (head_ct, head_mr)),
            fixed_mask_node=nodes[0],
            moving_mask_node=nodes[1],
            moving_mask_segments=["head"],
            moving_mask_outside=True,
            cancel=threading.Event(),
        )
    assert scene.GetNumberOfNodes() == count + 2
    np.testing.assert_array_equal(got["fixed"].voxels > 0, segments[0])
    np.testing.assert_array_equal(got["moving"].voxels == 0, segments[1])
    assert got["fixed"].grid.coincides_with(head_ct.grid)
