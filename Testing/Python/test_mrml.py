"""Nodes in, a transform node out: everything in world coordinates, whatever the parents."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import CT_GRID, CT_POSE, MR_POSE, rigid
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space, flip_matrix_lps_ras, flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, translation_matrix
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.mrml.register import register_nodes
from MultimodalRegistrationLib.mrml.transforms import SETTINGS_ATTRIBUTE, apply_to_moving, inverted_copy
from MultimodalRegistrationLib.mrml.volume_kinds import other_volumes, wrong_kind
from MultimodalRegistrationLib.mrml.volumes import mask_from_node, volume_from_node
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk
from vtk.util.numpy_support import numpy_to_vtk

PARENT_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])


def vtk_matrix(matrix):
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel())
    return result


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


def add_volume(scene, volume, name, kind="vtkMRMLScalarVolumeNode"):
    """Make a node by MRML's own calls, not by the code under test."""
    node = scene.AddNewNodeByClass(kind, name)
    data = vtk.vtkImageData()
    data.SetDimensions(*volume.grid.size)
    data.GetPointData().SetScalars(numpy_to_vtk(volume.voxels.ravel(), deep=True))
    node.SetAndObserveImageData(data)
    node.SetIJKToRASMatrix(vtk_matrix(flip_ijk_to_space(volume.grid.ijk_to_lps)))
    return node


def add_parent(scene, node, to_parent_ras):
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent.SetMatrixTransformToParent(vtk_matrix(to_parent_ras))
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


def world_matrix(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToWorld(matrix)
    return matrix_from_vtk(matrix)


def ijk_to_world_ras(node):
    """Where Slicer shows each voxel."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    parent = node.GetParentTransformNode()
    return (np.eye(4) if parent is None else world_matrix(parent)) @ matrix_from_vtk(ijk_to_ras)


def test_voxels_and_oblique_flipped_placement(scene, head_ct):
    volume = volume_from_node(add_volume(scene, head_ct, "ct"))
    np.testing.assert_array_equal(volume.voxels, head_ct.voxels)
    np.testing.assert_allclose(volume.grid.ijk_to_lps, CT_GRID.ijk_to_lps, atol=1e-9)
    assert volume.name == "ct"


def test_nested_linear_parents_are_part_of_the_placement(scene, head_ct):
    node = add_volume(scene, head_ct, "ct")
    inner = add_parent(scene, node, PARENT_RAS)
    outer = rigid([0, 1, 1], -50, [-8, 9, 70])
    add_parent(scene, inner, outer)
    grid = volume_from_node(node).grid
    np.testing.assert_allclose(
        flip_ijk_to_space(grid.ijk_to_lps), outer @ PARENT_RAS @ flip_ijk_to_space(CT_GRID.ijk_to_lps), atol=1e-9
    )


def test_a_file_written_by_mrml_is_read_by_simpleitk_where_the_node_lies(scene, tmp_path, head_ct):
    node = add_volume(scene, head_ct, "ct")
    storage = scene.AddNewNodeByClass("vtkMRMLNRRDStorageNode")
    storage.SetFileName(str(tmp_path / "ct.nrrd"))
    assert storage.WriteData(node) == 1
    image, volume = sitk.ReadImage(str(tmp_path / "ct.nrrd")), volume_from_node(node)
    for index in [(0, 0, 0), (10, 3, 5), (2, 40, 30)]:
        np.testing.assert_allclose(
            volume.image.TransformIndexToPhysicalPoint(index), image.TransformIndexToPhysicalPoint(index), atol=1e-4
        )
        assert volume.image[index] == pytest.approx(image[index])


def warp(scene, node):
    """A thin-plate spline that bends the head by up to 12 mm, as the node's parent."""
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    rng = np.random.default_rng(1)
    for point in flip_points_lps_ras(CT_GRID.corners_lps):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point + rng.uniform(-12, 12, 3))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    parent.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


