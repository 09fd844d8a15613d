"""Segmentations from files: label maps, and what Slicer writes, with overlapping segments and cropped grids."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import centered_grid, rotation
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.segmentations import Segmentation, read_segmentation
from vtk.util.numpy_support import numpy_to_vtk

# Oblique, anisotropic, left-handed.
GRID = centered_grid([30, 26, 18], [1.1, 0.8, 2.5], rotation([1, 0.3, -0.2], 25) @ np.diag([1, 1, -1]), [12, -31, 40])
SHAPE = GRID.size[::-1]


def box(low, high):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


# The second overlaps the first, the third touches neither.
MASKS = {
    "Left  femur": box((4, 6, 7), (9, 15, 16)),
    "Läsion": box((7, 10, 12), (12, 18, 20)),
    "far": box((13, 20, 3), (14, 22, 6)),
}


def image_of(voxels, grid=GRID):
    image = sitk.GetImageFromArray(voxels)
    grid.place(image)
    return image


def save_in_slicer(path, masks, *, crop=False):
    """Let Slicer's own classes write the masks, each a segment."""
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(flip_ijk_to_space(GRID.ijk_to_lps).ravel())
    for name, mask in masks.items():
        data = slicer.vtkOrientedImageData()
        data.SetDimensions(GRID.size)
        data.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
        data.SetImageToWorldMatrix(matrix)
        node.AddSegmentFromBinaryLabelmapRepresentation(data, name, [1.0, 0.5, 0.0])
        node.GetSegmentation().SetConversionParameter(
            slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
            slicer.vtkSegmentationConverter.SerializeImageGeometry(data),
        )
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetCropToMinimumExtent(crop)
    storage.SetFileName(str(path))
    assert storage.WriteData(node)


def places(segmentation, segment):
    """Voxel centres of a segment in space, in the order of its voxels."""
    return apply_matrix(segmentation.grid.ijk_to_lps, np.argwhere(segment.mask)[:, ::-1])


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("names", [["Left  femur", "far"], ["Left  femur", "Läsion"], list(MASKS)])
def test_what_slicer_writes_is_read_with_names_and_in_its_place(tmp_path, names, crop):
    path = tmp_path / "knee.seg.nrrd"
    save_in_slicer(path, {name: MASKS[name] for name in names}, crop=crop)
    segmentation = read_segmentation(path)
    assert segmentation.named
    assert [segment.name for segment in segmentation.segments] == names
    assert np.prod(segmentation.grid.size) < np.prod(SHAPE) if crop else segmentation.grid.coincides_with(GRID)
    layers = sitk.ReadImage(str(path)).GetNumberOfComponentsPerPixel()
    assert layers == (2 if "Läsion" in names else 1)
    for segment in segmentation.segments:
        expected = apply_matrix(GRID.ijk_to_lps, np.argwhere(MASKS[segment.name])[:, ::-1])
        np.testing.assert_allclose(places(segmentation, segment), expected, atol=1e-4)
        assert segment.cropped_mask.all()


def test_segments_without_voxels_stay_and_a_file_without_segments_is_refused(tmp_path):
    save_in_slicer(tmp_path / "one.seg.nrrd", {"far": MASKS["far"], "nothing": np.zeros(SHAPE, dtype=bool)})
    segmentation = read_segmentation(tmp_path / "one.seg.nrrd")
    nothing = segmentation.find("Nothing")
    assert nothing.box is None
    assert nothing.cropped_mask.size == 0
    assert not nothing.mask.any()
    image = image_of(np.zeros(SHAPE, dtype=np.uint8))
    image.SetMetaData("Segmentation_ReferenceImageExtentOffset", "0 0 0")
    sitk.WriteImage(image, str(tmp_path / "none.seg.nrrd"))
    with pytest.raises(InputError, match="there is no structure"):
        read_segmentation(tmp_path / "none.seg.nrrd")


