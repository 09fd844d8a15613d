"""Volumes that do not fit into the memory: read slice by slice, reduced, and registered in bounded memory."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, MR_GRID, centered_grid, rotation, run_command
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, matrix_from_sitk
from MultimodalRegistrationLib.io import downsample
from MultimodalRegistrationLib.io.downsample import (
    axis_weights,
    box_mean,
    coarse_grid,
    coarse_size,
    finest_spacing_mm,
    read_downsampled,
    read_mask_downsampled,
)
from MultimodalRegistrationLib.io.raw_files import find_layout
from MultimodalRegistrationLib.io.volumes import VOLUME_SUFFIXES, read_volume
from MultimodalRegistrationLib.register.inputs import read_inputs
from MultimodalRegistrationLib.register.memory_need import needed_memory_bytes
from MultimodalRegistrationLib.register.request import RegisterRequest
from test_volume_files import bad_files, write, write_dicom_series

# Oblique, anisotropic, left-handed, with odd numbers of voxels.
GRID = centered_grid(
    [45, 38, 31], [0.021, 0.034, 0.05], rotation([1, -0.4, 0.3], 37) @ np.diag([1.0, -1.0, 1.0]), [3, -7, 11]
)
SPACING = 0.08


def scan(grid, kind=np.int16) -> sitk.Image:
    """A smooth pattern with noise."""
    i, j, k = grid.size
    pattern = np.sin(np.arange(i) / 6) + np.cos(np.arange(j) / 7)[:, None] + np.sin(np.arange(k) / 5)[:, None, None]
    voxels = 400 * pattern + np.random.default_rng(3).normal(1500, 60, (k, j, i))
    image = sitk.GetImageFromArray(voxels.astype(kind))
    grid.place(image)
    return image


def reduced(image: sitk.Image, spacing_mm=SPACING) -> np.ndarray:
    """The same in memory, by dense weights in double precision."""
    fine = VolumeGrid.of_image(image)
    weights = [
        axis_weights(n, m).toarray().astype(float)
        for n, m in zip(fine.size, coarse_size(fine, spacing_mm), strict=True)
    ]
    return np.einsum("xi,yj,zk,kji->zyx", *weights, sitk.GetArrayFromImage(image).astype(float), optimize=True)


def save(image, path, *, compress=False):
    sitk.WriteImage(image, str(path), compress)
    return path


@given(coarse=st.integers(1, 200), factor=st.floats(1, 40))
def test_weights_are_means_that_do_not_move(coarse, factor):
    fine = round(coarse * factor)
    weights = axis_weights(fine, coarse).toarray()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights.min() >= 0
    centers = (np.arange(coarse) + 0.5) * fine / coarse - 0.5
    np.testing.assert_allclose(weights @ np.arange(fine), centers, atol=2e-6 * fine)


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_whole_factors_give_the_plain_mean(factor):
    voxels = np.random.default_rng(1).normal(size=(3 * factor, 4 * factor, 5 * factor))
    plain = voxels.reshape(3, factor, 4, factor, 5, factor).mean(axis=(1, 3, 5))
    found = box_mean(voxels, (5 * factor, 4 * factor, 3 * factor), (5, 4, 3))
    np.testing.assert_allclose(found, plain, atol=1e-6)


def test_a_ramp_in_space_keeps_its_value_at_every_point(tmp_path):
    image = scan(GRID, np.float64)
    index = np.stack(np.meshgrid(*map(np.arange, GRID.size), indexing="ij"), axis=-1)
    slope = np.array([3.0, -2.0, 5.0])
    ramp = (apply_matrix(GRID.ijk_to_lps, index) @ slope).transpose(2, 1, 0)
    image = sitk.GetImageFromArray(ramp)
    GRID.place(image)
    volume = read_downsampled(save(image, tmp_path / "ramp.nrrd"), target_spacing_mm=SPACING)
    assert volume.grid.size == (12, 16, 19)
    index = np.stack(np.meshgrid(*map(np.arange, volume.grid.size), indexing="ij"), axis=-1)
    expected = (apply_matrix(volume.grid.ijk_to_lps, index) @ slope).transpose(2, 1, 0)
    # Values are about 70; a shift by a hundredth of a coarse voxel would change them by 0.002.
    np.testing.assert_allclose(volume.voxels, expected, atol=5e-5)


@pytest.mark.parametrize("grid", [GRID, CT_GRID, MR_GRID], ids=["left-handed", "CT", "MR"])
def test_the_coarse_grid_covers_the_same_box(grid):
    coarse = coarse_grid(grid, coarse_size(grid, 2.9 * min(grid.spacing_mm)))
    assert coarse.size != grid.size
    np.testing.assert_allclose(coarse.corners_lps, grid.corners_lps, atol=1e-9)


FILES = [(suffix, compress) for suffix in VOLUME_SUFFIXES for compress in (False, True)]


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize(("suffix", "compress"), FILES)
def test_every_file_type_gives_what_memory_gives(tmp_path, suffix, compress, kind):
    image = scan(GRID, np.float64)
    image = sitk.GetImageFromArray((sitk.GetArrayFromImage(image) / (16 if kind == np.uint8 else 1)).astype(kind))
    GRID.place(image)
    path = save(image, tmp_path / f"scan{suffix}", compress=compress)
    find_layout(path)
    volume = read_downsampled(path, target_spacing_mm=SPACING)
    assert volume.image.GetPixelID() == sitk.sitkFloat32
    np.testing.assert_allclose(volume.voxels, reduced(image), rtol=2e-6, atol=2e-4)
    np.testing.assert_allclose(volume.grid.corners_lps, read_volume(path).grid.corners_lps, atol=1e-9)


def test_byte_order_and_skips_of_hand_written_headers(tmp_path):
    image = scan(GRID)
    whole = sitk.GetArrayFromImage(image).astype(">i2").tobytes()
    sizes = " ".join(map(str, GRID.size))
    nrrd = f"NRRD0004\n# comment: none\ntype: short\ndimension: 3\nsizes: {sizes}\nendian: big\n"
    nrrd += "spacings: 0.021 0.034 0.05\n"
    (tmp_path / "skip.raw").write_bytes(b"a line\nabc" + whole)
    (tmp_path / "end.raw").write_bytes(b"whatever" + whole)
    (tmp_path / "skip.raw.gz").write_bytes(gzip.compress(b"abc" + whole))
    (tmp_path / "lines.nhdr").write_text(f"{nrrd}encoding: raw\nline skip: 1\nbyte skip: 3\ndata file: skip.raw\n")
    (tmp_path / "end.nhdr").write_text(f"{nrrd}encoding: raw\nbyteskip: -1\ndatafile: end.raw\n")
    (tmp_path / "zip.nhdr").write_text(f"{nrrd}encoding: gzip\nbyte skip: 3\ndata file: skip.raw.gz\n")
    meta = f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = True\nDimSize = {sizes}\n"
    meta += "ElementSpacing = 0.021 0.034 0.05\nHeaderSize = {}\nElementType = MET_SHORT\nElementDataFile = end.raw\n"
    (tmp_path / "header.mhd").write_text(meta.format(8))
    (tmp_path / "tail.mhd").write_text(meta.format(-1))
    for name in ("lines.nhdr", "end.nhdr", "zip.nhdr", "header.mhd", "tail.mhd"):
        np.testing.assert_array_equal(read_volume(tmp_path / name).voxels, sitk.GetArrayViewFromImage(image))
        volume = read_downsampled(tmp_path / name, target_spacing_mm=SPACING)
        np.testing.assert_allclose(volume.voxels, reduced(image), rtol=2e-6, err_msg=name)


@pytest.mark.parametrize("name", ["scaled.nii", "scaled.nii.gz"])
@pytest.mark.parametrize(("slope", "intercept"), [(0.25, -1024.0), (-2.0, 3.0), (0.0, 7.0)])
def test_the_rescale_slope_of_nifti_is_honoured(tmp_path, name, slope, intercept):
    save(scan(GRID), tmp_path / "plain.nii")
    content = bytearray((tmp_path / "plain.nii").read_bytes())
    struct.pack_into("<ff", content, 112, slope, intercept)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    image = read_volume(tmp_path / name).image
    volume = read_downsampled(tmp_path / name, target_spacing_mm=SPACING)
    np.testing.assert_allclose(volume.voxels, reduced(image), rtol=1e-5, atol=1e-3)


def test_dicom_folder(tmp_path):
    write_dicom_series(tmp_path / "series", [40 - 1.25 * n for n in range(9)])
    whole = read_volume(tmp_path / "series")
    volume = read_downsampled(tmp_path / "series", target_spacing_mm=2.0)
    assert volume.grid.size == (8, 8, 6)
    np.testing.assert_allclose(volume.grid.corners_lps, whole.grid.corners_lps, atol=1e-6)
    np.testing.assert_allclose(volume.voxels, reduced(whole.image, 2.0), rtol=2e-6, atol=1e-3)


def test_a_fourth_axis_of_one_frame_is_dropped(tmp_path):
    voxels = sitk.GetArrayFromImage(scan(GRID))
    for suffix in (".nrrd", ".nii.gz", ".mha"):
        path = write(tmp_path / f"one{suffix}", voxels[None])
        volume = read_downsampled(path, target_spacing_mm=2.0)
        np.testing.assert_allclose(volume.voxels, reduced(read_volume(path).image, 2.0), rtol=2e-6)


def test_bad_volumes_are_refused_as_when_read_whole(tmp_path):
    for name, found in bad_files(tmp_path).items():
        with pytest.raises(InputError, match=found) as caught:
            read_downsampled(tmp_path / name, target_spacing_mm=2.0)
        assert name in str(caught.value), caught.value


def test_what_cannot_be_streamed_is_read_whole_if_it_fits_and_refused_with_a_remedy_if_not(tmp_path):
    image = scan(GRID)
    text = "\n".join(map(str, sitk.GetArrayFromImage(image).ravel()))
    (tmp_path / "text.nrrd").write_text(
        f"NRRD0004\ntype: short\ndimension: 3\nsizes: {' '.join(map(str, GRID.size))}\n"
        f"spacings: 0.021 0.034 0.05\nencoding: ascii\n\n{text}\n"
    )
    volume = read_downsampled(tmp_path / "text.nrrd", target_spacing_mm=SPACING, memory_limit_bytes=20_000_000)
    np.testing.assert_allclose(volume.voxels, reduced(image), rtol=2e-6)
    with pytest.raises(InputError, match="encoding 'ascii'") as caught:
        read_downsampled(tmp_path / "text.nrrd", target_spacing_mm=SPACING, memory_limit_bytes=6_100_000)
    assert "uncompressed .nrrd" in caught.value.remedy


LARGE_GRID = centered_grid([200, 190, 500], [0.02, 0.02, 0.02], rotation([1, 2, 3], 40), [0, 0, 0])
LIMIT = 16_000_000  # The volume has 38 MB.


@pytest.mark.parametrize(("suffix", "compress"), FILES)
def test_memory_stays_below_the_limit(tmp_path, suffix, compress):
    path = save(scan(LARGE_GRID, np.uint16), tmp_path / f"large{suffix}", compress=compress)
    tracemalloc.start()
    volume = read_downsampled(path, memory_limit_bytes=LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # SimpleITK's copy of the coarse volume is not traced.
    assert peak + volume.voxels.nbytes < LIMIT
    assert volume.voxels.nbytes > LIMIT / 5


def test_the_target_must_fit_the_limit(tmp_path):
    path = save(scan(GRID), tmp_path / "scan.nrrd")
    with pytest.raises(InputError, match=r"at 0\.02 mm takes 0\.01 GB"):
        read_downsampled(path, target_spacing_mm=0.02, memory_limit_bytes=5_000_000)


def test_by_default_half_of_the_free_memory_is_used(tmp_path, monkeypatch):
    path = save(scan(LARGE_GRID, np.uint16), tmp_path / "scan.nrrd")
    assert read_downsampled(path).grid.size == LARGE_GRID.size
    monkeypatch.setattr(downsample, "available_memory_bytes", lambda: 2 * LIMIT)
    expected = read_downsampled(path, memory_limit_bytes=LIMIT).grid.size
    assert read_downsampled(path).grid.size == expected != LARGE_GRID.size
    monkeypatch.setattr(downsample, "available_memory_bytes", lambda: 3_000)
    with pytest.raises(InputError, match="too little"):
        read_downsampled(path)


def test_masks_keep_the_grid_of_their_volume(tmp_path):
    voxels = np.zeros(GRID.size[::-1], np.uint8)
    voxels[8:22, 10:30, 5:33] = 3
    image = sitk.GetImageFromArray(voxels)
    GRID.place(image)
    mask = read_mask_downsampled(save(image, tmp_path / "mask.nrrd", compress=True), target_spacing_mm=SPACING)
    volume = read_downsampled(save(scan(GRID), tmp_path / "a.nrrd"), target_spacing_mm=SPACING)
    assert mask.grid.size == volume.grid.size
    np.testing.assert_allclose(mask.grid.corners_lps, volume.grid.corners_lps, atol=1e-9)
    assert set(np.unique(mask.voxels)) == {0, 1}
    share = mask.voxels.mean() / (voxels > 0).mean()
    assert share == pytest.approx(1, abs=0.15)
    with pytest.raises(InputError, match="too thin"):
        read_mask_downsampled(tmp_path / "mask.nrrd", target_spacing_mm=3.0)


def pair_files(folder, head_ct, head_mr):
    return save(head_ct.image, folder / "ct.mha"), save(head_mr.image, folder / "mr.nii.gz")


def test_a_pair_that_fits_is_read_as_stored(tmp_path, head_ct, head_mr):
    ct, mr = pair_files(tmp_path, head_ct, head_mr)
    request = RegisterRequest(fixed=str(ct), moving=str(mr))
    pair = read_inputs(request, "elastix", memory_limit_gib=1.0, on_warning=pytest.fail)
    np.testing.assert_array_equal(pair.fixed.voxels, head_ct.voxels)
    np.testing.assert_array_equal(pair.moving.voxels, head_mr.voxels)


def test_a_pair_that_does_not_fit_is_reduced_with_a_warning(tmp_path, head_ct, head_mr):
    ct, mr = pair_files(tmp_path, head_ct, head_mr)
    mask = save(sitk.Cast(head_ct.image > 0, sitk.sitkUInt8), tmp_path / "mask.nrrd")
    limit, told = 270e6, []
    request = RegisterRequest(fixed=str(ct), moving=str(mr), fixed_mask=str(mask))
    pair = read_inputs(request, "elastix", memory_limit_gib=limit / 2**30, on_warning=told.append)
    size = " x ".join(map(str, pair.fixed.grid.size))
    assert f"registered with {size} instead of 84 x 96 x 52 voxels" in told[0]
    needed = needed_memory_bytes("elastix", pair.fixed.grid, pair.moving.grid)
    needed += pair.fixed.voxels.nbytes + pair.moving.voxels.nbytes
    assert 0.97 * limit < needed <= limit
    assert pair.masks.fixed.grid.size == pair.fixed.grid.size
    np.testing.assert_allclose(pair.masks.fixed.grid.corners_lps, pair.fixed.grid.corners_lps, atol=1e-9)
    for volume, whole in ((pair.fixed, head_ct), (pair.moving, head_mr)):
        np.testing.assert_allclose(volume.grid.corners_lps, whole.grid.corners_lps, atol=1e-3)


def test_only_the_finer_volume_is_reduced_where_that_suffices():
    fine = centered_grid([500, 400, 300], [0.02, 0.02, 0.02], np.eye(3), [0, 0, 0])
    clinical = centered_grid([64, 64, 40], [0.4, 0.4, 0.5], np.eye(3), [0, 0, 0])
    spacing = finest_spacing_mm([fine, clinical], lambda grids: needed_memory_bytes("elastix", *grids), 5e8)
    assert coarse_size(clinical, spacing) == clinical.size
    assert coarse_size(fine, spacing)[0] < 500


@pytest.mark.story("U31")
def test_a_resampled_volume_of_what_does_not_fit_is_refused_before_anything_is_read(tmp_path, head_ct, head_mr):
    ct, mr = pair_files(tmp_path, head_ct, head_mr)
    options = ["--fixed", ct, "--moving", mr, "--output-transform", tmp_path / "T.h5", "--memory-limit", "0.25"]
    done = run_command("register", *options, "--output-volume", tmp_path / "R.nrrd")
    assert done.returncode == 2
    assert "Leave out the resampled volume" in done.stderr
    assert run_command("register", *options[:-1], "-1").returncode == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.mha", "mr.nii.gz"]


@pytest.mark.story("U31")
@pytest.mark.slow
def test_the_transform_of_reduced_volumes_holds_for_the_stored_ones(tmp_path, head_ct, head_mr, truth_ct_to_mr_lps):
    ct, mr = pair_files(tmp_path, head_ct, head_mr)
    transform, result = tmp_path / "T.h5", tmp_path / "r.json"
    options = ["--fixed", ct, "--moving", mr, "--output-transform", transform, "--json", result]
    done = run_command("register", *options, "--memory-limit", "0.25", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "instead of 84 x 96 x 52 voxels" in done.stderr
    assert "instead of 84 x 96 x 52 voxels" in result.read_text()
    found = matrix_from_sitk(sitk.ReadTransform(str(transform)))
    # Half of the reduced voxel size; the volumes as stored reach about 0.3 mm.
    assert displacement_mm(found, truth_ct_to_mr_lps, head_ct.grid.sample_points_lps(6)).max() < 2.0