def test_a_non_linear_parent_is_honoured_by_resampling(scene, head_ct):
    smooth = sitk.SmoothingRecursiveGaussian(head_ct.image, 3)
    node = add_volume(scene, type(head_ct)(smooth, "ct"), "ct")
    parent = warp(scene, node)
    volume = volume_from_node(node)
    to_world = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(to_world)
    before, after = [], []
    for point in target_points_lps(CT_POSE):
        if head_ct.grid.contains(point[None])[0]:
            before.append(smooth.EvaluateAtPhysicalPoint(point.tolist()))
            moved = flip_points_lps_ras(to_world.TransformPoint(flip_points_lps_ras(point).tolist()))
            after.append(volume.image.EvaluateAtPhysicalPoint(moved.tolist()))
    assert np.corrcoef(before, after)[0, 1] > 0.995
    assert np.median(np.abs(np.subtract(before, after))) < 10
    assert node.GetImageData().GetDimensions() == head_ct.grid.size, "the node itself stays"


@pytest.mark.story("U21")
def test_wrong_kinds_are_told_with_the_way_to_a_scalar_volume(scene, head_ct):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    labels = add_volume(scene, head_ct, "labels", "vtkMRMLLabelMapVolumeNode")
    vector = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colours")
    diffusion = scene.AddNewNodeByClass("vtkMRMLDiffusionTensorVolumeNode", "tensors")
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", "bone")
    for node, found in {
        empty: "holds no voxels",
        labels: "label map",
        vector: "Vector to Scalar Volume",
        diffusion: "diffusion volume",
        model: "not a scalar volume",
    }.items():
        with pytest.raises(InputError, match=found) as caught:
            volume_from_node(node)
        assert str(caught.value).startswith(node.GetName())


def test_volumes_that_no_list_offers_are_known(scene, head_ct):
    """Before what they hold is there, as in the event that a node was added."""
    assert other_volumes(scene) == []
    add_volume(scene, head_ct, "scan")
    add_volume(scene, head_ct, "labels", "vtkMRMLLabelMapVolumeNode")
    hidden = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "hidden")
    hidden.SetHideFromEditors(True)
    kinds = {"Vector": "vector", "DiffusionWeighted": "diffusion", "DiffusionTensor": "tensor"}
    others = [scene.AddNewNodeByClass(f"vtkMRML{kind}VolumeNode", kind) for kind in kinds]
    assert other_volumes(scene) == others
    assert [wrong_kind(node).code for node in others] == list(kinds.values())


def test_masks_follow_their_parent(scene, head_ct):
    mask = type(head_ct)(sitk.Cast(head_ct.image > 500, sitk.sitkUInt8) * 3, "mask")
    node = add_volume(scene, mask, "mask", "vtkMRMLLabelMapVolumeNode")
    add_parent(scene, node, PARENT_RAS)
    read = mask_from_node(node)
    np.testing.assert_array_equal(read.voxels, mask.voxels > 0)
    np.testing.assert_allclose(read.grid.ijk_to_lps, flip_matrix_lps_ras(PARENT_RAS) @ CT_GRID.ijk_to_lps, atol=1e-9)