def test_files_of_old_versions_have_a_layer_for_each_segment(tmp_path):
    image = sitk.Compose([image_of(mask.astype(np.uint8)) for mask in MASKS.values()])
    for index, name in enumerate(MASKS):
        image.SetMetaData(f"Segment{index}_ID", f"Segment_{index}")
        image.SetMetaData(f"Segment{index}_Name", name)
    sitk.WriteImage(image, str(tmp_path / "old.seg.nrrd"))
    segmentation = read_segmentation(tmp_path / "old.seg.nrrd")
    for name, mask in MASKS.items():
        np.testing.assert_array_equal(segmentation.find(name).mask, mask)
    image.SetMetaData("Segment1_Layer", "7")
    sitk.WriteImage(image, str(tmp_path / "bad.seg.nrrd"))
    with pytest.raises(InputError, match=r"bad.seg.nrrd: the segment 'Läsion' is in layer 7, .* 0 to 2"):
        read_segmentation(tmp_path / "bad.seg.nrrd")
    image.SetMetaData("Segment1_Layer", "one")
    sitk.WriteImage(image, str(tmp_path / "bad.seg.nrrd"))
    with pytest.raises(InputError, match="layer 'one'"):
        read_segmentation(tmp_path / "bad.seg.nrrd")


@pytest.mark.parametrize("name", ["labels.nrrd", "labels.nii.gz", "labels.mha"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.float32])
def test_label_maps_have_numbers(tmp_path, name, kind):
    voxels = np.zeros(SHAPE, dtype=kind)
    voxels[MASKS["Left  femur"]], voxels[MASKS["far"]] = 3, 120
    sitk.WriteImage(image_of(voxels), str(tmp_path / name))
    segmentation = read_segmentation(tmp_path / name)
    assert not segmentation.named
    assert [(segment.name, segment.label) for segment in segmentation.segments] == [("3", 3), ("120", 120)]
    assert segmentation.grid.coincides_with(GRID)
    np.testing.assert_array_equal(segmentation.find(120).mask, MASKS["far"])
    np.testing.assert_array_equal(segmentation.find("3").mask, MASKS["Left  femur"])
    assert segmentation.find(4) is None


def test_labels_of_an_atlas_may_be_huge():
    voxels = np.zeros(SHAPE, dtype=np.int64)
    voxels[MASKS["Left  femur"]], voxels[MASKS["far"]], voxels[0, 0, 0] = 614454277, 5, -3
    segmentation = Segmentation.of_labels(Volume(image_of(voxels), "atlas"))
    assert [segment.label for segment in segmentation.segments] == [5, 614454277]
    np.testing.assert_array_equal(segmentation.find(614454277).mask, MASKS["Left  femur"])


def test_a_name_comes_before_a_number_and_must_be_unique():
    layers = [MASKS["Left  femur"] * np.uint8(1), MASKS["far"] * np.uint8(2)]
    segmentation = Segmentation.of_layers("s", GRID, layers, [("2", 0, 1), ("Far", 1, 2), ("f ar", 1, 9)])
    assert segmentation.find("2").label == 1
    assert segmentation.find(2).name == "Far"
    with pytest.raises(InputError, match=r"s: 2 segments are called far: 'Far' \(label 2\), 'f ar' \(label 9\)"):
        segmentation.find("far")


def test_scans_and_empty_label_maps_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    sitk.WriteImage(image_of(rng.normal(size=SHAPE).astype(np.float32)), str(tmp_path / "scan.nrrd"))
    with pytest.raises(InputError, match="looks like a scan"):
        read_segmentation(tmp_path / "scan.nrrd")
    sitk.WriteImage(image_of(np.zeros(SHAPE, dtype=np.uint8)), str(tmp_path / "empty.nrrd"))
    with pytest.raises(InputError, match="there is no structure"):
        read_segmentation(tmp_path / "empty.nrrd")
    color = sitk.Compose([image_of(MASKS["far"].astype(np.uint8))] * 3)
    sitk.WriteImage(color, str(tmp_path / "colour.nrrd"))
    with pytest.raises(InputError, match="vector or colour"):
        read_segmentation(tmp_path / "colour.nrrd")
    with pytest.raises(InputError, match="no such file"):
        read_segmentation(tmp_path / "missing.nrrd")
