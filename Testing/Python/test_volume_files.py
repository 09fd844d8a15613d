"""Reading of volumes: what is accepted, and what is refused with the file, the value found and the remedy."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.io.volumes import VOLUME_SUFFIXES, read_label_map, read_mask, read_volume


def write(path, voxels, *, vector=False, spacing=None):
    image = sitk.GetImageFromArray(voxels, isVector=vector)
    if spacing:
        image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def noise(*shape, kind=np.int16):
    return np.random.default_rng(0).integers(0, 1000, shape).astype(kind)


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_every_file_type_keeps_voxels_and_oblique_placement(tmp_path, head_ct, suffix):
    path = tmp_path / f"head{suffix}"
    sitk.WriteImage(sitk.Cast(head_ct.image, sitk.sitkInt16), str(path))
    volume = read_volume(path)
    assert volume.name == str(path)
    np.testing.assert_array_equal(volume.voxels, head_ct.voxels.astype(np.int16))
    np.testing.assert_allclose(volume.grid.ijk_to_lps, CT_GRID.ijk_to_lps, atol=1e-4)


def write_dicom_series(folder, positions_mm, uid="1.2.826.0.1.3680043.2.1125.1", shear=0.0, tags=None):
    folder.mkdir(exist_ok=True)
    voxels = noise(len(positions_mm), 20, 24)
    for number, position in enumerate(positions_mm):
        image = sitk.GetImageFromArray(voxels[number : number + 1])
        image.SetSpacing((0.7, 0.8, 2.5))
        values = {
            "0008|0060": "CT",
            "0020|000e": uid,
            "0020|0013": str(number + 1),
            "0020|0032": f"-8\\{-9 + shear * position}\\{position}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|1053": "1",
            "0028|1052": "-1024",
            **(tags or {}),
        }
        for tag, value in values.items():
            image.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{uid[-1]}-{number:03}.dcm"))
        writer.Execute(image)
    return voxels


def test_dicom_folder(tmp_path):
    voxels = write_dicom_series(tmp_path / "series", [2.5 * n for n in range(8)])
    volume = read_volume(tmp_path / "series")
    assert volume.grid.size == (24, 20, 8)
    np.testing.assert_allclose(volume.grid.spacing_mm, (0.7, 0.8, 2.5), atol=1e-6)
    np.testing.assert_allclose(volume.grid.origin_lps, (-8, -9, 0), atol=1e-6)
    np.testing.assert_array_equal(volume.voxels, voxels)


def test_dicom_folder_with_a_missing_slice(tmp_path):
    write_dicom_series(tmp_path / "series", [0, 2.5, 5, 10, 12.5, 15])
    with pytest.raises(InputError, match=r"5\.00 mm between slices 3 and 4"):
        read_volume(tmp_path / "series")


def test_dicom_folder_with_a_tilted_gantry(tmp_path):
    write_dicom_series(tmp_path / "series", [0, 2.5, 5, 7.5, 10], shear=np.tan(np.radians(20)))
    with pytest.raises(InputError, match=r"tilted gantry \(20\.0 degrees\)"):
        read_volume(tmp_path / "series")


@pytest.mark.parametrize("positions", [[0, 0, 2.5, 2.5, 5, 5, 7.5, 7.5], [0, 2.5, 5, 7.5, 0, 2.5, 5, 7.5], [5] * 6])
def test_dicom_folder_with_a_time_series(tmp_path, positions):
    write_dicom_series(tmp_path / "series", positions)
    with pytest.raises(InputError, match="a time series"):
        read_volume(tmp_path / "series")


def test_dicom_folder_with_one_slice(tmp_path):
    write_dicom_series(tmp_path / "series", [0])
    with pytest.raises(InputError, match="too few voxels"):
        read_volume(tmp_path / "series")


def test_a_fourth_axis_of_one_frame_is_dropped(tmp_path):
    for suffix in (".nrrd", ".nii.gz", ".mha"):
        volume = read_volume(write(tmp_path / f"one{suffix}", noise(1, 20, 21, 22)))
        assert volume.grid.size == (22, 21, 20)


def test_dicom_folder_with_two_series(tmp_path):
    write_dicom_series(tmp_path / "series", [0, 2.5, 5, 7.5], uid="1.2.826.0.1.3680043.2.1125.1")
    write_dicom_series(tmp_path / "series", [0, 2.5, 5, 7.5], uid="1.2.826.0.1.3680043.2.1125.2")
    with pytest.raises(InputError, match="2 DICOM series"):
        read_volume(tmp_path / "series")


def test_folder_without_dicom(tmp_path, capfd):
    with pytest.raises(InputError, match="no DICOM series"):
        read_volume(tmp_path)
    assert capfd.readouterr().err == "", "the error says it; ITK does not say it too"
    assert sitk.ProcessObject.GetGlobalWarningDisplay()


@pytest.mark.parametrize("slices", [1, 3])
def test_a_mask_may_be_as_thin_as_slicer_crops_it(tmp_path, slices):
    labels = np.zeros((slices, 20, 20), dtype=np.uint8)
    labels[:, 5:9, 5:9] = 2
    path = write(tmp_path / "thin.nrrd", labels)
    assert np.count_nonzero(read_mask(path).voxels) == slices * 16
    assert np.count_nonzero(read_label_map(path).voxels == 2) == slices * 16
    with pytest.raises(InputError, match="too few voxels"):
        read_volume(path)


@pytest.mark.parametrize("read", [read_mask, read_label_map])
def test_layers_of_segments_are_no_mask(tmp_path, read):
    layers = sitk.GetImageFromArray(np.ones((6, 20, 20, 2), dtype=np.uint8), isVector=True)
    sitk.WriteImage(layers, str(tmp_path / "colour.nrrd"))
    layers.SetMetaData("Segment0_ID", "Segment_1")
    sitk.WriteImage(layers, str(tmp_path / "layers.seg.nrrd"))
    with pytest.raises(InputError, match="overlap, and lie in 2 layers"):
        read(tmp_path / "layers.seg.nrrd")
    with pytest.raises(InputError, match="vector or colour"):
        read(tmp_path / "colour.nrrd")


def bad_files(folder):
    """Each kind of bad volume: file, and what the message must say."""
    good = noise(20, 20, 20)
    (folder / "text.nrrd").write_text("this is not an image")
    (folder / "notes.docx").write_text("x")
    write(folder / "flat.nrrd", noise(20, 20))
    write(folder / "slice.nrrd", noise(1, 20, 20))
    write(folder / "vector.nrrd", noise(20, 20, 20, 3), vector=True)
    write(folder / "rgb.mha", noise(20, 20, 20, 3, kind=np.uint8), vector=True)
    write(folder / "series.nii.gz", noise(5, 20, 20, 20))
    write(folder / "constant.nrrd", np.full((20, 20, 20), 7, np.int16))
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        voxels = good.astype(np.float32)
        voxels[3, 4, 5] = value
        write(folder / f"{name}.nrrd", voxels)
    write(folder / "labels.nrrd", (good > 500).astype(np.uint8) * 3)
    many = np.repeat(np.repeat(np.repeat(good[::5, ::5, ::5] % 60, 5, 0), 5, 1), 5, 2)
    write(folder / "many-labels.nrrd", many)
    (folder / "corrupt.nii.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(range(200)))
    write(folder / "huge.nrrd", noise(47, 216, 256), spacing=(10, 10, 10))
    segmentation = sitk.GetImageFromArray(good)
    segmentation.SetMetaData("Segment0_ID", "Segment_1")
    sitk.WriteImage(segmentation, str(folder / "bones.seg.nrrd"))
    write(folder / "whole.nrrd", good)
    (folder / "truncated.nrrd").write_bytes((folder / "whole.nrrd").read_bytes()[:-9000])
    (folder / "empty.nii.gz").write_bytes(b"")
    write(folder / "whole.nii.gz", good)
    unzipped = gzip.decompress((folder / "whole.nii.gz").read_bytes())
    (folder / "truncated.nii").write_bytes(unzipped[: len(unzipped) // 2])
    zipped = (folder / "whole.nii.gz").read_bytes()
    (folder / "truncated.nii.gz").write_bytes(zipped[: len(zipped) // 2])
    (folder / "negative.nii").write_bytes(unzipped[:84] + np.float32(-2).tobytes() + unzipped[88:])
    write(folder / "whole.mha", good, spacing=(2, 2, 2))
    header = (folder / "whole.mha").read_bytes()
    (folder / "zero.mha").write_bytes(header.replace(b"ElementSpacing = 2 2 2", b"ElementSpacing = 2 0 2"))
    (folder / "negative.mha").write_bytes(header.replace(b"ElementSpacing = 2 2 2", b"ElementSpacing = 2 -2 2"))
    nrrd = (folder / "whole.nrrd").read_bytes()
    (folder / "flattened.nrrd").write_bytes(nrrd.replace(b"(1,0,0) (0,1,0) (0,0,1)", b"(1,0,0) (1,0,0) (0,0,1)"))
    return {
        "absent.nrrd": "no such file",
        "text.nrrd": "not an image|cannot be read",
        "notes.docx": "file type",
        "flat.nrrd": "three-dimensional",
        "slice.nrrd": "too few voxels",
        "vector.nrrd": "vector or colour",
        "rgb.mha": "vector or colour",
        "series.nii.gz": "time series",
        "constant.nrrd": "every voxel has the value 7",
        "nan.nrrd": "1 of 8000 voxels are NaN",
        "inf.nrrd": "1 of 8000 voxels are NaN or infinite",
        "labels.nrrd": "label map",
        "many-labels.nrrd": "label map",
        "corrupt.nii.gz": "not an image|cannot be read",
        "bones.seg.nrrd": "segmentation",
        "huge.nrrd": "2560 x 2160 x 470 mm",
        "truncated.nrrd": "truncated",
        "truncated.nii": "truncated",
        "truncated.nii.gz": "truncated",
        "negative.nii": "zero or negative",
        "empty.nii.gz": "not an image|cannot be read",
        "zero.mha": "zero or negative",
        "negative.mha": "zero or negative",
        "flattened.nrrd": "direction|cannot be read",
    }


def test_bad_volumes_are_refused_by_name_with_a_remedy(tmp_path):
    for name, found in bad_files(tmp_path).items():
        with pytest.raises(InputError, match=found) as caught:
            read_volume(tmp_path / name)
        assert name in str(caught.value), caught.value
        assert len(caught.value.remedy) > 10, name


def test_masks_are_zero_and_one(tmp_path):
    voxels = np.zeros((20, 20, 20), np.int16)
    voxels[5:9] = 4
    mask = read_mask(write(tmp_path / "mask.nrrd", voxels))
    np.testing.assert_array_equal(mask.voxels, (voxels > 0).astype(np.uint8))


def test_an_empty_mask_is_refused(tmp_path):
    with pytest.raises(InputError, match="mask is empty"):
        read_mask(write(tmp_path / "mask.nrrd", np.zeros((20, 20, 20), np.uint8)))


def test_real_volumes_are_not_refused(real_data):
    for path in sorted(real_data.rglob("*.nrrd")):
        if "tumour" not in path.name:
            read_volume(path)