@pytest.mark.story("U24")
@pytest.mark.slow
@pytest.mark.parametrize("swapped", [False, True], ids=["ct-fixed", "mr-fixed"])
def test_registration_under_parents_on_both_sides(scene, head_ct, head_mr, swapped):
    """The node must bring the moving volume from where it lies to where the fixed one lies, then harden and invert."""
    ct, mr = add_volume(scene, head_ct, "CT"), add_volume(scene, head_mr, "MR")
    ct_parent = add_parent(scene, ct, PARENT_RAS)
    mr_parent = add_parent(scene, mr, rigid([0, 0.3, 1], -35, [-40, 22, -18]))
    fixed, moving = (mr, ct) if swapped else (ct, mr)
    ids_before = {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}
    placed_before = ijk_to_world_ras(moving)
    result = register_nodes(scene, fixed, moving)
    node = result.node
    added = {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())} - ids_before
    assert added == {node.GetID()}
    np.testing.assert_array_equal(ijk_to_world_ras(moving), placed_before)
    ct_targets = target_points_lps(CT_POSE)
    in_ct_world = apply_matrix(world_matrix(ct_parent), flip_points_lps_ras(ct_targets))
    mr_targets = apply_matrix(MR_POSE @ np.linalg.inv(CT_POSE), ct_targets)
    in_mr_world = apply_matrix(world_matrix(mr_parent), flip_points_lps_ras(mr_targets))
    fixed_world, moving_world = (in_mr_world, in_ct_world) if swapped else (in_ct_world, in_mr_world)

    assert node.IsLinear()
    found = apply_matrix(world_matrix(node), moving_world)
    assert np.linalg.norm(found - fixed_world, axis=1).mean() < 0.8

    assert node.GetNodeReferenceID("spatialRegistrationFixed") == fixed.GetID()
    assert node.GetNodeReferenceID("spatialRegistrationMoving") == moving.GetID()
    settings = json.loads(node.GetAttribute(SETTINGS_ATTRIBUTE))
    assert settings == result.content
    np.testing.assert_allclose(settings["transform"]["moving_to_fixed_ras"], world_matrix(node), atol=1e-9)

    inverse = inverted_copy(node)
    np.testing.assert_allclose(world_matrix(inverse) @ world_matrix(node), np.eye(4), atol=1e-9)
    assert inverse.IsLinear()

    old_parent = moving.GetParentTransformNode()
    old_parent_matrix = world_matrix(old_parent)
    apply_to_moving(node, moving)
    expected = world_matrix(node) @ placed_before
    np.testing.assert_allclose(ijk_to_world_ras(moving), expected, atol=1e-9)
    np.testing.assert_array_equal(world_matrix(old_parent), old_parent_matrix)
    dimensions = moving.GetImageData().GetDimensions()
    moving.HardenTransform()
    assert moving.GetParentTransformNode() is None
    assert moving.GetImageData().GetDimensions() == dimensions, "linear: the header only"
    np.testing.assert_allclose(ijk_to_world_ras(moving), expected, atol=1e-9)


def test_applied_to_a_volume_without_parent_the_result_is_the_parent(scene, head_ct):
    node = add_volume(scene, head_ct, "ct")
    result = scene.AddNewNodeByClass("vtkMRMLTransformNode", "result")
    result.SetMatrixTransformToParent(vtk_matrix(PARENT_RAS))
    assert apply_to_moving(result, node) is result
    assert node.GetParentTransformNode() is result


def test_applied_over_a_warp_both_act_in_order(scene, head_ct):
    node = add_volume(scene, head_ct, "ct")
    parent = warp(scene, node)
    result = scene.AddNewNodeByClass("vtkMRMLTransformNode", "result")
    result.SetMatrixTransformToParent(vtk_matrix(PARENT_RAS))
    combined = apply_to_moving(result, node)
    warped, both = vtk.vtkGeneralTransform(), vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(warped)
    combined.GetTransformToWorld(both)
    for point in ([0, 0, 0], [30, -20, 50], [-44, 12, 8]):
        np.testing.assert_allclose(
            both.TransformPoint(point), apply_matrix(PARENT_RAS, warped.TransformPoint(point)), atol=1e-6
        )


@pytest.mark.slow
def test_an_initial_transform_node_moves_the_moving_volume_first(scene, head_ct, head_mr, truth_ct_to_mr_lps):
    ct, mr = add_volume(scene, head_ct, "CT"), add_volume(scene, head_mr, "MR")
    # Turned round altogether: only the start can lead to the answer.
    far_mr = add_parent(scene, mr, rigid([0.2, 1, 0.1], 170, [400, -300, 250]))
    truth_ras = np.linalg.inv(flip_matrix_lps_ras(truth_ct_to_mr_lps)) @ np.linalg.inv(world_matrix(far_mr))
    points = apply_matrix(world_matrix(far_mr), flip_points_lps_ras(target_points_lps(MR_POSE)))
    center = translation_matrix(points.mean(axis=0))
    off = center @ rigid([1, 0, 0.2], 12, [9, -14, 6]) @ np.linalg.inv(center)
    assert displacement_mm(truth_ras @ off, truth_ras, points).mean() > 15
    start = scene.AddNewNodeByClass("vtkMRMLTransformNode", "start")
    start.SetMatrixTransformToParent(vtk_matrix(truth_ras @ off))
    node = register_nodes(scene, ct, mr, initial_transform_node=start, start="given", verdict=False).node
    assert displacement_mm(world_matrix(node), truth_ras, points).mean() < 0.8
