"""Volume nodes checked and prepared: kinds, remedies, oblique volumes below parents; the user's nodes never change."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from conftest import CT_POSE, MR_POSE, centered_grid, rigid, rotation
from MultimodalRegistrationLib.core.errors import Cancelled, InputError
from MultimodalRegistrationLib.core.frames import (
    flip_ijk_to_space,
    flip_matrix_lps_ras,
    flip_points_lps_ras,
    modelling_ras_from_resampling_lps,
)
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.mrml.prepared_nodes import found_for, remove_nodes
from MultimodalRegistrationLib.mrml.preprocess import (
    Inputs,
    PreprocessJob,
    Settings,
    find_region_nodes,
    preprocess_nodes,
)
from MultimodalRegistrationLib.mrml.roi import box_of_roi_node
from MultimodalRegistrationLib.mrml.transforms import add_linear_transform_node, apply_to_moving
from MultimodalRegistrationLib.mrml.volume_findings import add_remedy, check_kinds, check_nodes
from MultimodalRegistrationLib.mrml.volumes import volume_from_node
from MultimodalRegistrationLib.preprocess.bias import preview_bias, write_preview
from test_mrml import PARENT_RAS, add_parent, add_volume, ijk_to_world_ras, vtk_matrix, world_matrix
from vtk.util.numpy_support import numpy_to_vtk

# Oblique, anisotropic and flipped.
CT_SMALL = centered_grid(
    [60, 68, 38], [3.1, 3.1, 6.2], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
MR_SMALL = centered_grid([52, 48, 58], [3.6, 4.6, 3.5], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
MR_PARENT_RAS = rigid([0.1, 1, 0.4], -40, [-20, 15, 9])
CT_TO_MR_LPS = MR_POSE @ np.linalg.inv(CT_POSE)


@pytest.fixture(scope="module")
def heads():
    return make_head("CT", CT_SMALL, CT_POSE, seed=1), make_head("T1", MR_SMALL, MR_POSE, seed=2)


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


@pytest.fixture
def pair(scene, heads):
    """Both below parents, and the transform node that brings the MR onto the CT, where they lie in the world."""
    ct, mr = (add_volume(scene, volume, "scan") for volume in heads)
    ct.SetName("CT")
    add_parent(scene, ct, PARENT_RAS)
    add_parent(scene, mr, MR_PARENT_RAS)
    start = scene.AddNewNodeByClass("vtkMRMLTransformNode", "start")
    mr_to_ct_ras = modelling_ras_from_resampling_lps(CT_TO_MR_LPS)
    start.SetMatrixTransformToParent(vtk_matrix(PARENT_RAS @ mr_to_ct_ras @ np.linalg.inv(MR_PARENT_RAS)))
    return ct, mr, start


def voxels(node):
    return slicer.util.arrayFromVolume(node)


def identifiers(scene):
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def codes(findings):
    return [(each.role, each.finding.code, each.finding.severity, each.remedy) for each in findings]


def test_crops_are_blocks_of_the_voxels_where_these_lie(scene, pair):
    ct, mr, start = pair
    before = [(voxels(node).copy(), ijk_to_world_ras(node), node.GetTransformNodeID()) for node in (ct, mr)]
    made = preprocess_nodes(scene, ct, mr, initial_transform_node=start)
    for original, copy, mask in ((ct, made.fixed, made.fixed_mask), (mr, made.moving, made.moving_mask)):
        index = np.linalg.inv(ijk_to_world_ras(original)) @ ijk_to_world_ras(copy)
        np.testing.assert_allclose(index[:3, :3], np.eye(3), atol=1e-9)
        first = np.round(index[:3, 3]).astype(int)
        np.testing.assert_allclose(index[:3, 3], first, atol=1e-6)
        block = tuple(slice(at, at + n) for at, n in zip(first[::-1], voxels(copy).shape, strict=True))
        np.testing.assert_array_equal(voxels(copy), voxels(original)[block])
        assert voxels(copy).size < voxels(original).size
        np.testing.assert_allclose(ijk_to_world_ras(mask), ijk_to_world_ras(copy), atol=1e-9)
        assert mask.IsA("vtkMRMLLabelMapVolumeNode")
        assert 0.2 < voxels(mask).mean() < 1
    for node, (values, place, parent) in zip((ct, mr), before, strict=True):
        np.testing.assert_array_equal(voxels(node), values)
        np.testing.assert_array_equal(ijk_to_world_ras(node), place)
        assert node.GetTransformNodeID() == parent
    assert made.prealignment is start
    assert (made.fixed.GetName(), made.moving.GetName()) == ("CT prepared", "scan prepared")
    # The head is inside the region.
    targets_world = flip_points_lps_ras(apply_matrix(PARENT_RAS, flip_points_lps_ras(target_points_lps(CT_POSE))))
    assert box_of_roi_node(made.roi).contains(targets_world).mean() > 0.95
    assert made.roi.GetDisplayNode().GetHandlesInteractive()


def test_a_transform_of_the_crops_moves_the_full_volume_likewise(scene, pair):
    ct, mr, start = pair
    made = preprocess_nodes(scene, ct, mr, initial_transform_node=start)
    offset = np.linalg.inv(ijk_to_world_ras(mr)) @ ijk_to_world_ras(made.moving)
    result = add_linear_transform_node(
        scene, rigid([1, 2, 3], 77, [10, 20, 30]), name="result", fixed_node=ct, moving_node=mr, settings={}
    )
    apply_to_moving(result, made.moving)
    apply_to_moving(result, mr)
    np.testing.assert_allclose(ijk_to_world_ras(mr) @ offset, ijk_to_world_ras(made.moving), atol=1e-9)


def test_a_roi_and_segments_choose_the_region(scene, pair):
    ct, mr, start = pair
    found = find_region_nodes(scene, ct, mr, initial_transform_node=start, margin_mm=5)
    assert found_for(found.roi, ct, mr)
    assert not found_for(found.roi, mr, ct)
    found.roi.SetSize(60.0, 55.0, 80.0)
    made = preprocess_nodes(scene, ct, mr, initial_transform_node=start, roi_node=found.roi, automatic_masks=())
    assert made.roi is found.roi
    assert made.fixed_mask is None
    extent = np.array(made.fixed.GetImageData().GetDimensions()) * made.fixed.GetSpacing()
    assert np.all(np.sort(extent) >= [55, 60, 80])
    assert np.all(extent - np.array(made.fixed.GetSpacing()) * 2 <= 80)
    # The moving volume holds what the ROI holds.
    in_moving = apply_matrix(
        np.linalg.inv(ijk_to_world_ras(made.moving)) @ np.linalg.inv(world_matrix(start)),
        flip_points_lps_ras(box_of_roi_node(found.roi).corners_lps),
    )
    full = np.array(made.moving.GetImageData().GetDimensions())
    assert np.all(in_moving > -1.01)
    assert np.all(in_moving < full + 0.01)
    labels = np.zeros(CT_SMALL.size[::-1], np.uint8)
    labels[15:22, 30:40, 20:38] = 1
    image = sitk.GetImageFromArray(labels)
    CT_SMALL.place(image)
    node = add_volume(scene, Volume(image, "part"), "part", "vtkMRMLLabelMapVolumeNode")
    node.SetAndObserveTransformNodeID(ct.GetTransformNodeID())
    cut = preprocess_nodes(
        scene, ct, mr, initial_transform_node=start, segmentation_node=node, margin_mm=0, automatic_masks=()
    )
    np.testing.assert_array_equal(voxels(cut.fixed), voxels(ct)[15:22, 30:40, 20:38])
    around = find_region_nodes(scene, ct, mr, initial_transform_node=start, segmentation_node=node, margin_mm=4)
    # Between the centres of the outermost voxels, with 4 mm on all sides.
    wanted = (np.array([18, 10, 7]) - 1) * CT_SMALL.spacing_mm + 8
    np.testing.assert_allclose(np.sort(around.roi.GetSize()), np.sort(wanted), atol=1e-6)
    with pytest.raises(InputError, match="part"):
        preprocess_nodes(scene, ct, mr, initial_transform_node=start, segmentation_node=node, roi_node=found.roi)


def test_a_region_is_set_anew_but_not_a_roi_of_the_user(scene, pair):
    ct, mr, start = pair
    first = find_region_nodes(scene, ct, mr, initial_transform_node=start)
    size = list(first.roi.GetSize())
    second = find_region_nodes(scene, ct, mr, initial_transform_node=start, roi_node=first.roi, margin_mm=20)
    assert second.roi is first.roi
    assert second.added == ()
    np.testing.assert_allclose(np.array(second.roi.GetSize()) - size, 20, atol=1e-6)
    own = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "own")
    own.SetSize(30.0, 40.0, 50.0)
    third = find_region_nodes(scene, ct, mr, initial_transform_node=start, roi_node=own)
    assert third.roi is not own
    assert list(own.GetSize()) == [30, 40, 50]


def test_masks_of_the_user_bias_field_and_cubic_voxels(scene, pair):
    ct, mr, start = pair
    marked = np.zeros(MR_SMALL.size[::-1], np.uint8)
    marked[18:40, 12:36, 10:40] = 4
    image = sitk.GetImageFromArray(marked)
    MR_SMALL.place(image)
    mask = add_volume(scene, Volume(image, "brain"), "brain", "vtkMRMLLabelMapVolumeNode")
    mask.SetAndObserveTransformNodeID(mr.GetTransformNodeID())
    made = preprocess_nodes(
        scene,
        ct,
        mr,
        initial_transform_node=start,
        moving_mask_node=mask,
        automatic_masks=("fixed",),
        bias_correct=("moving",),
        isotropic_mm=4.0,
    )
    for node in (made.fixed, made.moving, made.fixed_mask, made.moving_mask):
        np.testing.assert_allclose(node.GetSpacing(), 4, atol=1e-9)
    volume_mm3 = np.count_nonzero(marked) * np.prod(MR_SMALL.spacing_mm)
    assert np.count_nonzero(voxels(made.moving_mask)) * 64 == pytest.approx(volume_mm3, rel=0.05)
    np.testing.assert_allclose(ijk_to_world_ras(made.moving_bias_field), ijk_to_world_ras(mr), atol=1e-9)
    assert made.fixed_bias_field is None
    assert {mask.GetID(), ct.GetID()} <= identifiers(scene)


def test_the_copy_looks_like_the_original_and_none_needs_a_display(scene, pair):
    ct, mr, start = pair
    ct.CreateDefaultDisplayNodes()
    ct.GetScalarVolumeDisplayNode().SetAutoWindowLevel(False)
    ct.GetScalarVolumeDisplayNode().SetWindowLevel(321.0, 45.0)
    made = preprocess_nodes(scene, ct, mr, initial_transform_node=start, automatic_masks=())
    display = made.fixed.GetScalarVolumeDisplayNode()
    assert display is not ct.GetScalarVolumeDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (321, 45)
    assert made.moving.GetScalarVolumeDisplayNode() is not None
    assert mr.GetDisplayNode() is None


def test_failure_and_cancel_leave_the_scene_as_it_was(scene, pair):
    ct, mr, start = pair
    before = identifiers(scene)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        preprocess_nodes(scene, ct, mr, initial_transform_node=start, bias_correct=("moving",), cancel=cancel)
    with pytest.raises(InputError, match="CT"):
        preprocess_nodes(scene, ct, mr, initial_transform_node=start, bias_correct=("fixed",))
    with pytest.raises(InputError, match="both volumes"):
        preprocess_nodes(scene, ct, ct)
    assert identifiers(scene) == before
    made = preprocess_nodes(scene, ct, mr, initial_transform_node=start)
    assert identifiers(scene) > before
    remove_nodes(scene, made.added)
    assert identifiers(scene) == before


def of_kind(scene, kind, components=1, dtype=np.uint8):
    node = scene.AddNewNodeByClass(kind, kind[8:])
    values = np.random.default_rng(3).integers(0, 200, (12, 14, 16, components)).astype(dtype)
    slicer.util.updateVolumeFromArray(node, values if components > 1 else values[..., 0])
    node.SetIJKToRASMatrix(vtk_matrix(flip_ijk_to_space(CT_SMALL.ijk_to_lps)))
    add_parent(scene, node, PARENT_RAS)
    return node, values


def test_wrong_kinds_are_found_and_helped_with_new_nodes(scene):
    colour, values = of_kind(scene, "vtkMRMLVectorVolumeNode", 3)
    labels, _ = of_kind(scene, "vtkMRMLLabelMapVolumeNode")
    assert codes(check_kinds(colour, labels)) == [
        ("fixed", "vector", "error", "scalar"),
        ("moving", "label-map", "error", "mask"),
    ]
    grey = add_remedy(scene, colour, "scalar")
    np.testing.assert_allclose(voxels(grey), values @ [0.3, 0.59, 0.11], atol=0.51)
    np.testing.assert_allclose(ijk_to_world_ras(grey), ijk_to_world_ras(colour), atol=1e-9)
    assert check_kinds(grey, colour)[0].role == "moving"
    assert add_remedy(scene, labels, "mask") is labels
    field, values = of_kind(scene, "vtkMRMLVectorVolumeNode", 3, np.float32)
    np.testing.assert_array_equal(voxels(add_remedy(scene, field, "scalar")), values[..., 0])
    diffusion, values = of_kind(scene, "vtkMRMLDiffusionWeightedVolumeNode", 4, np.int16)
    diffusion.SetNumberOfGradients(4)
    for number, weight in enumerate((1000, 700, 0, 1000)):
        diffusion.SetBValue(number, weight)
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    assert codes(check_nodes(diffusion, empty)) == [
        ("fixed", "diffusion", "error", "baseline"),
        ("moving", "empty", "error", None),
    ]
    baseline = add_remedy(scene, diffusion, "baseline")
    np.testing.assert_array_equal(voxels(baseline), values[..., 2])
    np.testing.assert_array_equal(voxels(diffusion), values)
    with pytest.raises(InputError, match="ectorVolume"):
        preprocess_nodes(scene, colour, baseline)


@pytest.mark.story("U21")
def test_a_frame_of_a_sequence_is_copied(scene, heads):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "perfusion")
    volume = add_volume(scene, heads[1], "frame")
    for time in ("0", "1"):
        sequence.SetDataNodeAtValue(volume, time)
    browser = scene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
    browser.SetName("browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(volume, sequence, False)
    other = add_volume(scene, heads[0], "CT")
    found = check_kinds(volume, other)
    assert codes(found) == [("fixed", "sequence-frame", "warning", "frame")]
    assert "browser" in found[0].finding.message
    copy = add_remedy(scene, volume, "frame")
    np.testing.assert_array_equal(voxels(copy), voxels(volume))
    assert check_kinds(copy, other) == ()
    first = add_remedy(scene, sequence, "frame")
    np.testing.assert_array_equal(voxels(first), heads[1].voxels)
    empty = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "nothing")
    with pytest.raises(InputError, match="nothing"):
        add_remedy(scene, empty, "frame")


def test_findings_about_voxels_and_placement(scene, heads, pair):
    ct, mr, _ = pair
    raw = add_volume(scene, Volume(sitk.Cast(sitk.Maximum(heads[0].image + 1024, 0), sitk.sitkUInt16), "raw"), "raw")
    found = check_nodes(raw, mr)
    assert ("fixed", "ct-without-rescale", "note", "hounsfield") in codes(found)
    assert np.median(voxels(raw).astype(int) - voxels(add_remedy(scene, raw, "hounsfield"))) == 1024
    constant = add_volume(scene, Volume(heads[0].image * 0, "c"), "constant")
    assert any(each.role == "moving" and each.finding.severity == "error" for each in check_nodes(ct, constant))
    flat = np.eye(4)
    flat[2, 2] = 0
    add_parent(scene, constant, flat)
    assert codes(check_kinds(ct, constant)) == [("moving", "flat", "error", None)]
    copy = add_volume(scene, heads[0], "copy")
    twice = add_volume(scene, heads[0], "twice")
    assert (None, "same-volume", "warning", None) in codes(check_nodes(copy, twice))
    warp = slicer.vtkMRMLTransformNode()
    grid = slicer.vtkOrientedGridTransform()
    warp.SetAndObserveTransformFromParent(grid)
    scene.AddNode(warp)
    warp.SetName("warp")
    twice.SetAndObserveTransformNodeID(warp.GetID())
    noted = check_kinds(copy, twice)
    assert codes(noted) == [("moving", "warped", "note", None)]
    assert "warp" in noted[0].finding.message


def test_a_job_of_nodes_with_the_same_name_says_which(scene, pair, tmp_path):
    ct, mr, start = pair
    mr.SetName("CT")
    job = PreprocessJob(Inputs(ct, mr, initial_transform=start), Settings(), tmp_path, "prepare")
    scene.RemoveNode(mr)
    with pytest.raises(InputError, match="removed"):
        list(job.write())
    bent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    bent.SetAndObserveTransformFromParent(slicer.vtkOrientedGridTransform())
    with pytest.raises(InputError, match="bent"):
        PreprocessJob(Inputs(ct, scene.AddNode(mr), initial_transform=bent), Settings(), tmp_path, "region")


def test_a_preview_finds_the_field(heads, tmp_path):
    head = heads[1]
    k, _, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in head.voxels.shape), indexing="ij")
    field = np.exp(0.35 * i - 0.25 * k).astype(np.float32)
    image = sitk.GetImageFromArray(head.voxels * field)
    image.CopyInformation(head.image)
    preview = preview_bias(Volume(image, "MR"))
    clean = preview_bias(head)
    assert preview.before.shape == clean.before.shape == preview.field.shape
    tissue = clean.before > 200
    truth = (preview.before / clean.before)[tissue]
    found = preview.field[tissue] / clean.field[tissue]
    spread = np.std(np.log(truth)), np.std(np.log(truth / found))
    assert spread[1] < 0.35 * spread[0]
    write_preview(preview, tmp_path / "p.png")
    assert sitk.ReadImage(str(tmp_path / "p.png")).GetSize() == (
        3 * preview.before.shape[1] + 8,
        preview.before.shape[0],
    )
    with pytest.raises(InputError, match="CT"):
        preview_bias(heads[0])


def test_what_lies_in_the_world_is_read_there(scene, pair):
    ct, mr, start = pair
    made = preprocess_nodes(scene, ct, mr, initial_transform_node=start, automatic_masks=())
    grid = volume_from_node(made.fixed).grid
    point = grid.ijk_to_lps @ [1, 1, 1, 1]
    local = np.linalg.inv(flip_matrix_lps_ras(PARENT_RAS)) @ point
    index = np.linalg.inv(CT_SMALL.ijk_to_lps) @ local
    np.testing.assert_allclose(index[:3], np.round(index[:3]), atol=1e-6)


def test_segments_of_a_mask_and_what_lies_outside_of_it(scene, pair):
    ct, mr, start = pair
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "parts")
    marked = {"head": np.zeros(CT_SMALL.size[::-1], np.uint8), "other": np.zeros(CT_SMALL.size[::-1], np.uint8)}
    marked["head"][10:25, 20:50, 15:45] = 1
    marked["other"][2:6, 4:9, 3:8] = 1
    for name, values in marked.items():
        labels = slicer.vtkOrientedImageData()
        labels.SetDimensions(*CT_SMALL.size)
        labels.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
        labels.SetImageToWorldMatrix(vtk_matrix(flip_ijk_to_space(CT_SMALL.ijk_to_lps)))
        node.AddSegmentFromBinaryLabelmapRepresentation(labels, name)
    node.SetAndObserveTransformNodeID(ct.GetTransformNodeID())
    roi = find_region_nodes(scene, ct, mr, initial_transform_node=start, automatic_masks=()).roi
    common = {"initial_transform_node": start, "roi_node": roi, "automatic_masks": (), "fixed_mask_node": node}
    for outside in (False, True):
        made = preprocess_nodes(scene, ct, mr, fixed_mask_segments=["head"], fixed_mask_outside=outside, **common)
        first = np.round((np.linalg.inv(ijk_to_world_ras(ct)) @ ijk_to_world_ras(made.fixed))[:3, 3]).astype(int)
        shape = voxels(made.fixed).shape
        block = tuple(slice(at, at + n) for at, n in zip(first[::-1], shape, strict=True))
        np.testing.assert_array_equal(voxels(made.fixed_mask), marked["head"][block] != outside)
        assert made.moving_mask is None
    with pytest.raises(InputError, match="no segment 'third'"):
        preprocess_nodes(scene, ct, mr, fixed_mask_segments=["third"], **common)


def test_a_mask_is_made_of_one_volume_alone(scene, pair):
    ct, mr, start = pair
    made = preprocess_nodes(scene, ct, mr, initial_transform_node=start, automatic_masks=("moving",))
    assert made.fixed_mask is None
    assert 0 < voxels(made.moving_mask).mean() < 1
