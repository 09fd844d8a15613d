"""ROI nodes as boxes in world coordinates: rotated, under parents, read by Slicer's own storage."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from conftest import CT_GRID, MR_GRID, rigid, rotation
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_matrix_lps_ras
from MultimodalRegistrationLib.core.grid import OrientedBox
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.markups import read_roi
from MultimodalRegistrationLib.mrml.roi import add_roi_node, box_of_roi_node
from MultimodalRegistrationLib.mrml.volumes import volume_from_node
from MultimodalRegistrationLib.preprocess.region import crop_to_box
from test_mrml import PARENT_RAS, add_parent, add_volume

BOX = OrientedBox(np.array([12.0, -30.0, 44.0]), rotation([0.3, -1, 0.4], 34), np.array([40.0, 60.0, 80.0]))


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


def same_corners(box, corners):
    distances = np.linalg.norm(box.corners_lps[:, None] - corners[None], axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(distances.min(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("handedness", [1, -1])
def test_a_box_becomes_a_roi_and_comes_back(scene, handedness):
    box = OrientedBox(BOX.center_lps, BOX.axes * [1, 1, handedness], BOX.size_mm)
    node = add_roi_node(scene, box, name="common region")
    same_corners(box_of_roi_node(node), box.corners_lps)


@pytest.mark.story("U24")
def test_a_parent_moves_the_roi(scene):
    node = add_roi_node(scene, BOX, name="R")
    add_parent(scene, node, PARENT_RAS)
    expected = apply_matrix(flip_matrix_lps_ras(PARENT_RAS), BOX.corners_lps)
    same_corners(box_of_roi_node(node), expected)


def test_a_shearing_parent_gives_a_box_that_holds_the_roi(scene):
    node = add_roi_node(scene, BOX, name="R")
    shear = rigid([1, 0, 0.5], 20, [3, 4, 5])
    shear[:3, :3] = shear[:3, :3] @ np.array([[1.2, 0.3, 0], [0, 0.9, 0.1], [0, 0, 1]])
    add_parent(scene, node, shear)
    moved = apply_matrix(flip_matrix_lps_ras(shear), BOX.corners_lps)
    assert OrientedBox.contains(box_of_roi_node(node), moved).all()


def test_a_roi_file_of_slicer(scene, tmp_path):
    node = add_roi_node(scene, BOX, name="R")
    storage = slicer.vtkMRMLMarkupsROIJsonStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "R.mrk.json"))
    assert storage.WriteData(node) == 1
    same_corners(read_roi(tmp_path / "R.mrk.json"), BOX.corners_lps)


def test_a_roi_without_size_is_named(scene):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "empty ROI")
    node.SetSize(0.0, 10.0, 10.0)
    with pytest.raises(InputError, match="empty ROI"):
        box_of_roi_node(node)


@pytest.mark.parametrize("grid", [CT_GRID, MR_GRID], ids=["left-handed oblique", "anisotropic oblique"])
def test_a_crop_under_parents_keeps_its_place_and_its_transforms(scene, grid):
    values = np.arange(np.prod(grid.size), dtype=np.float32).reshape(grid.size[::-1])
    image = sitk.GetImageFromArray(values)
    grid.place(image)
    volume_node = add_volume(scene, Volume(image, "v"), "v")
    add_parent(scene, volume_node, PARENT_RAS)
    parent_lps = flip_matrix_lps_ras(PARENT_RAS)
    roi_node = add_roi_node(
        scene, OrientedBox(grid.center_lps, BOX.axes, np.array([50.0, 40.0, 30.0])), name="under a parent too"
    )
    roi_node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    crop = crop_to_box(volume_from_node(volume_node), box_of_roi_node(roi_node))
    assert np.prod(crop.grid.size) < 0.6 * np.prod(grid.size)
    for index in ((0, 0, 0), (2, 3, 1), tuple(n - 1 for n in crop.grid.size)):
        k, j, i = np.unravel_index(int(crop.image.GetPixel(*index)), grid.size[::-1])
        world = apply_matrix(parent_lps, apply_matrix(grid.ijk_to_lps, (i, j, k)))
        np.testing.assert_allclose(crop.image.TransformIndexToPhysicalPoint(index), world, atol=1e-6)
        # So a transform found on the crop moves the same anatomy of the full volume to the same place.
        result = rigid([1, 2, 3], 77, [10, 20, 30])
        moved = apply_matrix(result, crop.image.TransformIndexToPhysicalPoint(index))
        np.testing.assert_allclose(moved, apply_matrix(result @ parent_lps @ grid.ijk_to_lps, (i, j, k)), atol=1e-6)
