"""Boxes, common regions and crops on oblique, anisotropic and flipped grids."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, MR_GRID, centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import OrientedBox
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.markups import read_roi
from MultimodalRegistrationLib.preprocess.region import (
    common_region,
    crop_to_box,
    region_of_box,
    region_of_points,
    resample_to_spacing,
)

OBLIQUE = rotation([0.3, -1, 0.4], 34)


def mask_of(volume, box):
    """Voxels whose centres lie in a box."""
    size = volume.grid.size
    index = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), axis=-1).reshape(-1, 3)
    inside = box.contains(apply_matrix(volume.grid.ijk_to_lps, index))
    image = sitk.GetImageFromArray(inside.reshape(size).transpose(2, 1, 0).astype(np.uint8))
    image.CopyInformation(volume.image)
    return Volume(image, "mask")


def numbered(grid, name="volume"):
    """A volume whose every voxel has a value of its own."""
    values = np.arange(np.prod(grid.size), dtype=np.int32).reshape(grid.size[::-1])
    image = sitk.GetImageFromArray(values)
    grid.place(image)
    return Volume(image, name)


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_a_box_holds_its_points_tightly(seed):
    random = np.random.default_rng(seed)
    axes = rotation(random.normal(size=3).tolist(), random.uniform(0, 180)) * [1, 1, random.choice([-1, 1])]
    points = random.normal(size=(20, 3)) * [80, 30, 10] + random.uniform(-200, 200, 3)
    box = OrientedBox.around(points, axes, margin_mm=3.0)
    assert box.contains(points).all()
    assert not box.contains(box.corners_lps + 1e-3 * (box.corners_lps - box.center_lps)).any()
    np.testing.assert_allclose(np.ptp(points @ axes, axis=0) + 6, box.size_mm, atol=1e-9)
    matrix = rigid([1, -0.3, 0.2], 70, [5, 60, -9])
    assert box.seen_from(matrix, OBLIQUE).contains(apply_matrix(matrix, points)).all()


@pytest.mark.parametrize("grid", [CT_GRID, MR_GRID], ids=["left-handed oblique", "anisotropic oblique"])
def test_a_crop_leaves_every_voxel_where_it_is(grid):
    volume = numbered(grid)
    before = volume.voxels.copy()
    box = OrientedBox(grid.center_lps + np.array([5, -8, 3]), OBLIQUE, np.array([60.0, 40.0, 50.0]))
    crop = crop_to_box(volume, box)
    assert crop.image.GetPixelID() == volume.image.GetPixelID()
    for index in ((0, 0, 0), (3, 5, 2), tuple(n - 1 for n in crop.grid.size)):
        value = crop.image.GetPixel(*index)
        k, j, i = np.unravel_index(value, grid.size[::-1])
        np.testing.assert_allclose(
            crop.image.TransformIndexToPhysicalPoint(index), apply_matrix(grid.ijk_to_lps, (i, j, k)), atol=1e-9
        )
    # Nothing in the box is lost.
    inside = mask_of(volume, box).voxels > 0
    assert set(before[inside]) <= set(crop.voxels.ravel())
    np.testing.assert_array_equal(volume.voxels, before)


def test_a_transform_found_on_crops_is_one_of_the_full_volumes():
    fixed, moving = numbered(CT_GRID), numbered(MR_GRID)
    truth = rigid([0.2, 1, 0.1], 57, [30, -12, 44])
    region = region_of_points(CT_GRID.sample_points_lps(3), CT_GRID, MR_GRID, truth, 5.0)
    crop = crop_to_box(fixed, region.fixed)
    points = crop.grid.sample_points_lps(5)
    full_index = apply_matrix(np.linalg.inv(CT_GRID.ijk_to_lps), points)
    crop_index = apply_matrix(np.linalg.inv(crop.grid.ijk_to_lps), points)
    offset = full_index - crop_index
    np.testing.assert_allclose(offset, np.broadcast_to(np.rint(offset[0]), offset.shape), atol=1e-6)
    mapped = [
        apply_matrix(truth, apply_matrix(grid.ijk_to_lps, index))
        for grid, index in ((CT_GRID, full_index), (crop.grid, crop_index))
    ]
    np.testing.assert_allclose(mapped[0], mapped[1], atol=1e-6)
    assert moving.grid.size == MR_GRID.size


def test_the_common_region_is_where_both_masks_are():
    # The moving volume shows the upper half of what the fixed one shows, turned by 120 degrees.
    truth = rigid([1, 0.3, -0.5], 120, [80, 10, -30])
    fixed = numbered(centered_grid([60, 50, 70], [2, 2.4, 2], OBLIQUE, [10, 20, 30]))
    half = OrientedBox(fixed.grid.center_lps + OBLIQUE @ [0, 0, 35.0], OBLIQUE, np.array([90.0, 80.0, 70.0]))
    moving_axes = truth[:3, :3] @ OBLIQUE * [1, -1, 1]
    moving = numbered(
        centered_grid([70, 60, 60], [1.5, 2, 2], moving_axes, apply_matrix(truth, half.center_lps).tolist())
    )
    body = OrientedBox(fixed.grid.center_lps, OBLIQUE, np.array([70.0, 60.0, 120.0]))
    moving_body = OrientedBox(apply_matrix(truth, body.center_lps), truth[:3, :3] @ OBLIQUE, body.size_mm)
    region = common_region(
        fixed.grid,
        moving.grid,
        truth,
        fixed_mask=mask_of(fixed, body).voxels,
        moving_mask=mask_of(moving, moving_body).voxels,
        margin_mm=4.0,
    )
    # In common: the body's section, from 25 mm below the middle of the half to the body's upper end.
    common = OrientedBox(fixed.grid.center_lps + OBLIQUE @ [0, 0, 17.5], OBLIQUE, np.array([70.0, 60.0, 85.0]))
    np.testing.assert_allclose(region.fixed.size_mm, common.size_mm + 8, atol=5.0)
    np.testing.assert_allclose(region.fixed.center_lps, common.center_lps, atol=3.0)
    np.testing.assert_allclose(region.moving.center_lps, apply_matrix(truth, common.center_lps), atol=3.0)
    np.testing.assert_allclose(region.moving.size_mm, common.size_mm + 8, atol=5.0)


def test_nothing_in_common_is_said():
    assert common_region(CT_GRID, MR_GRID, rigid([0, 0, 1], 0, [5000, 0, 0])) is None
    box = OrientedBox(np.array([900.0, 0, 0]), np.eye(3), np.array([10.0, 10, 10]))
    with pytest.raises(InputError, match=r"a\.nrrd: the region keeps"):
        crop_to_box(numbered(CT_GRID, "a.nrrd"), box)


def test_isotropic_resampling_keeps_the_place_and_does_not_alias():
    grid = centered_grid([64, 64, 40], [1.0, 1.0, 2.5], OBLIQUE @ np.diag([1, -1, 1]), [10, 20, 30])
    index = np.indices(grid.size[::-1])[::-1].reshape(3, -1).T
    points = apply_matrix(grid.ijk_to_lps, index)
    smooth = (points @ [1.0, 0.5, -0.3]).reshape(grid.size[::-1])
    checkered = smooth + 100.0 * ((index.sum(axis=1) % 2) * 2 - 1).reshape(grid.size[::-1])
    image = sitk.GetImageFromArray(checkered)
    grid.place(image)
    made = resample_to_spacing(Volume(image, "v"), 3.0)
    assert made.grid.spacing_mm == (3.0, 3.0, 3.0)
    np.testing.assert_allclose(made.grid.center_lps, grid.center_lps, atol=1.6)
    inner = np.indices(made.grid.size[::-1])[::-1].reshape(3, -1).T
    inner = inner[((inner > 2) & (inner < np.array(made.grid.size) - 3)).all(axis=1)]
    expected = apply_matrix(made.grid.ijk_to_lps, inner) @ [1.0, 0.5, -0.3]
    i, j, k = inner.T
    np.testing.assert_allclose(made.voxels[k, j, i], expected, atol=1.0)


def roi(space, center, axes, size):
    return json.dumps(
        {
            "markups": [
                {
                    "type": "ROI",
                    "coordinateSystem": space,
                    "roiType": "Box",
                    "center": list(center),
                    "orientation": np.asarray(axes).ravel().tolist(),
                    "size": list(size),
                }
            ]
        }
    )


def test_a_roi_file_in_either_frame(tmp_path):
    flip = np.array([-1.0, -1.0, 1.0])
    center, size = np.array([12.0, -30.0, 44.0]), (40.0, 60.0, 80.0)
    (tmp_path / "lps.mrk.json").write_text(roi("LPS", center, OBLIQUE, size))
    (tmp_path / "ras.mrk.json").write_text(roi("RAS", center * flip, OBLIQUE * flip[:, None], size))
    for name in ("lps", "ras"):
        box = read_roi(tmp_path / f"{name}.mrk.json")
        np.testing.assert_allclose(box.center_lps, center)
        np.testing.assert_allclose(box.axes, OBLIQUE)
    other = region_of_box(box, MR_GRID, rigid([0, 0, 1], 30, [1, 2, 3])).moving
    assert other.contains(apply_matrix(rigid([0, 0, 1], 30, [1, 2, 3]), box.corners_lps)).all()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "not a markups file"),
        ("[1]", "0 ROIs"),
        (roi("IJK", [0, 0, 0], OBLIQUE, [1, 1, 1]), "IJK"),
        (roi("LPS", [0, 0], OBLIQUE, [1, 1, 1]), "center"),
        (roi("LPS", [0, 0, 0], OBLIQUE * 1.1, [1, 1, 1]), "right angles"),
        (roi("LPS", [0, 0, 0], OBLIQUE, [1, 0, 1]), "size"),
    ],
)
def test_a_bad_roi_file_is_named(tmp_path, text, found):
    path = tmp_path / "r.mrk.json"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"(?s)r\.mrk\.json.*{found}"):
        read_roi(path)
